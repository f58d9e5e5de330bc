"""Real processes that migrate a real database, killed with -9 while another session is in their way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import psycopg
import pytest

from tests.databases import new_database
from tests.operations import bench

pytestmark = pytest.mark.usefixtures("empty_bench")

ROOT = Path(__file__).resolve().parents[2]
INDEX = "idx_signals_state_created_at"
COMPLETE = f"""
SELECT 1 FROM pg_attribute, pg_constraint, pg_index
WHERE attrelid = 'signals'::regclass AND attname = 'state' AND attnotnull
AND conrelid = attrelid AND conname = 'signals_state_check' AND convalidated
AND indrelid = attrelid AND indexrelid = to_regclass('{INDEX}') AND indisvalid
"""


class Database:
    """A database with the application's migrations up to 0011, and processes that migrate it further."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.watcher = psycopg.connect(url, autocommit=True)
        self.processes: list[subprocess.Popen[str]] = []

    def start(
        self, *arguments: str, name: str = "migrator", **variables: str
    ) -> "subprocess.Popen[str]":
        return self._start(
            [sys.executable, "manage.py", *arguments],
            {"DATABASE_URL": self.url, "PGAPPNAME": name, **variables},
        )

    def psql(self, script: str) -> "subprocess.Popen[str]":
        """A stranger's psql that runs the script."""
        command = [
            bench.psql_binary(),
            "-X",
            "-q",
            "-d",
            self.url,
            "-c",
            "SET client_connection_check_interval = 0",
        ]
        with NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            process = self._start([*command, "-f", file.name], {"PGAPPNAME": "stranger"})
            self.until(migrating("CREATE INDEX CONCURRENTLY%", "stranger"))
        return process

    def _start(self, command: list[str], variables: dict[str, str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def finish(self, *arguments: str) -> str:
        return self.result(self.start(*arguments))

    def result(self, process: "subprocess.Popen[str]") -> str:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        return output

    def kill(self, process: "subprocess.Popen[str]") -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        assert process.returncode == -signal.SIGKILL

    def until(self, question: str) -> list[Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.watcher.execute(question).fetchall()  # type: ignore[arg-type]
            if found:
                return found
        running = [process.poll() for process in self.processes]
        raise AssertionError(f"never true: {question} (processes: {running})")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.watcher.close()


@pytest.fixture(scope="module")
def before_0012(cleared_bench: None, django_db_blocker: Any) -> Iterator[str]:
    """The URL of a database that the migrations up to 0011 have made; each test takes a copy."""
    with django_db_blocker.unblock(), new_database() as url:
        made = Database(url)
        made.finish("migrate", "signals", "0011", "-v0")
        made.close()
        yield url


@pytest.fixture
def database(before_0012: str) -> Iterator[Database]:
    name = psycopg.conninfo.conninfo_to_dict(before_0012)["dbname"]
    with psycopg.connect(bench.conninfo(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")  # type: ignore[arg-type]
        made = Database(before_0012.replace(str(name), f"{name}_copy"))
        try:
            yield made
        finally:
            made.close()
            server.execute(f"DROP DATABASE {name}_copy WITH (FORCE)")  # type: ignore[arg-type]


def migrating(query: str, name: str = "migrator") -> str:
    return (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND application_name LIKE '{name}%' AND query LIKE '{query}' AND wait_event_type = 'Lock'"
    )


def said(process: "subprocess.Popen[str]", text: str) -> bool:
    """Whether the process prints the text within half a minute; the rest is read by who ends it."""
    assert process.stdout is not None
    deadline = threading.Timer(30, process.kill)
    deadline.start()
    try:
        return any(text in line for line in process.stdout)
    finally:
        deadline.cancel()


def test_killed_while_it_waits_for_a_lock_leaves_nothing_and_the_next_run_does_it_all(
    database: Database,
) -> None:
    with psycopg.connect(database.url) as reader:
        reader.execute("LOCK TABLE signals IN ACCESS SHARE MODE")
        process = database.start("migrate", "signals", "0012")
        database.until(migrating("ALTER TABLE%"))
        database.kill(process)
        assert not database.watcher.execute(
            "SELECT FROM pg_attribute WHERE attrelid = 'signals'::regclass AND attname = 'state'"
        ).fetchall()
    database.finish("migrate", "signals", "0012")
    database.until(COMPLETE)


@contextmanager
def old_snapshot(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A session that keeps concurrent builds from ending."""
    with psycopg.connect(database.url, application_name="old report") as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1")
        yield holder


def test_a_strangers_build_goes_on_without_its_client_and_the_next_run_waits_for_it(
    database: Database,
) -> None:
    """To drop the index would be to kill a healthy build."""
    script = database.finish("sqlmigrate", "signals", "0012")
    with old_snapshot(database) as holder:
        process = database.psql(script)
        ((pid,),) = database.until(migrating("CREATE INDEX CONCURRENTLY%", "stranger"))
        database.kill(process)
        question = f"SELECT '{INDEX}'::regclass::oid"
        number = database.until(question)
        second = database.start("migrate", "signals", "0012", name="second")
        assert said(
            second, f"another session builds it; waiting for a stranger: pid {pid}, stranger, "
        )
        assert said(
            second,
            f'the build of pid {pid} on "signals" (waiting for old snapshots): '
            f"pid {holder.info.backend_pid}, old report, ",
        )
        assert second.poll() is None
    database.result(second)
    assert database.until(question) == number
    database.until(COMPLETE)


def test_killed_while_it_builds_an_index_the_server_ends_the_build_and_the_next_run_heals(
    database: Database,
) -> None:
    with old_snapshot(database):
        process = database.start("migrate", "signals", "0012")
        ((pid,),) = database.until(migrating("CREATE INDEX CONCURRENTLY%"))
        database.kill(process)
        database.until(
            f"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})"
        )
        database.until(
            f"SELECT 1 FROM pg_index WHERE indexrelid = '{INDEX}'::regclass AND NOT indisvalid"
        )
    database.finish("migrate", "signals", "0012")
    database.until(COMPLETE)


WATCHED = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
AND application_name LIKE '%watch' AND query LIKE '%phase%'
"""


def test_a_run_that_is_held_up_says_by_whom_and_how_far_it_is(database: Database) -> None:
    with old_snapshot(database) as holder:
        process = database.start(
            "migrate", "signals", "0012", SIGNALS_OPERATIONS_PROGRESS_INTERVAL="0.2"
        )
        assert said(
            process,
            f"(waiting for old snapshots): pid {holder.info.backend_pid}, old report, user ",
        )
        assert said(process, "waiting for old snapshots, ")
    database.result(process)
    database.until(COMPLETE)


def test_a_run_that_is_held_up_is_silent_if_asked_to_be(database: Database) -> None:
    with old_snapshot(database):
        process = database.start(
            "migrate", "signals", "0012", "-v0", SIGNALS_OPERATIONS_PROGRESS_INTERVAL="0.2"
        )
        database.until(WATCHED)
    assert database.result(process) == ""
    database.until(COMPLETE)


def test_killed_together_with_its_build_leaves_an_invalid_index_that_the_next_run_heals(
    database: Database,
) -> None:
    with old_snapshot(database):
        process = database.start("migrate", "signals", "0012")
        ((pid,),) = database.until(migrating("CREATE INDEX CONCURRENTLY%"))
        database.kill(process)
        database.watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    database.until(
        f"SELECT 1 FROM pg_index WHERE indexrelid = '{INDEX}'::regclass AND NOT indisvalid"
    )
    database.finish("migrate", "signals", "0012")
    database.until(COMPLETE)
