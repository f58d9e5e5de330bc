"""The pages of one row: what they show, and what they let be changed."""

from typing import Any

import pytest
from django.contrib.admin.utils import flatten, quote
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals import admin
from signals.models import Event, Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.rows import (
    ATTACK,
    make_attack,
    make_bare_signal,
    make_event,
    make_feature,
    make_memory,
    make_signal,
    make_verdict,
)
from tests.admin.test_lists import MODELS

READ_ONLY = ("onchainfeature", "signalevent", "signalverification")


def page(model: Any, pk: Any) -> str:
    return f"/admin/signals/{model._meta.model_name}/{quote(pk)}/change/"


def shown(client: Client, row: models.Model) -> Any:
    response = client.get(page(type(row), row.pk))
    assert response.status_code == 200
    return response


def inputs(response: Any) -> set[str]:
    return set(response.context["adminform"].form.fields)


def post(client: Client, row: models.Model, **changed: Any) -> Any:
    """Send the form of the row's page back, with some values changed."""
    context = shown(client, row).context
    data = {f.html_name: f.value() or "" for f in context["adminform"].form}
    for formset in context["inline_admin_formsets"]:
        form = formset.formset.management_form
        data |= {field.html_name: field.value() for field in form}
    return client.post(page(type(row), row.pk), data | changed)


@pytest.mark.parametrize("model", MODELS)
def test_a_page_has_every_column_of_the_model(model: Any) -> None:
    registered: Any = admin.admin.site.get_model_admin(model)
    names = flatten([name for _, options in registered.fieldsets for name in options["fields"]])
    columns = [name.__name__ if callable(name) else name for name in names]
    assert sorted(columns) == sorted(field.name for field in model._meta.fields), (
        "name each column once in the fieldsets of signals/admin.py"
    )


@pytest.mark.parametrize("model", MODELS)
def test_markup_on_a_page_is_text(superuser: Client, model: Any) -> None:
    make_attack()
    text = shown(superuser, model.objects.get()).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert 'href="javascript:' not in text


def test_a_signal_with_nothing_but_its_number_has_a_page(superuser: Client) -> None:
    shown(superuser, make_bare_signal())


def test_a_signal_shows_its_verdicts_newest_first_and_what_the_job_remembers(
    viewer: Client,
) -> None:
    signal = make_signal()
    first, second = make_verdict(signal), make_verdict(signal, decision="hold")
    make_memory(signal, error="it broke on a Sunday")
    response = shown(viewer, signal)
    verdicts = response.context["inline_admin_formsets"][1].formset
    assert [form.instance for form in verdicts.initial_forms] == [second, first]
    assert "it broke on a Sunday" in response.text


def test_an_event_shows_its_newest_signals(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "INLINE", 2)
    event = make_event()
    signals = [make_signal(event=event) for _ in range(3)]
    formset = shown(viewer, event).context["inline_admin_formsets"][0].formset
    assert [form.instance for form in formset.initial_forms] == signals[:0:-1]


@pytest.mark.parametrize("model", [Event, Signal])
def test_a_page_costs_the_same_number_of_queries_for_2_related_rows_and_for_50(
    superuser: Client, model: Any
) -> None:
    signal = make_signal()
    row = signal.event if model is Event else signal
    counts = []
    for rows in (2, 48):
        for _ in range(rows):
            make_verdict(signal)
            make_signal(event=signal.event)
        with CaptureQueriesContext(connection) as queries:
            shown(superuser, row)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_the_features_of_a_verdict_are_json_over_several_lines(viewer: Client) -> None:
    verdict = make_verdict(make_signal(), features={"growth_ratio": 2.5, "note": "зачем </pre>"})
    assert (
        "{\n  &quot;note&quot;: &quot;зачем &lt;/pre&gt;&quot;,\n  &quot;growth_ratio&quot;: 2.5\n}"
        in shown(viewer, SignalEvent.objects.get(pk=verdict.pk)).text
    )


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added(superuser: Client, model: Any) -> None:
    assert superuser.get(f"/admin/signals/{model._meta.model_name}/add/").status_code == 403


@pytest.mark.parametrize("model", [each for each in MODELS if each is not SignalVerification])
def test_nothing_but_what_the_job_remembers_is_deleted(superuser: Client, model: Any) -> None:
    make_attack()
    row = model.objects.get()
    url = page(model, row.pk).replace("/change/", "/delete/")
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
        "signalverification": make_memory(signal),
    }
    response = shown(superuser, rows[model])
    assert inputs(response) == set()
    assert 'name="_save"' not in response.text
    assert superuser.post(page(type(rows[model]), rows[model].pk), {}).status_code == 403


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
    memory = make_memory(make_signal())
    data = {"action": "delete_selected", "_selected_action": [memory.pk], "post": "yes"}
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
        assert viewer.post(page(model, row.pk), {}).status_code == 403
    url = page(SignalVerification, SignalVerification.objects.get().pk)
    assert viewer.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_a_viewer_of_signals_alone_sees_no_verdicts(staff: Staff) -> None:
    signal = make_signal()
    make_verdict(signal)
    response = shown(staff("view_signal"), signal)
    assert response.context["inline_admin_formsets"] == []


def test_events_are_completed_by_their_symbol(staff: Staff) -> None:
    client = staff("change_signal", "view_event")
    make_event(event_key=ATTACK, symbol="PEPE")
    make_event(symbol="OTHER")
    parameters = {"app_label": "signals", "model_name": "signal", "field_name": "event"}
    answer = client.get("/admin/autocomplete/", parameters | {"term": "pepe"}).json()
    assert answer["results"] == [{"id": ATTACK, "text": ATTACK}]
    assert client.get("/admin/autocomplete/", parameters | {"term": "\0"}).json()["results"] == []
