"""Rows that the database refuses: a trigger stands for whatever makes a real one fail."""

import logging
from datetime import timedelta
from decimal import Decimal

import pytest

from signals.models import Signal, SignalEvent, SignalVerification
from signals.verification.candidates import Candidate
from signals.verification.job import each, run
from signals.verification.writing import PATIENCE
from tests.verification.builders import (
    MINUTE,
    NOW,
    execute,
    make_signal,
    make_upgradable,
    memory,
    stored,
    verdicts,
)

pytestmark = pytest.mark.django_db

BACKOFFS = [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]


def refuse(table: str, column: str, signal: Signal) -> None:
    """Makes every write of that signal's row in the table fail."""
    execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.{column} = {signal.pk} THEN RAISE 'no %', repeat('x', 1000); END IF; "
        f"RETURN NEW; END $$",
        f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION refuse()",
    )


@pytest.mark.parametrize(("table", "column"), [("signals", "id"), ("signal_events", "signal_id")])
def test_a_row_that_is_refused_is_an_error_and_the_others_are_written(
    rules_on: None, table: str, column: str
) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(5)]
    bad = signals.pop(2)
    refuse(table, column, bad)
    counts = run(now=NOW).counts
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
        assert run(now=now).counts["errors"] == 1
        row = memory(signal)
        assert (row.status, row.attempts, row.outcome) == ("waiting", attempt, "failed")
        assert row.next_check_at == now + backoff
        assert run(now=now + backoff - timedelta(seconds=1)).counts["scanned"] == 0
        now += backoff
    assert run(now=now).counts["errors"] == 1
    row = memory(signal)
    assert (row.status, row.attempts, row.next_check_at) == ("dead", PATIENCE, None)
    assert row.error == f"ProgrammingError: 'no {'x' * 1000}"[:500]
    assert run(now=now + timedelta(days=365)).counts["scanned"] == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * PATIENCE
    assert "(dead)" in caplog.records[-1].getMessage()


def test_a_dead_signal_is_looked_at_again_when_its_memory_is_deleted(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    SignalVerification.objects.create(signal=signal, status="dead", outcome="failed", attempts=5)
    assert run(now=NOW).counts["scanned"] == 0
    memory(signal).delete()
    assert run(now=NOW).counts["verified"] == 1


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
    run(now=NOW)
    row = memory(signal)
    assert (row.attempts, row.checks, row.error, row.outcome) == (0, 5, "", "evaluated")


def test_a_failure_that_cannot_be_stored_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_upgradable()
    bad, good = make_signal(), make_signal()
    refuse("signal_verifications", "signal_id", bad)
    counts = run(now=NOW).counts
    assert (counts["evaluated"], counts["errors"]) == (1, 1)
    assert stored(good)[2] == Decimal(1)
    assert not SignalEvent.objects.filter(signal=bad).exists()
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.getMessage().startswith(f"signal {bad.pk}: its failure cannot be stored: ")


def test_a_candidate_that_breaks_the_code_is_a_failure_and_only_itself() -> None:
    def candidate(number: int) -> Candidate:
        return Candidate(number, None, None, overdue=False, checks=0, attempts=0)

    def broken(candidate: Candidate) -> int:
        if candidate.signal == 2:
            raise RuntimeError("first\nsecond \x00 \ud800")
        return candidate.signal

    done, failures = each([candidate(n) for n in (1, 2, 3)], broken)
    assert [number for _, number in done] == [1, 3]
    assert [(f.candidate.signal, f.error) for f in failures] == [(2, "RuntimeError: 'first'")]
