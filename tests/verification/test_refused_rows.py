"""Rows that the database refuses to read or to claim: each is a failure of its signal alone."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from signals.models import Signal
from signals.verification.candidates import Selection
from signals.verification.intake import take_in
from signals.verification.job import Options, run_job, verify_signals
from signals.verification.run import start_run
from tests.verification.database import execute, refuse, stored, verification
from tests.verification.expected import TTL, counts
from tests.verification.sample_rows import (
    MINUTE,
    NOW,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db

VALID = ("verified", NOW - 5 * MINUTE, Decimal(1))


def make_unreadable(signal: Signal, code: str) -> None:
    """Make every statement fail that reads the token_ca of the signal's event, with that SQLSTATE.

    Among many events each is read by an index, and not with all others.
    """
    execute(
        "INSERT INTO events (event_key, start_ts, last_ts) "
        "SELECT 'many-' || n, now(), now() FROM generate_series(1, 20000) n",
        "ANALYZE events",
        f"CREATE FUNCTION unreadable() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE 'cannot be read' USING ERRCODE = '{code}'; END $$",
        "ALTER TABLE events RENAME TO all_events",
        f"CREATE VIEW events AS SELECT event_key, CASE WHEN event_key = '{signal.event_id}' "
        f"THEN unreadable() ELSE token_ca END AS token_ca FROM all_events",
    )


@pytest.mark.parametrize("code", ["22021", "XX001"])
def test_a_row_that_cannot_be_read_is_a_failure_of_its_signal_and_ends_dead(
    rules_on: None, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_upgradable()
    bad, *others = [make_signal() for _ in range(30)]
    make_unreadable(bad, code)
    report = verify_signals(now=NOW)
    assert report.counts == counts(scanned=30, evaluated=29, updated=29, errors=1, verified=29)
    assert {stored(signal) for signal in others} == {VALID}
    row = verification(bad)
    assert (row.attempts, row.leased_until, row.next_check_at) == (1, None, NOW + MINUTE)
    assert row.error.endswith(": 'cannot be read'")
    assert f"signal {bad.pk}: {row.error} (failure 1)" in caplog.text
    for minutes in (1, 3, 7, 15):
        assert verify_signals(now=NOW + minutes * MINUTE).counts == counts(scanned=1, errors=1)
    assert verification(bad).status == "dead"
    assert stored(bad) == ("candidate", None, None)


def test_a_row_that_can_be_read_again_is_checked(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    make_unreadable(signal, "22021")
    verify_signals(now=NOW)
    execute("DROP VIEW events", "ALTER TABLE all_events RENAME TO events")
    assert verify_signals(now=NOW + MINUTE).counts["verified"] == 1


def test_a_row_that_cannot_be_read_stops_no_dry_run(rules_on: None) -> None:
    make_upgradable()
    bad, _ = make_signal(), make_signal()
    make_unreadable(bad, "22021")
    report = verify_signals(now=NOW, dry_run=True)
    assert report.counts == counts(scanned=2, evaluated=1, updated=1, errors=1, verified=1)


def test_a_row_that_cannot_be_claimed_at_all_stops_nobody(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    make_upgradable()
    bad, other = make_signal(age=30 * MINUTE), make_signal()
    take_in(start_run(NOW))
    refuse("signal_verifications", "signal_id", bad)
    for _ in range(2):
        report = run_job(Options(limit=None, batch_size=1), now=NOW)
        assert report.counts["errors"] == 1
        assert f"signal {bad.pk}: " in caplog.text
        assert "(not stored)" in caplog.text
        caplog.clear()
    assert stored(other)[0] == "verified"
    assert verification(bad).status == "waiting"


def test_a_measurement_that_cannot_be_read_is_a_failure_of_its_token_alone(rules_on: None) -> None:
    make_upgradable()
    huge = "0x" + "cd" * 20
    make_features(address=huge)
    with connection.cursor() as cursor:  # of which version 1 stores one less
        cursor.execute(
            "UPDATE onchain_features SET calc_version = 1, growth_ratio = repeat('9', 131072)::numeric "
            "WHERE address = %s",
            [huge],
        )
    bad, good = make_signal(token_ca=huge), make_signal()
    assert verify_signals(now=NOW).counts == counts(
        scanned=2, evaluated=1, updated=1, errors=1, verified=1
    )
    assert "overflows numeric format" in verification(bad).error
    assert stored(good) == VALID


def test_a_signal_of_a_time_that_cannot_be_added_to_is_young() -> None:
    signal = make_signal()
    execute(f"UPDATE signals SET created_at = '294276-12-31' WHERE id = {signal.pk}")
    options = Options(selection=Selection(ids=(signal.pk,)))
    assert run_job(options, now=NOW).counts == counts()
    assert verification(signal).status == "waiting"


def test_a_row_that_newer_evidence_cannot_wake_stops_nobody(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    bad, other = make_signal(age=timedelta(days=1)), make_signal(age=timedelta(days=1))
    verify_signals(now=NOW)
    refuse("signal_verifications", "signal_id", bad)
    make_population(now=NOW + TTL)
    make_features(growth_ratio=Decimal("2.5"), now=NOW + TTL)
    for n in range(2):
        counted = verify_signals(now=NOW + TTL + n * MINUTE).counts
        assert (counted["errors"], counted["verified"]) == (1, 1 - n)
        assert f"signal {bad.pk}: " in caplog.text
        caplog.clear()
    assert stored(other)[0] == "verified"


def test_a_row_that_cannot_be_made_dead_stops_nobody(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    make_upgradable()
    bad, other = make_signal(), make_signal()
    make_unreadable(bad, "22021")
    verify_signals(now=NOW)
    execute(
        "UPDATE signal_verifications SET attempts = 4 WHERE status = 'waiting'",
        "CREATE FUNCTION immortal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
        "CREATE TRIGGER immortal BEFORE UPDATE ON signal_verifications FOR EACH ROW "
        "WHEN (NEW.status = 'dead') EXECUTE FUNCTION immortal()",
    )
    report = verify_signals(now=NOW + MINUTE)
    assert (report.outcome, report.counts["errors"]) == ("finished", 1)
    assert f"signal {bad.pk}: it cannot be made dead: ProgrammingError: 'no'" in caplog.text
    row = verification(bad)
    assert (row.status, row.attempts, row.leased_until) == ("waiting", 5, None)
    assert stored(other)[0] == "verified"


def test_a_named_row_that_cannot_be_taken_in_stops_no_other(rules_on: None) -> None:
    make_upgradable()
    bad, other = make_signal(), make_signal()
    refuse("signal_verifications", "signal_id", bad)
    report = run_job(Options(selection=Selection(ids=(bad.pk, other.pk))), now=NOW)
    assert (report.counts["errors"], report.counts["verified"]) == (1, 1)
    assert stored(other) == VALID
