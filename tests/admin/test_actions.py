"""Each action on signals: what it says, what it changes, what is recorded of it, and who may take it."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from signals.action_models import SignalAction, SignalActionRow
from signals.models import Signal, SignalEvent, SignalVerification
from tests.admin.actions import LIST, carried_out, confirmed, done, start, words
from tests.admin.conftest import Staff
from tests.admin.sample_rows import make_event, make_signal, make_verification

pytestmark = pytest.mark.django_db

VIEW = ("view_signal", "view_signalevent")
LATER = timezone.now() + timedelta(days=1)


@pytest.fixture
def analyst(staff: Staff) -> Client:
    """Somebody who may take every action, and change nothing else."""
    return staff(*VIEW, "reverify_signal", "override_state", "export_signals")


def make_states() -> dict[str, Signal]:
    """Create a signal of each state, and a dead one."""
    made = {state: make_signal(state=state) for state in ("candidate", "verified", "downgraded")}
    made["dead"] = make_signal()
    make_verification(
        made["candidate"], status="waiting", next_check_at=LATER, attempts=2, error=""
    )
    make_verification(made["verified"], status="settled", attempts=0, error="")
    make_verification(made["dead"])
    return made


def states(signals: dict[str, Signal]) -> dict[str, str]:
    stored = dict(Signal.objects.values_list("pk", "state"))
    return {name: stored[signal.pk] for name, signal in signals.items()}


def statuses(signals: dict[str, Signal]) -> dict[str, tuple[str, bool]]:
    """Return of each signal that the job knows its status, and whether it is due."""
    now = timezone.now()
    rows = {row.pk: row for row in SignalVerification.objects.all()}
    found = {name: rows[signal.pk] for name, signal in signals.items() if signal.pk in rows}
    return {
        name: (row.status, row.next_check_at is not None and row.next_check_at <= now)
        for name, row in found.items()
    }


def recorded(kind: str) -> dict[int, tuple[str, str]]:
    """Return the states before and after of each signal with a row of the kind."""
    rows = SignalEvent.objects.filter(type=kind)
    assert {(row.person, row.decision, row.confidence, row.rules_sha256) for row in rows} == {
        ("analyst", "", None, "")
    }
    assert {row.run for row in rows} == {SignalAction.objects.get().pk}
    return {row.signal_id: (row.previous_state, row.new_state) for row in rows}


def logged() -> dict[str, str]:
    """Return what Django's log says of each signal."""
    assert {entry.user.get_username() for entry in LogEntry.objects.all()} == {"analyst"}
    return {entry.object_id or "": entry.get_change_message() for entry in LogEntry.objects.all()}


def test_an_override_sets_the_state_and_records_who_and_why(analyst: Client) -> None:
    signals = make_states()
    response = start(analyst, "override", signals.values())
    page = analyst.get(response.url)
    assert "Chosen: 4 signals" in words(page)
    assert "downgraded: changes 3 signals, 1 already is" in words(page)
    result = carried_out(
        analyst, confirmed(analyst, response, state="downgraded", reason="Rug “pull” {x}")
    )
    assert "3 signals were set by hand to downgraded." in words(result)
    assert set(states(signals).values()) == {"downgraded"}
    assert set(statuses(signals).values()) == {("settled", False)}
    assert recorded("override") == {
        signals[name].pk: (before, "downgraded")
        for name, before in (
            ("candidate", "candidate"),
            ("verified", "verified"),
            ("dead", "candidate"),
        )
    }
    assert set(SignalEvent.objects.values_list("reason", flat=True)) == {"Rug “pull” {x}"}
    text = "Changed state from “verified” to “downgraded”: Rug “pull” {x}."
    assert logged()[str(signals["verified"].pk)] == text
    (message,) = json.loads(LogEntry.objects.get(object_id=signals["verified"].pk).change_message)
    assert message["changed"]["values"] == {"state": ["verified", "downgraded"]}
    assert not SignalActionRow.objects.exists()


