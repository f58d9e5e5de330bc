"""What can be changed on the pages, and by whom; what saving writes."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

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


def test_the_log_keeps_the_old_and_the_new_values_of_a_save(superuser: Client) -> None:
    signal = make_signal(market_type="cex{x}", advice_tag=None)
    before, other = signal.event_id, make_event(event_key="another")
    post(superuser, signal, market_type=" ", advice_tag="a\u202eb" * 100, event=other.pk)
    entry = LogEntry.objects.get()
    (message,) = json.loads(entry.change_message)
    values = message["changed"]["values"]
    assert values["event"] == [before, "another"]
    assert values["market_type"] == ["cex{x}", "-"]
    assert values["advice_tag"][0] == "-"
    assert values["advice_tag"][1].startswith("a⟨U+202E⟩b")
    assert len(values["advice_tag"][1]) == 200
    assert "Market type from “cex{x}” to “-”" in entry.get_change_message()


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


def sent_after_a_pipeline_wrote(client: Client, signal: Signal, **changed: str) -> Any:
    """Send the form of a page that was opened before a pipeline wrote the market dex and the advice buy."""
    context = shown(client, signal).context
    form = context["adminform"].form
    data = {f.html_initial_name: f.value() or "" for f in form}
    data |= {f.html_name: f.value() or "" for f in form}
    for formset in context["inline_admin_formsets"]:
        data |= {f.html_name: f.value() for f in formset.formset.management_form}
    Signal.objects.filter(pk=signal.pk).update(market_type="dex", advice_tag="buy")
    return client.post(page_url(Signal, signal.pk), data | changed)


def test_what_a_pipeline_wrote_meanwhile_is_kept(superuser: Client) -> None:
    signal = make_signal(market_type="cex", advice_tag="watch")
    other = make_event(event_key="another")
    assert sent_after_a_pipeline_wrote(superuser, signal, event=other.pk).status_code == 302
    signal.refresh_from_db()
    assert (signal.market_type, signal.advice_tag, signal.event_id) == ("dex", "buy", other.pk)


def test_a_field_that_two_have_changed_is_shown_with_both_values(superuser: Client) -> None:
    signal = make_signal(market_type="cex", advice_tag="watch")
    response = sent_after_a_pipeline_wrote(superuser, signal, advice_tag="avoid")
    assert response.status_code == 200
    assert "changed from “watch” to “buy”" in response.text
    assert 'value="avoid"' in response.text
    signal.refresh_from_db()
    assert signal.advice_tag == "buy"
    form = response.context["adminform"].form
    again = {f.html_name: f.value() or "" for f in form}
    again |= {f.html_initial_name: form.data[f.html_initial_name] for f in form}
    for formset in response.context["inline_admin_formsets"]:
        again |= {f.html_name: f.value() for f in formset.formset.management_form}
    assert superuser.post(page_url(Signal, signal.pk), again).status_code == 302
    signal.refresh_from_db()
    assert (signal.advice_tag, signal.market_type) == ("avoid", "dex")


def test_a_form_without_the_values_that_were_shown_is_refused(superuser: Client) -> None:
    signal = make_signal(market_type="cex", advice_tag="watch")
    data = {"event": signal.event_id, "market_type": "cex", "advice_tag": "avoid"}
    for formset in shown(superuser, signal).context["inline_admin_formsets"]:
        data |= {f.html_name: f.value() for f in formset.formset.management_form}
    assert superuser.post(page_url(Signal, signal.pk), data).status_code == 200
    signal.refresh_from_db()
    assert signal.advice_tag == "watch"


@pytest.mark.parametrize("state", ["verified", "downgraded"])
def test_a_signal_with_a_verdict_keeps_its_event(superuser: Client, state: str) -> None:
    signal = make_signal(state=state)
    assert inputs(shown(superuser, signal)) == {"market_type", "advice_tag"}
    before = signal.event_id
    other = make_event(event_key="another")
    post(superuser, signal, event=other.pk, initial_event=before)
    signal.refresh_from_db()
    assert signal.event_id == before


@pytest.mark.parametrize("moves", [True, False])
def test_a_candidate_of_another_token_is_checked_again(superuser: Client, moves: bool) -> None:
    """Its evidence was that of the former token."""
    signal = make_signal(onchain_asof_ts=timezone.now(), onchain_confidence="0.5")
    assert signal.event is not None
    later = timezone.now() + timedelta(days=1)
    make_verification(signal, status="waiting", next_check_at=later, attempts=0)
    if moves:
        post(superuser, signal, event=make_event(event_key="another").pk)
    else:
        post(superuser, signal.event, token_ca="0x" + "cd" * 20)
    signal.refresh_from_db()
    assert (signal.onchain_asof_ts, signal.onchain_confidence) == (None, None)
    due = SignalVerification.objects.get().next_check_at
    assert due is not None
    assert due < later


@pytest.mark.parametrize("path", ["", "signals/signal/", "signals/event/", "login/"])
def test_no_page_takes_scripts_styles_or_frames_of_others(superuser: Client, path: str) -> None:
    policy = superuser.get(f"/admin/{path}").headers["Content-Security-Policy"]
    assert {"default-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
