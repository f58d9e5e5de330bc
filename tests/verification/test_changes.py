"""What a verdict changes: a new, an equal or another verdict, on newer or older evidence."""

from decimal import Decimal
from pathlib import Path

import pytest

from signals.models import Signal, SignalEvent
from signals.verification.job import verify_signals
from signals.verification.rules_file import SHIPPED_RULES, load_rules
from tests.verification.database import execute, stored, verdicts, verification
from tests.verification.expected import TTL, counts
from tests.verification.sample_rows import (
    AS_OF,
    MINUTE,
    NOW,
    SECOND,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db


def test_a_verdict_equal_to_the_last_one_adds_no_row() -> None:
    make_population()
    make_features()
    signal = make_signal()
    verify_signals(now=NOW)
    make_features(age=4 * MINUTE)
    assert verify_signals(now=NOW + TTL).counts == counts(scanned=1, evaluated=1, updated=1, held=1)
    assert verdicts(signal) == [("hold", "")]
    assert verification(signal).checks == 2


def test_newer_evidence_for_an_equal_verdict_updates_the_signal_and_adds_no_row() -> None:
    make_population()
    make_features()
    signal = make_signal()
    verify_signals(now=NOW)
    make_features(age=-10 * MINUTE, growth_ratio=Decimal("1.6"))
    assert verify_signals(now=NOW + TTL).counts == counts(scanned=1, evaluated=1, updated=1, held=1)
    assert stored(signal) == ("candidate", NOW + 10 * MINUTE, Decimal("0.5"))
    assert verdicts(signal) == [("hold", "")]


def test_an_upgrade_withheld_by_the_rules_being_off_is_written_once() -> None:
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    assert verify_signals(now=NOW + MINUTE).counts == counts()
    make_features(age=-13 * MINUTE, growth_ratio=Decimal("2.5"))
    assert verify_signals(now=NOW + TTL).counts == counts(
        scanned=1, evaluated=1, updated=1, verified=1
    )
    assert verdicts(signal) == [("upgrade", "")]


def test_a_verdict_that_differs_from_the_last_one_adds_a_row() -> None:
    signal = make_signal()
    verify_signals(now=NOW)
    make_features()
    verify_signals(now=NOW + TTL)
    make_population()
    make_features(age=-2 * TTL)
    verify_signals(now=NOW + 2 * TTL)
    assert verdicts(signal) == [
        ("insufficient", "insufficient_evidence"),
        ("insufficient", "feature_missing"),
        ("hold", ""),
    ]


def test_another_missing_feature_is_another_verdict() -> None:
    make_features(growth_ratio=None)
    make_population()
    make_signal()
    verify_signals(now=NOW)
    make_features(age=4 * MINUTE, top10_share=None)
    verify_signals(now=NOW + TTL)
    assert [event.metadata["named"] for event in SignalEvent.objects.order_by("pk")] == [
        ["growth_ratio"],
        ["top10_share"],
    ]


def test_a_verdict_by_other_rules_is_another_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_population()
    make_features()
    make_signal()
    verify_signals(now=NOW)
    other = tmp_path / "rules.yml"
    other.write_text(SHIPPED_RULES.read_text() + "# edited\n")
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(other))
    verify_signals(now=NOW + TTL)
    assert [event.rules_sha256 for event in SignalEvent.objects.order_by("pk")] == [
        load_rules(SHIPPED_RULES).sha256,
        load_rules(other).sha256,
    ]


def test_a_signal_moved_back_to_candidate_by_hand_is_due_at_once_and_its_move_is_written(
    rules_on: None,
) -> None:
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    Signal.objects.filter(pk=signal.pk).update(state="candidate")
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert verdicts(signal) == [("upgrade", ""), ("upgrade", "")]


def test_older_evidence_overwrites_nothing_and_the_look_is_skipped(rules_on: None) -> None:
    make_upgradable()
    newer = AS_OF + SECOND
    signal = make_signal(onchain_asof_ts=newer, onchain_confidence=Decimal("0.5"))
    assert verify_signals(now=NOW).counts == counts(scanned=1, skipped=1)
    assert stored(signal) == ("candidate", newer, Decimal("0.5"))
    assert verdicts(signal) == []
    assert (verification(signal).outcome, verification(signal).next_check_at) == (
        "skipped",
        NOW + TTL,
    )


def test_evidence_as_old_as_what_is_stored_still_moves_the_signal(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal(onchain_asof_ts=AS_OF, onchain_confidence=Decimal(1))
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("verified", AS_OF, Decimal(1))


@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_a_time_that_python_cannot_hold_stops_nothing(rules_on: None, value: str) -> None:
    make_upgradable()
    signal, odd = make_signal(), make_signal()
    execute(f"UPDATE signals SET onchain_asof_ts = '{value}' WHERE id = {odd.pk}")
    assert verify_signals(now=NOW).counts["errors"] == 0
    assert stored(signal)[0] == "verified"
