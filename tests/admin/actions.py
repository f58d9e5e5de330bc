"""Taking actions on signals as a client does."""

import re
from collections.abc import Iterable
from typing import Any

from django.test import Client

from signals.models import Signal

LIST = "/admin/signals/signal/"


def start(
    client: Client,
    action: str,
    signals: Iterable[Signal] = (),
    *,
    across: bool = False,
    filters: str = "",
) -> Any:
    """Choose an action for the signals, or for all that match the filters, on the list."""
    data = {
        "action": action,
        "index": "0",
        "select_across": "1" if across else "0",
        "_selected_action": [signal.pk for signal in signals] or ["1"],
    }
    return client.post(f"{LIST}{filters}", data)


def confirmed(client: Client, response: Any, **fields: Any) -> Any:
    """Confirm the action on the page that the response leads to."""
    assert response.status_code == 302, response
    page = client.get(response.url)
    data = {"number": page.context["action"].number, "confirm": "yes"}
    return client.post(response.url, data | fields)


def carried_out(client: Client, response: Any) -> Any:
    """Press Continue until the action is finished; return the page of its result."""
    for _ in range(1000):
        page = client.get(response.url)
        if page.context["action"].finished_at:
            return page
        assert client.post(response.url, {"continue": "yes"}).status_code == 302
    raise AssertionError("the action does not end")


def done(client: Client, action: str, signals: Iterable[Signal], **fields: Any) -> Any:
    """Take the action from its choice to its result."""
    response = start(client, action, signals)
    assert confirmed(client, response, **fields).status_code == 302
    return carried_out(client, response)


def words(page: Any) -> str:
    """Return the text of a page, without markup and with single spaces."""
    content = re.sub(r"<[^>]*>", " ", page.text.partition('id="content"')[2])
    return re.sub(r"\s+([.,;])", r"\1", " ".join(content.split()))
