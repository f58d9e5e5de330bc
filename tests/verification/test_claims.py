"""Claims: batches of due signals that nobody else gets, and what becomes of them."""

import pytest
from django.db import connection

from signals.models import SignalEvent, SignalVerification, VerificationRun
from signals.verification.candidates import Selection, claim, release, renew
from signals.verification.errors import TooManyFailures
from signals.verification.evaluation import evaluate_batch
from signals.verification.intake import take_in
from signals.verification.job import Options, run_job, run_once, verify_signals
from signals.verification.run import Run, start_run
from signals.verification.tally import Stop
from signals.verification.writing import write_evaluations
from tests.verification.database import execute, verdicts, verification
from tests.verification.expected import LEASE, counts
from tests.verification.sample_rows import (
    ADDRESS,
    MINUTE,
    NOW,
    SECOND,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db


def started() -> Run:
    run = start_run(NOW)
    take_in(run)
    return run


def claimed(run: Run, size: int = 100) -> set[int]:
    return {candidate.signal_id for candidate in claim(run, size).candidates}


def test_two_runs_claim_different_signals_the_oldest_first() -> None:
    signals = [make_signal(age=age * MINUTE) for age in (40, 30, 20, 10)]
    first, second = started(), started()
    assert claimed(first, 2) == {signals[0].pk, signals[1].pk}
    assert claimed(second, 3) == {signals[2].pk, signals[3].pk}


def test_what_a_killed_run_claimed_is_due_again_when_the_lease_ends() -> None:
    signal = make_signal()
    claimed(started())
    assert verify_signals(now=NOW + LEASE - SECOND).counts == counts()
    assert verify_signals(now=NOW + LEASE).counts["scanned"] == 1
    assert verification(signal).leased_until is None


def test_a_renewed_lease_ends_later() -> None:
    make_signal()
    run = started()
    batch = claim(run, 100)
    later = start_run(NOW + MINUTE)
    renew(run, batch.candidates)
    execute("UPDATE signal_verifications SET leased_until = leased_until + interval '1 minute'")
    assert claim(start_run(NOW + LEASE), 100).candidates == []
    assert len(claim(start_run(later.read_clock() + LEASE), 100).candidates) == 1


def test_a_lease_is_renewed_only_by_the_run_that_holds_it() -> None:
    make_signal()
    run = started()
    batch = claim(run, 100)
    renew(start_run(NOW + MINUTE), batch.candidates)
    assert SignalVerification.objects.get().leased_until == NOW + LEASE


def test_what_is_released_is_due_at_once_for_others_and_not_for_the_same_run() -> None:
    signal = make_signal()
    run = started()
    release(run, claim(run, 100).candidates)
    assert claimed(run) == set()
    assert claimed(started()) == {signal.pk}


def test_a_verdict_of_a_run_whose_lease_another_run_has_taken_is_not_written() -> None:
    make_upgradable()
    signal = make_signal()
    run = started()
    evaluations, _ = evaluate_batch(run, claim(run, 100))
    other = start_run(NOW + LEASE)
    assert claimed(other) == {signal.pk}
    assert write_evaluations(run, evaluations) == []
    assert verdicts(signal) == []


def test_a_run_checks_a_signal_once_whatever_the_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERDICT_TTL_SEC", "0")
    make_upgradable()
    make_signal()
    report = run_job(Options(limit=None, batch_size=1), now=NOW)
    assert report.counts["scanned"] == 1


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_all_that_is_due_is_checked_in_batches_of_any_size(size: int) -> None:
    for _ in range(7):
        make_signal()
    report = run_job(Options(limit=None, batch_size=size), now=NOW)
    assert report.counts["scanned"] == 7
    assert run_job(Options(limit=None, batch_size=size), now=NOW).counts == counts()


def test_only_the_selected_signals_are_checked() -> None:
    young, old = make_signal(age=MINUTE), make_signal(age=60 * MINUTE)
    other = make_signal(token_ca=None, event_key="solana:AbC")

    def checked(selection: Selection) -> set[int]:
        rows = SignalVerification.objects
        before = set(rows.filter(checks__gt=0).values_list("pk", flat=True))
        run_job(Options(selection=selection), now=NOW)
        return set(rows.filter(checks__gt=0).values_list("pk", flat=True)) - before

    assert checked(Selection(chain="bsc")) == set()
    assert checked(Selection(chain="Solana")) == {other.pk}
    assert checked(Selection(since=NOW - 30 * MINUTE)) == set()
    assert checked(Selection(since=NOW - 90 * MINUTE)) == {old.pk}
    assert checked(Selection(ids=(young.pk,))) == set()  # it is younger than the delay
    late = Selection(ids=(young.pk,))
    assert run_job(Options(selection=late), now=NOW + 3 * MINUTE).counts["scanned"] == 1
    assert run_job(Options(selection=late), now=NOW + 4 * MINUTE).counts["scanned"] == 1


def test_a_stopped_run_writes_no_batch_that_it_has_not_begun() -> None:
    make_signal()
    stop = Stop()
    stop.soon.set()
    report = run_job(Options(), now=NOW, stop=stop)
    assert (report.outcome, report.counts) == ("interrupted", counts())


def test_a_run_stopped_at_once_gives_its_batch_back(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = make_signal(token_ca=f"{ADDRESS} ")  # of a kind that is not judged in the database
    stop = Stop()
    stop.now.set()
    report = run_job(Options(), now=NOW, stop=stop)
    assert report.counts == counts()
    assert (verification(signal).leased_until, verification(signal).checks) == (None, 0)


def test_a_run_is_a_row_also_when_nothing_was_due() -> None:
    run_once()
    row = VerificationRun.objects.get()
    assert (row.outcome, row.counts, row.error) == ("finished", counts(), "")
    assert row.started_at <= row.heartbeat_at <= (row.finished_at or row.started_at)
    assert row.host
    assert row.pid > 0


def test_the_text_of_the_rules_is_kept_once() -> None:
    execute("DELETE FROM verification_rules")
    make_signal()
    first, second = start_run(NOW), start_run(NOW)
    assert first.rules_id == second.rules_id
    verify_signals(now=NOW)
    row = SignalVerification.objects.select_related("rules").get()
    assert row.rules is not None
    assert (row.rules.text, row.rules.sha256) == (first.rules.text, first.rules.sha256)


def test_too_many_failures_stop_the_run_and_make_none_dead(rules_on: None) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(20)]
    refuse_all()
    stopped = verify_signals(now=NOW).stopped
    assert str(stopped).startswith(
        "the run stopped: 20 of 20 checks failed, the first with ProgrammingError: 'wrong'"
    )
    rows = SignalVerification.objects.all()
    assert set(rows.values_list("status", "attempts", "leased_until", "checks")) == {
        ("waiting", 0, None, 0)
    }
    row = VerificationRun.objects.latest("started_at")
    assert (row.outcome, row.error) == ("stopped", str(stopped))
    assert row.counts == counts(scanned=20, errors=20)
    execute("DROP TRIGGER refuse ON signals")
    assert verify_signals(now=NOW).counts["verified"] == len(signals)


def test_the_last_failures_of_a_run_that_stops_later_make_none_dead(rules_on: None) -> None:
    make_upgradable()
    for age in range(40, 20, -1):
        make_signal(age=age * MINUTE)
    verify_signals(now=NOW - 60 * MINUTE)
    execute("UPDATE signal_verifications SET attempts = 4, next_check_at = next_check_at")
    refuse_all()
    report = run_job(Options(batch_size=5), now=NOW)
    assert report.outcome == "stopped"
    assert not SignalVerification.objects.filter(status="dead").exists()


@pytest.mark.parametrize(("signals", "refused", "stops"), [(19, 19, False), (20, 2, False)])
def test_few_failures_stop_nothing(rules_on: None, signals: int, refused: int, stops: bool) -> None:
    make_upgradable()
    made = [make_signal() for _ in range(signals)]
    refuse_all(f"NEW.id <= {made[refused - 1].pk}")
    report = verify_signals(now=NOW)
    assert (report.stopped is not None) is stops
    assert report.counts["errors"] == refused


def refuse_all(condition: str = "true") -> None:
    """Make every write of signals fail that meets the condition."""
    execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {condition} THEN RAISE 'wrong'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON signals FOR EACH ROW EXECUTE FUNCTION refuse()",
    )


