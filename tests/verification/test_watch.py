"""verify_signal --watch, and workers that are killed, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from signals.models import Signal, SignalEvent, SignalVerification, VerificationRun
from signals.verification.schema import REQUIRED_MIGRATIONS
from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT
from tests.postgres.manage_process import ManageProcess
from tests.postgres.polling import wait_until
from tests.verification.sample_rows import make_signal, make_upgradable

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., ManageProcess]


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """Return the variables of a process on the test database, in which migrations are recorded."""
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    applied = recorder.applied_migrations()
    missing = [name for name in REQUIRED_MIGRATIONS if ("signals", name) not in applied]
    for name in missing:
        recorder.record_applied("signals", name)
    place = connection.settings_dict
    keys = ("host", "port", "user", "password")
    query = urlencode(
        {key: place[key.upper()] for key in keys if place[key.upper()]}, quote_via=quote
    )
    url = f"postgresql:///{place['NAME']}?{query}"
    yield {**os.environ, "DATABASE_URL": url, "ONCHAIN_RULES": "on", "PYTHONUNBUFFERED": "1"}
    for name in missing:
        recorder.record_unapplied("signals", name)


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Start]:
    """Start verify_signal on the test database with these words; what still runs in the end is killed."""
    stack = ExitStack()

    def run(*words: str, **more: str) -> ManageProcess:
        process = ManageProcess("verify_signal", *words, cwd=ROOT, env={**environ, **more})
        stack.enter_context(process)
        stack.callback(process.kill)
        return process

    with stack:
        yield run


def test_the_documented_line_of_python_does_a_run(environ: dict[str, str]) -> None:
    now = server_time()
    make_upgradable(now=now)
    make_signal(now=now)
    line = "import project.setup; from signals.verification.job import run_once; print(run_once())"
    assert line in (ROOT / "docs/verify_signal.md").read_text()
    done = subprocess.run(
        [sys.executable, "-c", line],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "'verified': 1" in done.stdout


def server_time() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def next_run(process: ManageProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_first_signal_ends_the_watch_with_0(start: Start, number: signal.Signals) -> None:
    process = start("--watch", "1", "--json")
    assert next_run(process)["outcome"] == "finished"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=DEADLINE)
    assert (process.wait(), errors) == (0, "")
    assert all(json.loads(line) for line in rest.splitlines())


def test_a_watch_prints_one_object_a_run_and_takes_what_comes(start: Start) -> None:
    now = server_time()
    make_upgradable(now=now)
    process = start("--watch", "1", "--json", "--limit", "all")
    assert next_run(process)["verified"] == 0
    made = make_signal(now=now)
    while not (found := next_run(process))["scanned"]:
        pass
    assert found["verified"] == 1
    assert Signal.objects.get(pk=made.pk).state == "verified"
    assert VerificationRun.objects.count() >= 2


def test_a_watch_goes_on_when_the_server_ends_its_sessions(start: Start) -> None:
    process = start("--watch", "1", "--json")
    next_run(process)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    assert next_run(process)["outcome"] in ("finished", "failed")
    assert next_run(process)["outcome"] == "finished"


def test_a_second_signal_gives_the_batch_back(start: Start) -> None:
    now = server_time()
    make_upgradable(now=now)
    made = make_signal(now=now)
    with connection.cursor() as cursor:  # a write that takes as long as the test wants
        cursor.execute(
            "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(1000); RETURN NEW; END $$; "
            "CREATE TRIGGER hang BEFORE UPDATE ON signals FOR EACH ROW EXECUTE FUNCTION hang()"
        )
    try:
        process = start("--json")
        wait_until(is_sleeping, "the run writes")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)  # a second SIGTERM might come before the first is seen
        _, errors = process.communicate(timeout=DEADLINE)
        assert process.wait() in (128 + signal.SIGTERM, 128 + signal.SIGHUP), errors
        assert "; the last batch was given back" in errors
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER hang ON signals; DROP FUNCTION hang")
    row = SignalVerification.objects.get(pk=made.pk)
    assert (row.leased_until, row.checks) == (None, 0)


def is_sleeping() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        return bool(cursor.fetchone()[0])


def test_killed_workers_lose_nothing_and_write_nothing_twice(start: Start) -> None:
    now = server_time()
    make_upgradable(now=now)
    for _ in range(300):
        make_signal(now=now)
    words = ("--limit", "all", "--batch-size", "10", "--json")
    for _ in range(4):
        process = start(*words, ONCHAIN_LEASE_SEC="10")
        before = SignalEvent.objects.count()
        wait_until(lambda done=before: SignalEvent.objects.count() > done, "the worker has written")
        process.kill()
        process.wait()
    wait_until(lambda: finish(start, words), "the leases of the killed have ended")
    assert SignalEvent.objects.count() == 300
    assert SignalEvent.objects.values("signal").distinct().count() == 300


def finish(start: Start, words: tuple[str, ...]) -> bool:
    """Run once more; return whether all are verified, which takes until the leases of the killed end."""
    process = start(*words, ONCHAIN_LEASE_SEC="10")
    process.communicate(timeout=DEADLINE)
    return not Signal.objects.filter(state="candidate").exists()
