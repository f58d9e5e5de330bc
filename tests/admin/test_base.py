"""What can be changed on the pages, and by whom; what saving writes."""

from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.utils import flatten
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals.models import Event, Signal, SignalEvent, SignalVerification
from tests.admin.pages import MODELS, inputs, page_url, post, shown
from tests.admin.sample_rows import (
    make_attack,
    make_bare_signal,
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)

READ_ONLY = ("onchainfeature", "signalevent", "signalverification")


@pytest.mark.parametrize("model", MODELS)
def test_a_page_has_every_column_of_the_model(model: Any) -> None:
    registered: Any = site.get_model_admin(model)
    names = flatten([name for _, options in registered.fieldsets for name in options["fields"]])
    columns = [name.__name__ if callable(name) else name for name in names]
    assert sorted(columns) == sorted(field.name for field in model._meta.fields), (
        "name each column once in the fieldsets of its page in signals/admin/"
    )


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added(superuser: Client, model: Any) -> None:
    assert superuser.get(f"/admin/signals/{model._meta.model_name}/add/").status_code == 403


@pytest.mark.parametrize("model", [each for each in MODELS if each is not SignalVerification])
def test_nothing_but_what_the_job_remembers_is_deleted(superuser: Client, model: Any) -> None:
    make_attack()
    row = model.objects.get()
    url = page_url(model, row.pk).replace("/change/", "/delete/")
    assert superuser.post(url, {"post": "yes"}).status_code == 403
    superuser.post(
        f"/admin/signals/{model._meta.model_name}/",
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_the_job_writes_cannot_be_changed(superuser: Client, model: str) -> None:
    signal = make_signal()
    rows = {
        "onchainfeature": make_feature(),
        "signalevent": make_verdict(signal),
        "signalverification": make_verification(signal),
    }
    response = shown(superuser, rows[model])
    assert inputs(response) == set()
    assert 'name="_save"' not in response.text
    assert superuser.post(page_url(type(rows[model]), rows[model].pk), {}).status_code == 403


def test_of_a_signal_and_an_event_only_labels_can_be_changed(superuser: Client) -> None:
    signal = make_signal()
    assert inputs(shown(superuser, signal)) == {"event", "market_type", "advice_tag"}
    assert inputs(shown(superuser, signal.event)) == {"type", "symbol", "token_ca"}


def test_values_that_the_form_does_not_have_are_ignored(superuser: Client) -> None:
    signal = make_signal()
    verdict = make_verdict(signal)
    response = post(
        superuser,
        signal,
        advice_tag="watch",
        state="verified",
        onchain_confidence="1",
        **{"verdicts-0-id": verdict.pk, "verdicts-0-decision": "hold", "verdicts-0-DELETE": "on"},
    )
    assert response.status_code == 302
    signal.refresh_from_db()
    assert (signal.advice_tag, signal.state, signal.onchain_confidence) == (
        "watch",
        "candidate",
        None,
    )
    assert SignalEvent.objects.get().decision == "upgrade"


def test_saving_writes_only_what_was_changed(superuser: Client) -> None:
    """A pipeline may write the row while the page is saved."""
    signal = make_signal()
    with CaptureQueriesContext(connection) as queries:
        assert post(superuser, signal, advice_tag="watch").status_code == 302
    (update,) = [q["sql"] for q in queries if q["sql"].startswith('UPDATE "signals"')]
    assert update.count(" = ") == 3, update  # advice_tag, updated_at, and the row's id
    before = signal.updated_at
    signal.refresh_from_db()
    assert signal.advice_tag == "watch"
    assert signal.updated_at > before


def test_saving_unchanged_writes_nothing_and_keeps_null(superuser: Client) -> None:
    signal = make_bare_signal()
    with CaptureQueriesContext(connection) as queries:
        assert post(superuser, signal).status_code == 302
    assert not [q["sql"] for q in queries if q["sql"].startswith('UPDATE "signals"')]


def test_an_emptied_text_is_null(superuser: Client) -> None:
    event = make_event(type="listing", symbol="PEPE")
    assert post(superuser, event, type=" ").status_code == 302
    event.refresh_from_db()
    assert (event.type, event.symbol) == (None, "PEPE")


def test_an_event_whose_key_is_markup_can_be_saved(superuser: Client) -> None:
    event = make_attack().event
    assert event is not None
    assert post(superuser, event, symbol="PEPE").status_code == 302
    assert Event.objects.get().symbol == "PEPE"


def test_a_dead_signal_is_looked_at_again_when_its_memory_is_deleted(superuser: Client) -> None:
    verification = make_verification(make_signal())
    data = {"action": "delete_selected", "_selected_action": [verification.pk], "post": "yes"}
    superuser.post("/admin/signals/signalverification/", data)
    assert not SignalVerification.objects.exists()
    assert Signal.objects.exists()


def test_a_viewer_sees_every_page_and_changes_nothing(viewer: Client) -> None:
    make_attack()
    for model in MODELS:
        row = model.objects.get()
        response = shown(viewer, row)
        assert inputs(response) == set()
        assert 'name="_save"' not in response.text
        assert viewer.post(page_url(model, row.pk), {}).status_code == 403
    url = page_url(SignalVerification, SignalVerification.objects.get().pk)
    assert viewer.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 403