@pytest.mark.parametrize("limit", ["5", 2.5, True, None])
def test_a_limit_that_is_no_whole_number_is_refused(limit: object) -> None:
    with pytest.raises(TypeError, match=r"^limit is .* \(a whole number of at least 1\)$"):
        run_once(limit)  # type: ignore[arg-type] # what it is about


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_open", [True, False])
def test_run_once_leaves_the_connection_as_it_was(is_open: bool) -> None:
    make_signal()
    connection.close()
    if is_open:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '77s'; CREATE TEMPORARY TABLE mine ()")
    session = connection.connection
    assert run_once()["scanned"] == 1
    assert connection.connection is session
    if is_open:
        with connection.cursor() as cursor:
            cursor.execute("TABLE mine")
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("77s",)


@pytest.mark.django_db(transaction=True)
def test_run_once_raises_when_too_many_checks_fail(rules_on: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
    make_upgradable(now=now)
    for _ in range(20):
        make_signal(now=now)
    refuse_all()
    try:
        with pytest.raises(TooManyFailures):
            run_once()
    finally:
        execute("DROP TRIGGER refuse ON signals", "DROP FUNCTION refuse")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_share_what_is_due(rules_on: None, workers: int) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(50)]
    report = run_job(Options(limit=None, workers=workers, batch_size=3), now=NOW)
    assert report.counts == counts(scanned=50, evaluated=50, updated=50, verified=50)
    assert SignalEvent.objects.count() == len(signals)


@pytest.mark.django_db(transaction=True)
def test_workers_keep_to_the_limit_together(rules_on: None) -> None:
    for _ in range(20):
        make_signal()
    report = run_job(Options(limit=11, workers=3, batch_size=2), now=NOW)
    assert report.counts["scanned"] == 11
