"""The job as tasks of procrastinate and of django.tasks, run by their real workers."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT, Database
from tests.postgres.polling import wait_until

SIGNALS = 3000
FILL = f"""
INSERT INTO events (event_key, token_ca, start_ts, last_ts)
SELECT 'event-' || n, '0x' || lpad(to_hex(n), 40, '0'), now(), now()
FROM generate_series(1, {SIGNALS}) n;
INSERT INTO signals (event_key, created_at)
SELECT event_key, now() - interval '1 hour' FROM events;
INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, addr_active, growth_ratio,
    top10_share, self_loop_ratio, calc_version)
SELECT 'ethereum', token_ca, now(), 60, 5, 1.5, 0.9, 0.9, 2 FROM events
"""

DEFER = (
    "import project.setup; from signals.verification.queues.procrastinate_tasks import defer_chunks; "
    "defer_chunks"
)


class Site:
    """A migrated database with candidates, and processes of manage.py on it."""

    def __init__(self, database: Database, stack: ExitStack, **environ: str) -> None:
        self.database = database
        self._stack = stack
        self._environ = {
            **os.environ,
            "DATABASE_URL": database.url,
            "ONCHAIN_RULES": "on",
            "ONCHAIN_LEASE_SEC": "10",
            **environ,
        }

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a process that is killed when the test ends."""
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=self._environ, stderr=subprocess.DEVNULL
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def run(self, *words: str) -> None:
        """Run a process that ends well."""
        subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self._environ,
            check=True,
            capture_output=True,
            timeout=DEADLINE,
        )

    def ask(self, question: str) -> Any:
        """Return the one value that answers the question."""
        with self.database.connect() as session:
            row = session.execute(question).fetchone()  # type: ignore[arg-type]
            return row and row[0]

    def verdicts(self) -> int:
        """Return the number of verdicts so far."""
        return int(self.ask("SELECT count(*) FROM signal_events"))

    def hang_in_a_later_batch(self) -> None:
        """Let the write of a batch that is not the first one take as long as the test wants."""
        with self.database.connect() as session:
            session.execute(
                "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep(1000); RETURN NEW; END $$"
            )
            session.execute(
                f"CREATE TRIGGER hang BEFORE INSERT ON signal_events FOR EACH ROW "
                f"WHEN (NEW.signal_id > {2 * SIGNALS // 3}) EXECUTE FUNCTION hang()"
            )

    def kill_while_it_writes(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill the worker in the middle of a run, when a batch hangs."""
        sleepers = (
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        wait_until(lambda: self.ask(sleepers), "the worker writes a later batch")
        worker.kill()
        worker.wait()
        self.ask(f"SELECT count(pg_terminate_backend(pid, 10000)) FROM ({sleepers}) each")
        with self.database.connect() as session:
            session.execute("DROP TRIGGER hang ON signal_events")
        assert 0 < self.verdicts() < SIGNALS

    def is_done(self) -> bool:
        """Return whether no signal is a candidate any more."""
        return not self.ask("SELECT EXISTS (SELECT FROM signals WHERE state = 'candidate')")

    def holds_each_verdict_once(self) -> bool:
        """Return whether each signal has exactly one verdict."""
        counts = "SELECT count(*) = count(DISTINCT signal_id) FROM signal_events"
        return self.verdicts() == SIGNALS and bool(self.ask(counts))


@pytest.fixture
def site(copy: Callable[[str], Database]) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def make(queue: str, **environ: str) -> Site:
            made = Site(copy("clean 0013"), stack, TASK_QUEUE=queue, **environ)
            made.run("manage.py", "migrate", "--no-input")
            with made.database.connect() as session:
                session.execute(FILL)
            return made

        yield make


def test_a_worker_of_procrastinate_that_is_killed_loses_nothing_and_writes_nothing_twice(
    site: Callable[..., Site],
) -> None:
    made = site("procrastinate")
    made.hang_in_a_later_batch()
    words = ("manage.py", "procrastinate", "worker", "--queues", "verify_signal")
    worker = made.start(*words)
    made.kill_while_it_writes(worker)
    made.start(*words)
    wait_until(made.is_done, "the next worker has done what the killed one left")
    assert made.holds_each_verdict_once()


def test_chunks_wait_once_in_a_queue_without_workers(site: Callable[..., Site]) -> None:
    made = site("procrastinate")
    made.run("-c", f"{DEFER}(0); defer_chunks(1)")
    jobs = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"
    assert made.ask(jobs) == 1
    made.run("manage.py", "procrastinate", "worker", "--one-shot", "--queues", "verify_signal")
    assert made.is_done()
    assert made.ask(jobs) == 0


def test_a_run_that_stops_is_a_failed_job_of_procrastinate(site: Callable[..., Site]) -> None:
    made = site("procrastinate", ONCHAIN_RULES="neither")
    made.run("-c", f"{DEFER}(0)")
    made.start("manage.py", "procrastinate", "worker", "--one-shot", "--queues", "verify_signal")
    failed = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'"
    wait_until(lambda: made.ask(failed), "the job has failed")
    assert made.verdicts() == 0


ENQUEUE = "import project.setup; from signals.verification.queues.django_task import verify; verify.enqueue()"
WORKER = ("manage.py", "db_worker", "--no-startup-delay", "--no-reload", "--interval", "0.1")


def test_a_worker_of_django_tasks_that_is_killed_loses_nothing_and_writes_nothing_twice(
    site: Callable[..., Site],
) -> None:
    made = site("django")
    made.hang_in_a_later_batch()
    made.run("-c", ENQUEUE)
    worker = made.start(*WORKER)
    made.kill_while_it_writes(worker)
    made.start(*WORKER)

    def next_minute() -> bool:
        made.run("-c", ENQUEUE)
        return made.is_done()

    wait_until(next_minute, "the next worker has done what the killed one left")
    assert made.holds_each_verdict_once()


def test_the_result_of_a_task_has_the_counts(site: Callable[..., Site]) -> None:
    made = site("django")
    made.run("-c", ENQUEUE)
    made.run(*WORKER, "--batch")
    status, counts = made.ask(
        "SELECT ARRAY[status, (return_value ->> 'downgraded')] FROM django_tasks_database_dbtaskresult"
    )
    assert (status, counts) == ("SUCCESSFUL", str(SIGNALS))
