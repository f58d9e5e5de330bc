"""The verdict on a candidate, by its token and its evidence."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signals.models import Signal, SignalEvent
from signals.verification.candidates import Candidate
from signals.verification.evaluation import map_candidates
from signals.verification.job import verify_signals
from signals.verification.rules_file import SHIPPED_RULES
from tests.verification.database import stored, verdicts
from tests.verification.expected import NO_EVIDENCE, TTL, counts
from tests.verification.sample_rows import (
    MINUTE,
    NOW,
    SECOND,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("age", "note"),
    [
        (720 * SECOND, "insufficient_evidence"),
        (720 * SECOND + SECOND, "evidence_delayed"),
        (timedelta(days=400), "evidence_delayed"),
    ],
)
def test_missing_evidence_is_delayed_when_the_signal_is_older_than_the_timeout(
    age: timedelta, note: str
) -> None:
    signal = make_signal(age=age)
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(signal) == [("insufficient", note)]
    assert stored(signal) == NO_EVIDENCE


def test_the_timeout_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERIFICATION_TIMEOUT_SEC", "1000")
    late, early = make_signal(age=1001 * SECOND), make_signal(age=1000 * SECOND)
    verify_signals(now=NOW)
    assert verdicts(late) == [("insufficient", "evidence_delayed")]
    assert verdicts(early) == [("insufficient", "insufficient_evidence")]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (90 * MINUTE, ("hold", "")),
        (90 * MINUTE + SECOND, ("insufficient", "feature_stale")),
        (-2 * MINUTE, ("hold", "")),
        (-2 * MINUTE - SECOND, ("insufficient", "insufficient_evidence")),
    ],
)
def test_evidence_is_between_ninety_minutes_old_and_two_minutes_ahead(
    age: timedelta, expected: tuple[str, str]
) -> None:
    make_population()
    make_features(age=age)
    signal = make_signal()
    verify_signals(now=NOW)
    assert verdicts(signal) == [expected]
    assert (stored(signal) == NO_EVIDENCE) is (expected[0] == "insufficient")


def test_a_missing_feature_is_insufficient_and_touches_nothing_of_the_signal(
    rules_on: None,
) -> None:
    make_population()
    make_features(growth_ratio=None)
    before = NOW - 60 * MINUTE
    signal = make_signal(onchain_asof_ts=before, onchain_confidence=Decimal("0.5"))
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert stored(signal) == ("candidate", before, Decimal("0.5"))
    assert verdicts(signal) == [("insufficient", "feature_missing")]


def test_fewer_than_two_hundred_rows_make_the_percentile_a_missing_feature() -> None:
    make_population(198)
    make_features()
    make_signal()
    verify_signals(now=NOW)
    event = SignalEvent.objects.get()
    assert (event.note, event.metadata["named"]) == ("feature_missing", ["active_addr_pctl"])
    assert event.features["active_addr_pctl"] is None


def test_growth_of_calc_version_1_is_read_plus_one(rules_on: None) -> None:
    make_population()
    make_features(calc_version=1, growth_ratio=Decimal("1.0"))
    signal = make_signal()
    verify_signals(now=NOW)
    assert stored(signal)[0] == "verified"
    assert SignalEvent.objects.get().features["growth_ratio"] == 2.0


def test_a_token_is_found_whatever_the_case_of_its_evm_address(rules_on: None) -> None:
    make_upgradable(address="0x" + "aB" * 20)
    signal = make_signal(token_ca="0x" + "Ab" * 20)
    verify_signals(now=NOW)
    assert stored(signal)[0] == "verified"


def test_an_event_key_names_the_token_if_token_ca_does_not(rules_on: None) -> None:
    make_population(chain="solana")
    make_features(chain="solana", address="AbC", growth_ratio=Decimal(3))
    found = make_signal(token_ca=None, event_key="solana:AbC:17")
    not_found = make_signal(token_ca=None, event_key="solana:abc:17")
    verify_signals(now=NOW)
    assert stored(found)[0] == "verified"
    assert verdicts(not_found) == [("insufficient", "insufficient_evidence")]


def test_a_token_that_cannot_be_resolved_is_recorded_once() -> None:
    signal = make_signal(token_ca=None)
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    for n in range(1, 4):
        assert verify_signals(now=NOW + n * TTL).counts == counts()
    assert verdicts(signal) == [("insufficient", "unresolvable_token")]


def test_a_signal_without_an_event_is_unresolvable() -> None:
    signal = make_signal()
    Signal.objects.filter(pk=signal.pk).update(event=None)
    verify_signals(now=NOW)
    assert verdicts(signal) == [("insufficient", "unresolvable_token")]
    assert SignalEvent.objects.get().event_key == ""


@pytest.mark.parametrize("text", ["'; DROP TABLE signals; --", "%s %(now)s", "\\", "💩" * 50])
def test_the_text_of_an_event_is_only_text(text: str) -> None:
    signal = make_signal(token_ca=text, event_key=f"solana:{text}")
    assert verify_signals(now=NOW).counts["errors"] == 0
    assert SignalEvent.objects.get().event_key == f"solana:{text}"
    assert Signal.objects.filter(pk=signal.pk).exists()


def test_rules_without_the_deciding_window_decide_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "rules.yml"
    other.write_text(SHIPPED_RULES.read_text().replace("[30, 60, 180]", "[30, 180]"))
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(other))
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    assert verdicts(signal) == [("insufficient", "window_unsupported")]


def test_a_candidate_that_breaks_the_code_is_a_failure_and_only_itself() -> None:
    def candidate(number: int) -> Candidate:
        return Candidate(number, None, None, overdue=False, checks=0, attempts=0)

    def broken(candidate: Candidate) -> int:
        if candidate.signal_id == 2:
            raise RuntimeError("first\nsecond \x00 \ud800")
        return candidate.signal_id

    done, failures = map_candidates([candidate(n) for n in (1, 2, 3)], broken)
    assert [number for _, number in done] == [1, 3]
    assert [(f.candidate.signal_id, f.error) for f in failures] == [(2, "RuntimeError: 'first'")]
