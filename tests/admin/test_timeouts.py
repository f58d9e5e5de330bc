"""The limit on the time of a statement, and what a page says when the database stops one."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from signals.models import Event, Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.pages import MODELS, listed, page_url, post
from tests.admin.sample_rows import make_event, make_signal

pytestmark = pytest.mark.django_db(transaction=True)

AUTOCOMPLETE = {"app_label": "signals", "model_name": "signal", "field_name": "event"}


def current_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Let every query of a list wait for a second, and the limit be a tenth of that."""
    settings.ADMIN_STATEMENT_TIMEOUT_MS = 100
    wait = "(SELECT pg_sleep(1)) IS NOT NULL"
    for model in MODELS:
        manager = model._default_manager
        rows = manager.get_queryset

        def waiting(rows: Any = rows) -> Any:
            return rows().extra(where=[wait])  # noqa: S610 - our own constant

        monkeypatch.setattr(manager, "get_queryset", waiting)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (Signal, "state", "verified"),
        (Event, "from", "-1d"),
        (SignalEvent, "decision", "hold"),
        (SignalVerification, "status", "dead"),
    ],
)
def test_a_list_that_takes_too_long_says_how_to_narrow_it(
    viewer: Client, model: Any, name: str, value: str
) -> None:
    url = f"/admin/signals/{model._meta.model_name}/"
    response = viewer.get(url, {"q": '<script>"', name: value})
    assert response.status_code == 503
    assert "asked to stop after 0.1 s" in response.text
    assert "Search for a full event key" in response.text
    assert f'<a href="{url}?q=%3Cscript%3E%22">search without filters</a>' in response.text
    assert 'value="&lt;script&gt;&quot;"' in response.text


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("model", MODELS)
def test_a_page_that_takes_too_long_leads_back_to_the_list(viewer: Client, model: Any) -> None:
    response = viewer.get(f"/admin/signals/{model._meta.model_name}/", {"last": "1"})
    assert response.status_code == 503
    assert "Remove the filters" not in response.text
    assert "Back to the list" in response.text


@pytest.mark.usefixtures("slow")
def test_an_autocomplete_that_takes_too_long_says_so(staff: Staff) -> None:
    client = staff("change_signal", "view_event")
    response = client.get("/admin/autocomplete/", AUTOCOMPLETE | {"term": "pepe"})
    assert response.status_code == 200
    (only,) = response.json()["results"]
    assert only["disabled"]
    assert "type more of the key" in only["text"]


def test_a_save_that_waits_too_long_for_a_lock_saves_nothing(
    superuser: Client, settings: Any
) -> None:
    settings.ADMIN_STATEMENT_TIMEOUT_MS = 300
    signal = make_signal()
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE signals SET advice_tag = 'theirs' WHERE id = %s", [signal.pk])
            response = post(superuser, signal, advice_tag="ours")
        other.rollback()
    finally:
        other.close()
    assert response.status_code == 503
    assert "Nothing was saved" in response.text
    signal.refresh_from_db()
    assert signal.advice_tag is None


def test_the_limit_ends_with_the_request(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = current_timeout()
    seen = []
    rows = Event._default_manager.get_queryset

    def looking() -> Any:
        seen.append(current_timeout())
        return rows()

    monkeypatch.setattr(Event._default_manager, "get_queryset", looking)
    listed(viewer, Event)
    assert set(seen) == {"5s"}
    assert current_timeout() == before


def test_the_limit_ends_after_an_error_too(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = current_timeout()

    def fail() -> None:
        raise OperationalError("the disk is full")

    monkeypatch.setattr(Signal._default_manager, "get_queryset", fail)
    with pytest.raises(OperationalError, match="the disk is full"):
        viewer.get("/admin/signals/signal/")
    assert current_timeout() == before


def test_no_limit_is_set_if_it_is_zero(viewer: Client, settings: Any) -> None:
    settings.ADMIN_STATEMENT_TIMEOUT_MS = 0
    event = make_event()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '7s'")
    assert viewer.get(page_url(Event, event.pk)).status_code == 200
    assert current_timeout() == "7s"
    connection.close()
