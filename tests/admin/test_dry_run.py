"""The dry run: what the rules would decide now on chosen signals."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from signals.action_models import SignalAction
from signals.models import Signal, SignalEvent, VerificationRun
from tests.admin.actions import start, words
from tests.admin.conftest import Staff
from tests.admin.sample_rows import make_event
from tests.verification.database import contents
from tests.verification.sample_rows import make_downgradable, make_features, make_signal

pytestmark = pytest.mark.django_db

TABLES = (
    *(
        "signals",
        "signal_events",
        "signal_verifications",
        "verification_rules",
        "verification_runs",
    ),
    *("verification_cursors", "signal_actions", "django_admin_log"),
)
OTHER = "0x" + "cd" * 20
NOWHERE = "no address"


@pytest.fixture
def analyst(staff: Staff) -> Client:
    return staff("view_signal", "view_event", "view_onchainfeature", "reverify_signal")


def test_signals_of_every_state_are_tried_and_nothing_is_written(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", "on")
    now = timezone.now()
    make_downgradable(now=now)
    make_features(now=now, address=OTHER, growth_ratio=Decimal("1.5"))
    bad, settled = make_signal(now=now), make_signal(now=now, state="verified")
    held, lost = make_signal(now=now, token_ca=OTHER), make_signal(now=now, token_ca=NOWHERE)
    before = contents(TABLES)
    page = start(analyst, "dry_run", [bad, settled, held, lost])
    assert contents(TABLES) == before
    tried = {row["signal"]: row for row in page.context["trials"]}
    shown = {number: (row["decision"], row["result"]) for number, row in tried.items()}
    assert shown == {
        bad.pk: ("downgrade", "becomes downgraded"),
        settled.pk: ("downgrade", "stays verified: the job leaves it alone"),
        held.pk: ("hold", "stays candidate"),
        lost.pk: ("insufficient", "stays candidate"),
    }
    assert tried[lost.pk]["note"] == "unresolvable_token"
    assert "0.9" in words(page)
    assert f"ethereum:{OTHER}" in page.text


def test_with_the_rules_off_a_move_is_shown_as_withheld(analyst: Client) -> None:
    now = timezone.now()
    make_downgradable(now=now)
    page = start(analyst, "dry_run", [make_signal(now=now)])
    assert "stays candidate while the rules are off, else downgraded" in words(page)


def test_only_the_newest_of_many_are_tried(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals.admin.actions.dry_run.MAX_TRIED", 2)
    made = [make_signal().pk for _ in range(3)]
    page = start(analyst, "dry_run", across=True)
    assert [row["signal"] for row in page.context["trials"]] == made[:0:-1]
    assert "the newest 2 of the chosen signals" in words(page)


def test_a_wrong_setting_is_told(analyst: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", "perhaps")
    page = start(analyst, "dry_run", [make_signal()])
    assert "The rules cannot be tried: ONCHAIN_RULES" in words(page)


def test_the_token_and_the_features_need_the_right_to_view_them(staff: Staff) -> None:
    now = timezone.now() - timedelta(minutes=1)
    make_downgradable(now=now)
    page = start(staff("view_signal", "reverify_signal"), "dry_run", [make_signal(now=now)])
    assert "downgrade" in words(page)
    assert "ethereum" not in page.text
    assert "top10_share" not in page.text


def test_a_dry_run_leaves_no_trace_of_an_action(analyst: Client) -> None:
    event = make_event(event_key="no token", token_ca=None)
    signal = Signal.objects.create(event=event)
    assert start(analyst, "dry_run", [signal]).status_code == 200
    assert not SignalAction.objects.exists()
    assert not SignalEvent.objects.exists()
    assert not VerificationRun.objects.exists()
