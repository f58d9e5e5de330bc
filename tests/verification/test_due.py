"""A signal is checked again when something can have changed, and then only."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signals.models import OnchainFeature, Signal, SignalEvent, SignalVerification
from signals.verification.job import verify_signals
from signals.verification.rules_file import SHIPPED_RULES
from tests.verification.database import execute, verdicts, verification
from tests.verification.expected import STALE_AFTER, TTL, counts
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

DAY = timedelta(days=1)


def make_held() -> Signal:
    make_population()
    make_features()
    return make_signal()


@pytest.mark.parametrize("token_ca", ["0x" + "ab" * 20, "0x" + "cd" * 20, None])
def test_without_a_change_a_signal_is_not_checked_again(token_ca: str | None) -> None:
    make_population()
    make_features(age=-5 * MINUTE)
    make_signal(token_ca=token_ca, age=DAY)
    assert verify_signals(now=NOW + 5 * MINUTE).counts["scanned"] == 1
    for later in (TTL, 2 * TTL, 80 * MINUTE):
        assert verify_signals(now=NOW + 5 * MINUTE + later).counts == counts()


@pytest.mark.parametrize("is_new", [True, False])
def test_the_first_evidence_is_a_check_until_it_is_older_than_seven_days(is_new: bool) -> None:
    signal = make_signal(age=DAY)
    later = NOW + TTL
    verify_signals(now=NOW)
    make_features(age=7 * DAY + timedelta(microseconds=not is_new), now=later)
    assert verify_signals(now=later).counts["scanned"] == is_new
    assert verification(signal).note == ("feature_stale" if is_new else "evidence_delayed")


def test_evidence_that_has_become_stale_is_a_check_and_no_row() -> None:
    signal = make_held()
    verify_signals(now=NOW)
    stale = AS_OF + STALE_AFTER
    assert verify_signals(now=stale - timedelta(microseconds=1)).counts == counts()
    assert verify_signals(now=stale).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verification(signal).note == "feature_stale"
    assert verify_signals(now=stale + DAY).counts == counts()
    assert verdicts(signal) == [("hold", "")]


def test_a_year_of_hold_and_stale_evidence_is_one_row() -> None:
    signal = make_held()
    verify_signals(now=NOW)
    seen = set()
    for day in range(3, 366, 3):
        OnchainFeature.objects.update(as_of_ts=NOW + day * DAY - 60 * MINUTE)  # the population
        OnchainFeature.objects.filter(address=make_features(age=-day * DAY).address).exclude(
            as_of_ts=NOW + day * DAY
        ).delete()
        for later in (timedelta(0), STALE_AFTER):
            assert verify_signals(now=NOW + day * DAY + later).counts["scanned"] == 1
            seen.add(verification(signal).note)
    assert seen == {"", "feature_stale"}
    assert verification(signal).checks == 1 + 2 * 121
    assert verdicts(signal) == [("hold", "")]


def test_stale_evidence_of_a_signal_that_was_never_judged_is_a_row() -> None:
    make_features(age=2 * 60 * MINUTE)
    signal = make_signal()
    verify_signals(now=NOW)
    assert verdicts(signal) == [("insufficient", "feature_stale")]


def test_the_timeout_makes_missing_evidence_delayed() -> None:
    signal = make_signal(age=4 * MINUTE)
    verify_signals(now=NOW)
    after_timeout = NOW + 8 * MINUTE + timedelta(microseconds=1)
    assert verify_signals(now=after_timeout).counts == counts()  # the TTL is not over
    assert verify_signals(now=NOW + TTL).counts["scanned"] == 1
    assert verdicts(signal) == [
        ("insufficient", "insufficient_evidence"),
        ("insufficient", "evidence_delayed"),
    ]


def test_a_timeout_longer_than_the_ttl_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERIFICATION_TIMEOUT_SEC", "7200")
    make_signal(age=0 * MINUTE + 180 * SECOND)
    verify_signals(now=NOW)
    due = NOW - 180 * SECOND + timedelta(seconds=7200)
    assert verify_signals(now=due).counts == counts()
    assert verify_signals(now=due + timedelta(microseconds=1)).counts["scanned"] == 1


def test_other_rules_are_a_check_when_the_ttl_is_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_held()
    verify_signals(now=NOW)
    (tmp_path / "rules.yml").write_text(SHIPPED_RULES.read_text() + "# edited\n")
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(tmp_path / "rules.yml"))
    assert verify_signals(now=NOW + TTL - SECOND).counts == counts()
    assert verify_signals(now=NOW + TTL).counts["held"] == 1
    assert verify_signals(now=NOW + 2 * TTL).counts == counts()
    assert SignalEvent.objects.values("rules_sha256").distinct().count() == 2


def test_evidence_that_counts_from_a_later_time_on_is_waited_for() -> None:
    make_held()
    verify_signals(now=NOW)
    make_features(age=-30 * MINUTE)
    assert verify_signals(now=NOW + 20 * MINUTE).counts == counts()
    assert verify_signals(now=NOW + 28 * MINUTE).counts["scanned"] == 1


def test_evidence_with_a_key_that_comes_late_is_seen() -> None:
    signal = make_held()
    verify_signals(now=NOW)
    make_features(age=MINUTE, pk=1)
    assert verify_signals(now=NOW + TTL).counts["updated"] == 1
    assert verification(signal).as_of == NOW - MINUTE


def test_a_signal_with_a_key_that_comes_late_is_seen() -> None:
    last = make_signal()
    verify_signals(now=NOW)
    early = make_signal(pk=last.pk - 1_000)
    assert verify_signals(now=NOW).counts["scanned"] == 1
    assert verification(early).checks == 1


def test_what_is_checked_often_does_not_delay_what_is_new() -> None:
    """With the rules off a move is withheld for ever, and evidence comes for all."""
    make_upgradable()
    for _ in range(120):
        make_signal()
    for _ in range(12):
        verify_signals(10, now=NOW)
    assert SignalEvent.objects.count() == 120
    new = [make_signal(age=4 * MINUTE, now=NOW + TTL) for _ in range(10)]
    verify_signals(10, now=NOW + TTL)
    assert {verification(signal).checks for signal in new} == {1}


def test_evidence_of_all_does_not_delay_those_due_before() -> None:
    make_held()
    for _ in range(29):
        make_signal()
    verify_signals(now=NOW)
    new = [make_signal(age=5 * MINUTE, now=NOW + TTL) for _ in range(10)]
    make_features(age=-5 * MINUTE)
    verify_signals(10, now=NOW + TTL)
    assert {verification(signal).checks for signal in new} == {1}


def test_a_moved_signal_that_waits_is_settled_and_not_counted() -> None:
    signal = make_held()
    verify_signals(now=NOW)
    make_features(age=MINUTE)
    Signal.objects.filter(pk=signal.pk).update(state="verified")
    assert verify_signals(now=NOW + TTL).counts == counts()
    assert (verification(signal).status, verification(signal).checks) == ("settled", 1)


def test_a_deleted_signal_that_waits_is_settled_and_not_counted() -> None:
    signal = make_held()
    verify_signals(now=NOW)
    make_features(age=MINUTE)
    execute(f"DELETE FROM signals WHERE id = {signal.pk}")
    assert verify_signals(now=NOW + TTL).counts == counts()
    assert SignalVerification.objects.get().status == "settled"


def test_a_growth_of_version_1_at_the_threshold_is_exact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rules_on: None
) -> None:
    rules = SHIPPED_RULES.read_text().replace("fast: 2.0", "fast: 1.0353")
    (tmp_path / "rules.yml").write_text(rules)
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(tmp_path / "rules.yml"))
    make_population()
    make_features(calc_version=1, growth_ratio=Decimal("0.0353"))
    signal = make_signal()
    verify_signals(now=NOW)
    assert verdicts(signal) == [("upgrade", "")]