def test_a_signal_that_is_set_back_to_candidate_is_due(analyst: Client) -> None:
    signals = make_states()
    done(analyst, "override", signals.values(), state="candidate", reason="look again")
    assert set(states(signals).values()) == {"candidate"}
    # Candidates stay as they are, the dead one included.
    assert statuses(signals) == {
        "candidate": ("waiting", False),
        "verified": ("waiting", True),
        "downgraded": ("waiting", True),
        "dead": ("dead", False),
    }
    assert set(recorded("override")) == {signals["verified"].pk, signals["downgraded"].pk}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"state": "verified", "reason": " \t "}, "This field is required."),
        ({"state": "verified"}, "This field is required."),
        ({"state": "verified", "reason": "x" * 501}, "at most 500 characters (it has 501)"),
        ({"state": "verified", "reason": "a\u202eb"}, "without control characters"),
        ({"state": "verified", "reason": "a\nb"}, "without control characters"),
        ({"state": "verified", "reason": "a\0b"}, "Null characters are not allowed."),
        ({"reason": "because"}, "This field is required."),
        ({"state": "dead", "reason": "because"}, "Select a valid choice."),
        ({"state": "downgraded", "reason": "because"}, "All are downgraded already"),
        ({"state": "verified", "reason": "because", "number": "7"}, "not the newest one"),
    ],
)
def test_an_override_without_a_state_or_a_reason_changes_nothing(
    analyst: Client, fields: dict[str, str], error: str
) -> None:
    signal = make_signal(state="downgraded")
    page = confirmed(analyst, start(analyst, "override", [signal]), **fields)
    assert page.status_code == 200
    assert error in page.text
    assert states({"it": signal}) == {"it": "downgraded"}
    assert SignalAction.objects.get().status == "chosen"


