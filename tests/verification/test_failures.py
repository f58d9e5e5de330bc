"""Rows that the database refuses: a trigger stands for whatever makes a real one fail."""

import logging
from datetime import timedelta
from decimal import Decimal

import pytest

from signals.models import SignalEvent, SignalVerification
from signals.verification.evaluation import MAX_FAILURES
from signals.verification.job import verify_signals
from tests.verification.database import refuse, stored, verdicts, verification
from tests.verification.sample_rows import MINUTE, NOW, make_signal, make_upgradable

pytestmark = pytest.mark.django_db

BACKOFFS = [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]


@pytest.mark.parametrize(("table", "column"), [("signals", "id"), ("signal_events", "signal_id")])
def test_a_row_that_is_refused_is_an_error_and_the_others_are_written(
    rules_on: None, table: str, column: str
) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(5)]
    bad = signals.pop(2)
    refuse(table, column, bad)
    counts = verify_signals(now=NOW).counts
    assert (counts["scanned"], counts["evaluated"], counts["errors"]) == (5, 4, 1)
    assert (counts["updated"], counts["verified"], counts["skipped"]) == (4, 4, 0)
    assert {stored(signal)[0] for signal in signals} == {"verified"}
    assert stored(bad) == ("candidate", None, None)
    assert verdicts(bad) == []


def test_a_row_that_keeps_failing_backs_off_and_ends_dead(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    make_upgradable()
    signal = make_signal()
    refuse("signals", "id", signal)
    now = NOW
    for attempt, backoff in enumerate(BACKOFFS, start=1):
        assert verify_signals(now=now).counts["errors"] == 1
        row = verification(signal)
        assert (row.status, row.attempts, row.outcome) == ("waiting", attempt, "failed")
        assert row.next_check_at == now + backoff
        assert verify_signals(now=now + backoff - timedelta(seconds=1)).counts["scanned"] == 0
        now += backoff
    assert verify_signals(now=now).counts["errors"] == 1
    row = verification(signal)
    assert (row.status, row.attempts, row.next_check_at) == ("dead", MAX_FAILURES, None)
    assert row.error == f"ProgrammingError: 'no {'x' * 1000}"[:500]
    assert verify_signals(now=now + timedelta(days=365)).counts["scanned"] == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * MAX_FAILURES
    assert "(dead)" in caplog.records[-1].getMessage()


def test_a_dead_signal_is_looked_at_again_when_its_memory_is_deleted(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    SignalVerification.objects.create(signal=signal, status="dead", outcome="failed", attempts=5)
    assert verify_signals(now=NOW).counts["scanned"] == 0
    verification(signal).delete()
    assert verify_signals(now=NOW).counts["verified"] == 1


def test_a_look_that_succeeds_forgets_the_failures_before_it() -> None:
    signal = make_signal()
    SignalVerification.objects.create(
        signal=signal,
        status="waiting",
        next_check_at=NOW,
        outcome="failed",
        attempts=4,
        checks=4,
        error="once",
    )
    verify_signals(now=NOW)
    row = verification(signal)
    assert (row.attempts, row.checks, row.error, row.outcome) == (0, 5, "", "evaluated")


def test_a_failure_that_cannot_be_stored_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_upgradable()
    bad, good = make_signal(), make_signal()
    refuse("signal_verifications", "signal_id", bad)
    counts = verify_signals(now=NOW).counts
    assert (counts["evaluated"], counts["errors"]) == (1, 1)
    assert stored(good)[2] == Decimal(1)
    assert not SignalEvent.objects.filter(signal=bad).exists()
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.getMessage().startswith(f"signal {bad.pk}: its failure cannot be stored: ")
