"""Several runs at once, each with a connection of its own."""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from signals.models import Signal, SignalEvent, SignalVerification
from signals.verification.candidates import Batch, claim
from signals.verification.evaluation import Failure, evaluate_batch
from signals.verification.intake import take_in
from signals.verification.job import Options, run_job, run_once, verify_signals
from signals.verification.judging import judge
from signals.verification.run import Run, start_run
from signals.verification.schema import REQUIRED_MIGRATIONS
from signals.verification.tokens import Token
from signals.verification.writing import write_evaluations, write_failures
from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT
from tests.postgres.manage_process import ManageProcess
from tests.postgres.polling import wait_until
from tests.verification.database import stored, verdicts, verification
from tests.verification.expected import LEASE
from tests.verification.sample_rows import NOW, make_features, make_signal, make_upgradable

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the function in a thread with its own connection, and return what it returned."""

    def call() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=DEADLINE)


def rows_of(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def claimed() -> tuple[Run, Batch]:
    """Return a run that has claimed what is due."""
    run = start_run(NOW)
    take_in(run)
    return run, claim(run, 100)


def test_a_look_that_another_run_has_overtaken_is_skipped(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    run, batch = claimed()
    evaluations, _ = evaluate_batch(run, batch)
    assert in_thread(verify_signals, now=NOW + LEASE).counts["updated"] == 1
    assert write_evaluations(run, evaluations) == []
    assert verdicts(signal) == [("upgrade", "")]


@pytest.mark.parametrize("evidence", [True, False])
def test_an_overtaken_look_is_skipped_also_when_the_signal_stayed_a_candidate(
    evidence: bool,
) -> None:
    if evidence:
        make_upgradable()
    signal = make_signal()
    run, batch = claimed()
    evaluations, _ = evaluate_batch(run, batch)
    in_thread(verify_signals, now=NOW + LEASE)
    assert write_evaluations(run, evaluations) == []
    assert write_failures(run, [Failure(batch.candidates[0], "late")]) == []
    assert verification(signal).checks == 1
    assert len(verdicts(signal)) == 1


def test_a_signal_that_another_session_holds_is_skipped_without_waiting(rules_on: None) -> None:
    make_upgradable()
    held, free = make_signal(), make_signal()
    with transaction.atomic():
        Signal.objects.select_for_update().get(pk=held.pk)
        counts = in_thread(verify_signals, now=NOW).counts
    assert (counts["scanned"], counts["verified"], counts["skipped"]) == (2, 1, 1)
    assert stored(held)[0] == "candidate"
    assert stored(free)[0] == "verified"
    assert verify_signals(now=NOW).counts["verified"] == 1


def test_a_held_signal_is_skipped_also_when_it_is_judged_in_the_database(rules_on: None) -> None:
    make_upgradable()
    held, free = make_signal(), make_signal()
    run = start_run(NOW)
    take_in(run)
    run.evidence.read_newest(connection, [Token("ethereum", "any")], NOW)
    with transaction.atomic():
        Signal.objects.select_for_update().get(pk=held.pk)
        batch, counts = in_thread(judge, run, 10)
        assert (batch.candidates, batch.is_last) == ([], True)
        assert counts == {"scanned": 2, "evaluated": 1, "verified": 1, "updated": 1, "skipped": 1}
    assert judge(run, 10)[1] == {}  # each run claims a signal once
    assert (verification(held).checks, verification(held).leased_until) == (0, None)
    assert stored(free)[0] == "verified"
    assert verify_signals(now=NOW).counts["verified"] == 1


def test_an_intake_that_waited_sees_what_was_written_meanwhile() -> None:
    moved, left = make_signal(), make_signal()
    first, second = start_run(NOW), start_run(NOW)
    waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            take_in(first)
            waiting = pool.submit(in_thread, take_in, second)
            wait_until(lambda: in_thread(rows_of, waits), "the other intake waits")
            SignalVerification.objects.filter(pk=moved.pk).delete()
            Signal.objects.filter(pk=moved.pk).update(state="verified")
        waiting.result(DEADLINE)
    assert list(SignalVerification.objects.values_list("pk", flat=True)) == [left.pk]


def test_a_signal_moved_by_hand_during_a_run_keeps_its_state(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    run, batch = claimed()
    evaluations, _ = evaluate_batch(run, batch)
    Signal.objects.filter(pk=signal.pk).update(state="downgraded")
    assert write_evaluations(run, evaluations) == []
    assert stored(signal) == ("downgraded", None, None)


def test_a_signal_deleted_during_a_run_is_skipped(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    run, batch = claimed()
    evaluations, _ = evaluate_batch(run, batch)
    signal.delete()
    assert write_evaluations(run, evaluations) == []


def test_a_run_opens_no_transaction_each_statement_is_one() -> None:
    make_signal()
    make_features()
    inside: list[str] = []

    def spy(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if connection.in_atomic_block:
            inside.append(str(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(spy):
        assert verify_signals(now=NOW).counts["evaluated"] == 1
    assert inside == []


@pytest.mark.parametrize("batch_size", [3, 1000])
@pytest.mark.parametrize("mode", ["on", "off"])
def test_runs_in_threads_write_every_verdict_once(
    monkeypatch: pytest.MonkeyPatch, mode: str, batch_size: int
) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", mode)
    make_upgradable()
    signals = [make_signal() for _ in range(60)]
    barrier = threading.Barrier(4)

    def work() -> dict[str, int]:
        try:
            barrier.wait(DEADLINE)
            return run_job(Options(limit=1000, batch_size=batch_size), now=NOW).counts
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        counts = [future.result(DEADLINE) for future in [pool.submit(work) for _ in range(4)]]
    assert sum(count["updated"] for count in counts) == len(signals)
    assert sum(count["errors"] for count in counts) == 0
    assert SignalEvent.objects.count() == len(signals)
    assert SignalEvent.objects.values("signal").distinct().count() == len(signals)


@pytest.fixture
def migrations_recorded() -> Iterator[None]:
    """Lets a process of its own find the migrations recorded, also under --no-migrations."""
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    missing = [
        name
        for name in REQUIRED_MIGRATIONS
        if ("signals", name) not in recorder.applied_migrations()
    ]
    for name in missing:
        recorder.record_applied("signals", name)
    yield
    for name in missing:
        recorder.record_unapplied("signals", name)


def test_two_processes_at_once_write_every_verdict_once(migrations_recorded: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
    make_upgradable(now=now)
    signals = [make_signal(now=now) for _ in range(100)]
    place = connection.settings_dict
    keys = ("host", "port", "user", "password")
    query = urlencode(
        {key: place[key.upper()] for key in keys if place[key.upper()]}, quote_via=quote
    )
    environ = {
        **os.environ,
        "DATABASE_URL": f"postgresql:///{place['NAME']}?{query}",
        "ONCHAIN_RULES": "on",
    }
    words = ("verify_signal", "--json", "--limit", "1000")
    processes = [ManageProcess(*words, cwd=ROOT, env=environ) for _ in range(2)]
    results = [process.communicate(timeout=DEADLINE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    counts = [json.loads(output) for output, _ in results]
    assert sum(count["updated"] for count in counts) == len(signals)
    assert sum(count["verified"] for count in counts) == len(signals)
    assert SignalEvent.objects.count() == len(signals)
    assert SignalVerification.objects.filter(checks=1).count() == len(signals)


def test_a_run_heals_a_connection_that_the_server_closed() -> None:
    make_signal()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

    def terminate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    in_thread(terminate)
    assert run_once()["insufficient"] == 1