def test_verify_again_makes_candidates_due_and_settled_signals_candidates(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals.admin.actions.batches.CHECKED_AT_ONCE", 0)
    signals = make_states()
    response = start(analyst, "recheck", signals.values())
    said = words(analyst.get(response.url))
    assert "2 candidates become due at once" in said
    assert "2 settled (1 verified, 1 downgraded) become candidates again" in said
    assert "1 of them is dead and will be revived" in said
    assert "the workers of verify_signal take them" in said
    result = carried_out(analyst, confirmed(analyst, response))
    assert "4 signals were verified again. They are due" in words(result)
    assert set(states(signals).values()) == {"candidate"}
    assert set(statuses(signals).values()) == {("waiting", True)}
    assert set(SignalVerification.objects.values_list("attempts", flat=True)) == {0}
    before = {signal.pk: (signal.state, "candidate") for signal in signals.values()}
    assert recorded("recheck") == before
    assert logged()[str(signals["verified"].pk)] == "Changed state from “verified” to “candidate”."
    assert logged()[str(signals["candidate"].pk)] == "Changed next check to now."


def test_a_few_signals_are_verified_right_away(analyst: Client) -> None:
    signal = make_signal(state="verified", event=make_event(event_key="no token"))
    Signal.objects.update(created_at=timezone.now() - timedelta(hours=1))
    response = start(analyst, "recheck", [signal])
    assert "verified right away, when you confirm" in words(analyst.get(response.url))
    result = carried_out(analyst, confirmed(analyst, response))
    assert (
        "Checked right away, with the rules off: 0 upgrades, 0 downgrades, 0 held, 1 without"
        in (words(result))
    )
    assert list(SignalEvent.objects.order_by("pk").values_list("type", "note")) == [
        ("recheck", ""),
        ("onchain_verify", "unresolvable_token"),
    ]


def test_a_wrong_setting_leaves_the_check_to_the_workers(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", "perhaps")
    signal = make_signal()
    result = done(analyst, "recheck", [signal])
    assert "did not end as it should: ONCHAIN_RULES" in words(result)
    assert statuses({"it": signal}) == {"it": ("waiting", True)}


def test_reviving_makes_dead_signals_due_and_no_others(analyst: Client) -> None:
    signals = make_states()
    response = start(analyst, "revive", signals.values())
    said = words(analyst.get(response.url))
    assert "Chosen: 1 signal," in said
    assert "3 more are not dead and stay as they are" in said
    result = carried_out(analyst, confirmed(analyst, response))
    assert "1 signal was revived." in words(result)
    assert statuses(signals)["dead"] == ("waiting", True)
    assert statuses(signals)["candidate"] == ("waiting", False)
    assert recorded("revive") == {signals["dead"].pk: ("candidate", "candidate")}
    text = "Changed verification from “dead” to “waiting”."
    assert logged() == {str(signals["dead"].pk): text}


def test_a_signal_that_somebody_else_revived_is_counted_as_missed(analyst: Client) -> None:
    signal = make_signal()
    make_verification(signal)
    response = start(analyst, "revive", [signal])
    SignalVerification.objects.update(status="waiting", next_check_at=LATER)
    result = carried_out(analyst, confirmed(analyst, response))
    assert (
        "0 signals were revived. 1 could not be: meanwhile deleted, or revived by somebody else"
        in (words(result))
    )
    assert not SignalEvent.objects.exists()


def test_where_nothing_is_dead_nothing_is_revived(analyst: Client) -> None:
    response = start(analyst, "revive", [make_signal()])
    assert response.url == LIST
    assert "There is no dead signal among those" in analyst.get(LIST).text
    assert not SignalAction.objects.exists()


def test_signals_that_are_gone_are_counted_when_they_are_chosen_and_when_they_are_changed(
    analyst: Client,
) -> None:
    gone, going, staying = (make_signal() for _ in range(3))
    Signal.objects.filter(pk=gone.pk).delete()
    gone.pk = going.pk + 1000
    response = start(analyst, "override", [gone, going, staying])
    page = analyst.get(response.url)
    assert "1 of those that you selected no longer exists" in words(page)
    assert page.context["action"].number == 2
    Signal.objects.filter(pk=going.pk).delete()
    result = carried_out(analyst, confirmed(analyst, response, state="verified", reason="because"))
    assert "1 signal was set by hand" in words(result)
    assert "1 could not be: meanwhile deleted." in words(result)


def test_all_that_match_the_filter_are_those_that_matched_when_they_were_chosen(
    analyst: Client,
) -> None:
    matching = [make_signal(state="verified") for _ in range(3)]
    other = make_signal()
    response = start(analyst, "override", matching[:1], across=True, filters="?state=verified")
    assert "all that match state=verified" in words(analyst.get(response.url))
    Signal.objects.filter(pk=matching[0].pk).update(state="candidate")
    late = make_signal(state="verified")
    result = carried_out(
        analyst, confirmed(analyst, response, state="downgraded", reason="because")
    )
    assert "3 signals were set by hand" in words(result)
    assert states(dict(zip("abc", matching, strict=True))) == dict.fromkeys("abc", "downgraded")
    assert states({"late": late, "other": other}) == {"late": "verified", "other": "candidate"}


def test_all_that_match_a_search_are_chosen(analyst: Client) -> None:
    found = make_signal(topic_id="found")
    make_signal()
    response = start(analyst, "recheck", across=True, filters="?q=found")
    assert analyst.get(response.url).context["action"].number == 1
    assert [row.signal_id for row in SignalActionRow.objects.all()] == [found.pk]


def test_more_than_can_be_changed_at_once_are_refused(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals.admin.actions.choosing.MAX_CHOSEN", 2)
    for _ in range(3):
        make_signal()
    assert start(analyst, "recheck", across=True).status_code == 302
    assert "signals match, which is too many" in analyst.get(LIST).text
    assert not SignalAction.objects.exists()
    assert not SignalActionRow.objects.exists()


@pytest.mark.parametrize("value", ["x", "1'", "-1", "9" * 30, "²"])
def test_what_is_no_number_of_a_signal_is_refused(analyst: Client, value: str) -> None:
    data = {"action": "recheck", "index": "0", "_selected_action": [value]}
    assert analyst.post(LIST, data).status_code == 400


# What each action needs, and the permissions that do not give it.
NEEDED = {"recheck": "reverify_signal", "revive": "reverify_signal", "override": "override_state"}
EVERY = ("reverify_signal", "override_state", "export_signals", "change_signal")


@pytest.mark.parametrize("action", NEEDED)
def test_an_action_is_neither_offered_to_nor_taken_for_a_person_without_its_permission(
    staff: Staff, action: str
) -> None:
    client = staff(*VIEW, *(each for each in EVERY if each != NEEDED[action]))
    signal = make_signal()
    make_verification(signal)
    assert f'<option value="{action}">' not in client.get(LIST).text
    assert start(client, action, [signal]).status_code == 403
    assert start(client, action, [signal], across=True).status_code == 403
    assert not SignalAction.objects.exists()


@pytest.mark.parametrize("action", NEEDED)
def test_an_action_needs_its_permission_and_the_right_to_view_signals(
    staff: Staff, action: str
) -> None:
    signal = make_signal()
    make_verification(signal)
    assert start(staff(NEEDED[action]), action, [signal]).status_code == 403


@pytest.mark.parametrize("action", NEEDED)
@pytest.mark.parametrize("step", ["confirm", "continue", "drop"])
def test_each_step_of_an_action_needs_its_permission(
    analyst: Client, action: str, step: str
) -> None:
    signal = make_signal()
    make_verification(signal)
    response = start(analyst, action, [signal])
    if step == "continue":
        confirmed(analyst, response, state="verified", reason="because")
    User.objects.get().user_permissions.remove(
        *User.objects.get().user_permissions.filter(codename=NEEDED[action])
    )
    before = SignalAction.objects.values().get()
    assert analyst.get(response.url).status_code == 403
    data = {step: "yes", "number": 1, "state": "verified", "reason": "because"}
    assert analyst.post(response.url, data).status_code == 403
    assert SignalAction.objects.values().get() == before
    assert not SignalEvent.objects.exists()


@pytest.mark.parametrize("step", ["confirm", "continue", "drop", ""])
def test_another_persons_action_is_refused(analyst: Client, step: str) -> None:
    response = start(analyst, "recheck", [make_signal()])
    chief = Client()
    chief.force_login(User.objects.create_superuser("chief"))
    assert chief.get(response.url).status_code == 403
    assert chief.post(response.url, {step: "yes", "number": 1}).status_code == 403
    assert SignalAction.objects.get().status == "chosen"


def test_an_action_that_is_not_there_is_not_found(analyst: Client) -> None:
    assert analyst.get(f"{LIST}actions/{uuid4()}/").status_code == 404


def test_a_signals_page_offers_what_can_be_done_to_it(analyst: Client) -> None:
    signals = make_states()
    for name, signal in signals.items():
        page = analyst.get(f"{LIST}{signal.pk}/change/")
        offered = [action for action, _ in page.context["signal_actions"]]
        assert offered == ["recheck", "dry_run", "override", *["revive"] * (name == "dead")]
        assert "<button" in page.text


def test_a_signals_page_offers_a_viewer_nothing(viewer: Client) -> None:
    page = viewer.get(f"{LIST}{make_signal().pk}/change/")
    assert page.context["signal_actions"] == []
    assert "signal-buttons" not in page.text


def test_a_viewer_is_offered_no_action(viewer: Client) -> None:
    make_signal()
    page: Any = viewer.get(LIST)
    assert page.context["action_form"] is None
    assert "action-select" not in page.text
