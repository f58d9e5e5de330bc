"""Related rows show no more than the person may view, by whatever way."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from signals.models import Signal
from tests.admin.conftest import Staff
from tests.admin.pages import inputs, page_url, post, shown
from tests.admin.sample_rows import (
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)

pytestmark = pytest.mark.django_db

KEY = "ethereum:0xfeed000000000000000000000000000000001234:secret"
SECRETS = ("feed000", "SECRETCOIN", "a secret summary", "secret-topic")


def secret_signal(**fields: Any) -> Signal:
    event = make_event(
        event_key=KEY, symbol="SECRETCOIN", summary="a secret summary", topic_hash="secret-topic"
    )
    return make_signal(event=event, **fields)


def pages_of(client: Client, row: Any) -> str:
    """Return all that the pages of a row say: its fields, its history, its texts."""
    url = page_url(type(row), row.pk)
    texts = [shown(client, row).text, client.get(url.replace("change", "history")).text]
    for field in row._meta.fields:
        response = client.get(url.replace("change", f"text/{field.name}"))
        texts += [response.text] if response.status_code == 200 else []
    return "\n".join(texts)


@pytest.mark.parametrize("permission", ["view_signal", "change_signal"])
def test_a_signal_says_nothing_of_an_event_that_the_person_may_not_view(
    staff: Staff, permission: str
) -> None:
    signal = secret_signal()
    make_signal(event=signal.event)
    make_feature(address=KEY.split(":")[1])
    text = pages_of(staff(permission), signal)
    for secret in SECRETS:
        assert secret not in text
    assert "Not shown: needs the permission to view events" in text
    assert "Other signals" not in text
    assert "sparkline" not in text


def test_who_may_view_events_sees_the_event_of_a_signal(staff: Staff) -> None:
    text = pages_of(staff("view_signal", "view_event"), secret_signal())
    for secret in SECRETS:
        assert secret in text


def test_a_save_does_not_tell_which_events_there_are(staff: Staff) -> None:
    """Neither an event that exists nor one that does not is taken, and the answers are alike."""
    signal = make_signal(event=None)
    make_event(event_key="there")
    client = staff("change_signal")
    assert inputs(shown(client, signal)) == {"market_type", "advice_tag"}
    answers = {
        (response.status_code, response.headers.get("Location"), response.text)
        for key in ("there", "not there")
        for response in [post(client, signal, event=key, initial_event="")]
    }
    assert len(answers) == 1
    signal.refresh_from_db()
    assert signal.event is None


def test_the_choice_of_events_does_not_tell_which_there_are(staff: Staff) -> None:
    make_event(event_key="there")
    field = {"app_label": "signals", "model_name": "signal", "field_name": "event"}
    client = staff("change_signal")
    for term in ("there", "not there"):
        assert client.get("/admin/autocomplete/", field | {"term": term}).status_code == 403


def test_the_history_does_not_tell_between_which_events_a_signal_was_moved(
    superuser: Client,
) -> None:
    signal = secret_signal()
    other = make_event(event_key="secret-other")
    assert post(superuser, signal, event=other.pk, advice_tag="watch").status_code == 302
    User.objects.create_user("viewer", is_staff=True).user_permissions.set(
        Permission.objects.filter(codename="view_signal")
    )
    client = Client()
    client.force_login(User.objects.get(username="viewer"))
    signal.refresh_from_db()
    text = pages_of(client, signal)
    assert "secret" not in text.lower()
    assert "Advice tag: - → watch" in text
    assert "Event: not shown" in text
    assert "secret-other" in pages_of(superuser, signal)


def test_a_verdict_says_no_key_of_an_event_that_the_person_may_not_view(staff: Staff) -> None:
    signal = secret_signal()
    verdict = make_verdict(signal, event_key=KEY)
    client = staff("view_signalevent")
    text = pages_of(client, verdict)
    assert "feed000" not in text
    assert f'href="{page_url(Signal, signal.pk)}"' not in text
    assert (
        client.get(
            page_url(type(verdict), verdict.pk).replace("change", "text/event_key")
        ).status_code
        == 404
    )


@pytest.mark.parametrize("permission", ["view_signal", "view_event"])
def test_other_related_rows_are_for_those_who_may_view_them(staff: Staff, permission: str) -> None:
    signal = secret_signal(state="verified")
    verdict = make_verdict(signal, note="feature_missing", decision="insufficient")
    make_verification(signal, error="it broke on a Sunday")
    row = signal if permission == "view_signal" else signal.event
    text = pages_of(staff(permission), row)
    assert "Sunday" not in text
    assert "Feature Missing" not in text
    assert "sparkline" not in text
    assert f"/signalevent/{verdict.pk}/" not in text
    if permission == "view_event":
        assert "Verified" not in text
        assert f"/signal/{signal.pk}/" not in text


def test_how_a_check_ended_is_for_those_who_may_view_verifications(staff: Staff) -> None:
    signal = secret_signal()
    make_verification(signal, error="it broke on a Sunday", checks=1)
    text = pages_of(staff("view_signal", "view_signalevent"), signal)
    assert "Sunday" not in text
    assert "There is no verdict yet." in text


def test_a_verification_links_to_nothing_that_the_person_may_not_view(staff: Staff) -> None:
    signal = secret_signal()
    row = make_verification(signal, chain="ethereum", address="0x" + "ab" * 20)
    text = shown(staff("view_signalverification"), row).text.split('id="content"')[1]
    assert "/admin/signals/signal/" not in text


def test_a_posted_event_is_not_taken_from_who_may_not_view_events(staff: Staff) -> None:
    signal = secret_signal()
    make_event(event_key="there")
    assert post(staff("change_signal"), signal, event="there", advice_tag="x").status_code == 302
    signal.refresh_from_db()
    assert (signal.event_id, signal.advice_tag) == (KEY, "x")
