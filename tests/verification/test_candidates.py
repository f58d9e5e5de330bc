"""The signals that are due, and their order."""

from datetime import timedelta

import pytest

from signals.models import SignalVerification
from signals.verification.job import verify_signals
from tests.verification.database import execute, verdicts, verification
from tests.verification.expected import TTL, counts
from tests.verification.sample_rows import (
    MINUTE,
    NOW,
    SECOND,
    make_features,
    make_population,
    make_signal,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("age", "scanned"), [(180 * SECOND, 1), (180 * SECOND - SECOND, 0)])
def test_a_candidate_is_due_when_it_is_as_old_as_the_delay(age: timedelta, scanned: int) -> None:
    make_signal(age=age)
    assert verify_signals(now=NOW).counts["scanned"] == scanned


@pytest.mark.parametrize(("delay", "scanned"), [("600", 1), ("601", 0), ("0", 1)])
def test_the_delay_is_a_setting(monkeypatch: pytest.MonkeyPatch, delay: str, scanned: int) -> None:
    monkeypatch.setenv("ONCHAIN_VERIFICATION_DELAY_SEC", delay)
    make_signal(age=600 * SECOND)
    assert verify_signals(now=NOW).counts["scanned"] == scanned


def test_a_longer_delay_holds_for_those_that_were_looked_at_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_signal()
    verify_signals(now=NOW)
    make_features()
    monkeypatch.setenv("ONCHAIN_VERIFICATION_DELAY_SEC", "100000")
    assert verify_signals(now=NOW + TTL).counts["scanned"] == 0


@pytest.mark.parametrize("evidence", [True, False])
def test_after_hold_and_insufficient_a_signal_rests_for_the_ttl(evidence: bool) -> None:
    make_signal()
    if evidence:
        make_population()
        make_features()
    verify_signals(now=NOW)
    make_features(age=MINUTE)
    assert verify_signals(now=NOW + TTL - SECOND).counts["scanned"] == 0
    assert verify_signals(now=NOW + TTL).counts["scanned"] == 1


def test_the_ttl_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERDICT_TTL_SEC", "60")
    make_signal()
    verify_signals(now=NOW)
    make_features()
    assert verify_signals(now=NOW + 59 * SECOND).counts["scanned"] == 0
    assert verify_signals(now=NOW + 60 * SECOND).counts["scanned"] == 1


def test_the_oldest_candidates_come_first_and_no_more_than_the_limit() -> None:
    ages = [30, 20, 50, 40, 10]
    signals = {age: make_signal(age=age * MINUTE) for age in ages}
    for expected in ([50, 40], [30, 20], [10], []):
        seen = set(SignalVerification.objects.filter(checks__gt=0).values_list("pk", flat=True))
        assert verify_signals(2, now=NOW).counts["scanned"] == len(expected)
        now_seen = set(SignalVerification.objects.filter(checks__gt=0).values_list("pk", flat=True))
        assert now_seen - seen == {signals[age].pk for age in expected}


def test_candidates_that_come_again_and_again_never_strand_a_newer_one() -> None:
    old = [make_signal(age=timedelta(days=1), now=NOW) for _ in range(3)]
    for n in range(3):
        verify_signals(1, now=NOW + n * MINUTE)
    make_features()
    newer = make_signal(age=5 * MINUTE, token_ca=None)
    verify_signals(1, now=NOW + TTL)  # the old ones are due again, later than the newer one
    assert verdicts(newer) == [("insufficient", "unresolvable_token")]
    assert {verification(signal).checks for signal in old} == {1}


def test_however_old_a_candidate_is_it_is_looked_at() -> None:
    signal = make_signal(age=timedelta(days=5000))
    execute("UPDATE signals SET created_at = '-infinity'")
    verify_signals(now=NOW)
    assert verdicts(signal) == [("insufficient", "evidence_delayed")]


def test_a_candidate_without_an_age_is_due_first_and_its_evidence_delayed() -> None:
    execute("ALTER TABLE signals ALTER COLUMN created_at DROP NOT NULL")
    make_signal(age=timedelta(days=1))
    ageless = make_signal(age=None)
    assert verify_signals(1, now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(ageless) == [("insufficient", "evidence_delayed")]
    assert verify_signals(now=NOW).counts["scanned"] == 1
    make_features()
    assert verify_signals(now=NOW + TTL).counts["scanned"] == 2


@pytest.mark.parametrize(
    ("dropped", "column"), [(["created_at"], "updated_at"), (["created_at", "updated_at"], "ts")]
)
def test_the_age_is_read_from_the_first_time_column_that_the_table_has(
    dropped: list[str], column: str
) -> None:
    young, old = make_signal(), make_signal()
    for name in dropped:
        execute(f"ALTER TABLE signals DROP COLUMN {name} CASCADE")
    execute(
        f"UPDATE signals SET {column} = '{NOW - MINUTE}' WHERE id = {young.pk}",
        f"UPDATE signals SET {column} = '{NOW - 30 * MINUTE}' WHERE id = {old.pk}",
    )
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(old) == [("insufficient", "evidence_delayed")]
