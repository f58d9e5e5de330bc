"""Real processes that migrate a real database, killed at every statement and at drawn moments.

The ordinary run draws twelve moments, the same each time; this draws a hundred new ones:

    NIGHTLY=1 make test ARGS="tests/operations/test_killed.py"

The seed stands in the names of the tests; KILL_SEED=… draws its moments again.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import Any, LiteralString

import psycopg
import pytest

from tests.deadline import DEADLINE
from tests.operations.stoppable_migrators import (
    GATES,
    MigratedDatabase,
    Running,
    database_copy,
    lock_waiters,
)
from tests.postgres.databases import new_database

NIGHTLY = "NIGHTLY" in os.environ
COUNT = 100 if NIGHTLY else 12
# The workers of one run draw the same.
DRAWN = os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(4))[:8]
SEED = os.environ.get("KILL_SEED") or (DRAWN if NIGHTLY else "0012")
WAYS = tuple(map(frozenset, (["process"], ["backend"], ["process", "backend"])))

pytestmark = pytest.mark.usefixtures("committing_connection")

INDEX = "idx_signals_state_created_at"
COMPLETE = f"""
SELECT 1 FROM pg_attribute, pg_constraint, pg_index
WHERE attrelid = 'signals'::regclass AND attname = 'state' AND attnotnull
AND conrelid = attrelid AND conname = 'signals_state_check' AND convalidated
AND indrelid = attrelid AND indexrelid = to_regclass('{INDEX}') AND indisvalid
"""


@pytest.fixture(scope="module")
def before_0012(schemas_dropped: None, django_db_blocker: Any) -> Iterator[str]:
    """The URL of a database that the migrations up to 0011 have made; each test takes a copy."""
    with django_db_blocker.unblock(), new_database() as url:
        made = MigratedDatabase(url)
        made.finish("migrate", "signals", "0011", "-v0")
        made.watcher.execute("INSERT INTO signals (market_type) VALUES ('dex')")
        made.close()
        yield url


@pytest.fixture
def database(before_0012: str) -> Iterator[MigratedDatabase]:
    with database_copy(before_0012) as made:
        yield made


def said(process: Running, text: str) -> bool:
    """Whether the process prints the text in time; the rest is read by who ends it."""
    assert process.stdout is not None
    deadline = threading.Timer(DEADLINE, process.kill)
    deadline.start()
    try:
        return any(text in line for line in process.stdout)
    finally:
        deadline.cancel()


def test_killed_while_it_waits_for_a_lock_leaves_nothing_and_the_next_run_does_it_all(
    database: MigratedDatabase,
) -> None:
    with psycopg.connect(database.url) as reader:
        reader.execute("LOCK TABLE signals IN ACCESS SHARE MODE")
        process = database.start("migrate", "signals", "0012")
        database.until(lock_waiters("ALTER TABLE%"))
        database.kill(process)
        assert not database.watcher.execute(
            "SELECT FROM pg_attribute WHERE attrelid = 'signals'::regclass AND attname = 'state'"
        ).fetchall()
    database.finish("migrate", "signals", "0012")
    database.until(COMPLETE)


@contextmanager
def old_snapshot(database: MigratedDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A session that keeps concurrent builds from ending."""
    with psycopg.connect(database.url, application_name="old report") as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1")
        yield holder


def test_a_strangers_build_goes_on_without_its_client_and_the_next_run_waits_for_it(
    database: MigratedDatabase,
) -> None:
    """To drop the index would be to kill a healthy build."""
    script = database.finish("sqlmigrate", "signals", "0012")
    with old_snapshot(database) as holder:
        process = database.psql(script)
        ((pid,),) = database.until(lock_waiters("CREATE INDEX CONCURRENTLY%", "stranger"))
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
    database: MigratedDatabase,
) -> None:
    with old_snapshot(database):
        process = database.start("migrate", "signals", "0012")
        ((pid,),) = database.until(lock_waiters("CREATE INDEX CONCURRENTLY%"))
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
AND application_name LIKE '%observer' AND query LIKE '%phase%'
"""


def test_a_run_that_is_held_up_says_by_whom_and_how_far_it_is(database: MigratedDatabase) -> None:
    with old_snapshot(database) as holder:
        process = database.start(
            "migrate", "signals", "0012", CONVERGENT_MIGRATIONS_PROGRESS_INTERVAL="0.2"
        )
        assert said(
            process,
            f"(waiting for old snapshots): pid {holder.info.backend_pid}, old report, user ",
        )
        assert said(process, "waiting for old snapshots, ")
    database.result(process)
    database.until(COMPLETE)


def test_a_run_that_is_held_up_is_silent_if_asked_to_be(database: MigratedDatabase) -> None:
    with old_snapshot(database):
        process = database.start(
            "migrate", "signals", "0012", "-v0", CONVERGENT_MIGRATIONS_PROGRESS_INTERVAL="0.2"
        )
        database.until(WATCHED)
    assert database.result(process) == ""
    database.until(COMPLETE)


def test_killed_together_with_its_build_leaves_an_invalid_index_that_the_next_run_heals(
    database: MigratedDatabase,
) -> None:
    with old_snapshot(database):
        process = database.start("migrate", "signals", "0012")
        ((pid,),) = database.until(lock_waiters("CREATE INDEX CONCURRENTLY%"))
        database.kill(process)
        database.watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    database.until(
        f"SELECT 1 FROM pg_index WHERE indexrelid = '{INDEX}'::regclass AND NOT indisvalid"
    )
    database.finish("migrate", "signals", "0012")
    database.until(COMPLETE)


PARTITIONED = """
ALTER TABLE signals RENAME TO signals_whole;
CREATE TABLE signals (LIKE signals_whole INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY)
    PARTITION BY HASH (id);
CREATE TABLE signals_1 PARTITION OF signals FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE signals_2 PARTITION OF signals FOR VALUES WITH (MODULUS 2, REMAINDER 1)
    PARTITION BY HASH (id);
CREATE TABLE signals_21 PARTITION OF signals_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0)
"""
ATTACHED = f"""
SELECT 1 FROM pg_inherits WHERE inhparent = '{INDEX}'::regclass HAVING count(*) = 2
"""


def test_killed_with_its_build_of_a_partitions_index_the_next_run_ends_what_is_left(
    database: MigratedDatabase,
) -> None:
    for sql in PARTITIONED.split(";"):
        database.watcher.execute(sql)  # type: ignore[arg-type]
    leaf = f"signals_21_{INDEX}"
    with psycopg.connect(database.url) as later:
        with old_snapshot(database):
            process = database.start("migrate", "signals", "0012")
            database.until(lock_waiters(f"CREATE INDEX CONCURRENTLY%signals_1_{INDEX}%"))
            # Too young for the build that waits already, and old for the next one.
            later.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            later.execute("SELECT 1")
        ((pid,),) = database.until(lock_waiters(f"CREATE INDEX CONCURRENTLY%{leaf}%"))
        database.kill(process)
        number = database.until(f"SELECT '{leaf}'::regclass::oid")
        database.watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        second = database.start("migrate", "signals", "0012", name="second")
        database.until(lock_waiters("% INDEX CONCURRENTLY%", name="second"))
        assert second.poll() is None
    database.result(second)
    database.until(COMPLETE)
    database.until(ATTACHED)
    assert database.until(f"SELECT '{leaf}'::regclass::oid") != number


def at_once(databases: list[MigratedDatabase]) -> list[Running]:
    """A migrator of each; they start side by side, because starting is what takes time here."""
    return [each.start("migrate", "signals", "0012") for each in databases]


def terminate(database: MigratedDatabase, pid: int) -> None:
    """Ends the backend as an administrator does; returns when it is gone."""
    database.watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


@pytest.fixture
def pair(legacy_url: str) -> Iterator[list[MigratedDatabase]]:
    """Of one the process is killed with -9, of the other the backend is terminated."""
    with database_copy(legacy_url, 1) as first, database_copy(legacy_url, 2) as second:
        yield [first, second]


@dataclass(frozen=True)
class CleanRun:
    """Of an undisturbed run: its catalog, the DDL that the server saw, and its seconds in the database."""

    catalog: list[tuple[Any, ...]]
    sent: list[str]
    seconds: float


@pytest.fixture(scope="module")
def clean_run(legacy_url: str) -> CleanRun:
    with database_copy(legacy_url) as database:
        database.watcher.execute(GATES)
        process = database.start("migrate", "signals", "0012")
        database.until(CONNECTED)
        start = time.monotonic()
        database.result(process)
        seconds = time.monotonic() - start
        sent = database.watcher.execute("SELECT sql FROM gates.sent ORDER BY number").fetchall()
        return CleanRun(database.catalog(), [sql for (sql,) in sent], seconds)


def assert_next_run_completes(pair: list[MigratedDatabase], clean_run: CleanRun) -> None:
    """Of both it ends with 0, and in exactly the catalog of a clean run."""
    runs = [each.start("migrate", "signals", "0012", name="second") for each in pair]
    for database, run in zip(pair, runs, strict=True):
        database.result(run)
        assert database.catalog() == clean_run.catalog


CONNECTED = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name = 'migrator'"
)
# What 0012 sends, and then its record.
STATEMENTS = (
    'ALTER TABLE "signals" ADD COLUMN "state" %',
    'ALTER TABLE "signals" ADD CONSTRAINT "signals_state_check" % NOT VALID%',
    'ALTER TABLE "signals" VALIDATE CONSTRAINT "signals_state_check"%',
    "CREATE INDEX CONCURRENTLY %",
)
RECORD = 'INSERT INTO "django_migrations" %'


def test_the_statements_at_which_it_is_killed_are_all_that_it_sends(
    clean_run: CleanRun,
) -> None:
    assert len(clean_run.sent) == len(STATEMENTS)
    for sql, pattern in zip(clean_run.sent, STATEMENTS, strict=True):
        assert fnmatchcase(sql, pattern.replace("%", "*"))


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    "statement", [*STATEMENTS, RECORD], ids=["column", "check", "validation", "index", "record"]
)
def test_killed_at_a_statement_the_next_run_ends_as_a_clean_run(
    statement: str, place: str, pair: list[MigratedDatabase], clean_run: CleanRun
) -> None:
    """Before it locks anything, or when it has done its work and has not committed.

    Killed with -9, its backend stands there still when the next run begins, and then goes on.
    """
    killed, terminated = pair
    with ExitStack() as gates:
        for database in pair:
            gates.enter_context(database.gate(place, statement))
        process, cut_off = at_once(pair)
        terminate(terminated, terminated.at_the_gate())
        assert pair[1].ends_with_an_error(cut_off)
        killed.at_the_gate()
        killed.kill(process)
        if statement != RECORD:
            second = killed.start("migrate", "signals", "0012", name="second")
            killed.until(CONNECTED.replace("migrator", "second"))
    if statement == RECORD:
        # The record is Django's, and not convergent: a run that begins before it is committed writes
        # another one.
        killed.until(f"SELECT 1 WHERE NOT EXISTS ({CONNECTED})")
        second = killed.start("migrate", "signals", "0012", name="second")
    terminated.finish("migrate", "signals", "0012")
    killed.result(second)
    for database in pair:
        assert database.catalog() == clean_run.catalog


WRITERS, LATER_WRITERS, SNAPSHOTS = (
    "waiting for writers before build",
    "waiting for writers before validation",
    "waiting for old snapshots",
)
WRITE = "INSERT INTO signals (market_type) VALUES ('dex')"
LOOK = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1"


def building(phase: str) -> str:
    return (
        "SELECT pid FROM pg_stat_progress_create_index "
        f"WHERE datname = current_database() AND phase = '{phase}'"
    )


@pytest.mark.parametrize("phase", [WRITERS, LATER_WRITERS, SNAPSHOTS])
def test_killed_in_a_phase_of_the_build_the_next_run_ends_as_a_clean_run(
    phase: str, pair: list[MigratedDatabase], clean_run: CleanRun
) -> None:
    with ExitStack() as sessions:

        def hold(database: MigratedDatabase, sql: LiteralString) -> psycopg.Connection[Any]:
            holder = sessions.enter_context(psycopg.connect(database.url))
            holder.execute(sql)
            return holder

        with ExitStack() as gates:
            for database in pair:
                gates.enter_context(database.gate("before", STATEMENTS[-1]))
            process, cut_off = at_once(pair)
            for database in pair:
                database.at_the_gate()
            holders = [hold(each, LOOK if phase == SNAPSHOTS else WRITE) for each in pair]
        for database, holder in zip(pair, holders, strict=True):
            if phase == LATER_WRITERS:
                database.until(building(WRITERS))
                hold(database, WRITE)
                holder.rollback()
        pids = [int(each.until(building(phase))[0][0]) for each in pair]
        terminate(pair[1], pids[1])
        assert pair[1].ends_with_an_error(cut_off)
        pair[0].kill(process)
    assert_next_run_completes(pair, clean_run)


@pytest.mark.parametrize(
    "number", range(COUNT // 2), ids=lambda number: f"KILL_SEED={SEED}, {number}"
)
def test_killed_at_any_moment_the_next_run_ends_as_a_clean_run(
    number: int, pair: list[MigratedDatabase], clean_run: CleanRun
) -> None:
    dice = Random(f"{SEED} {number}")  # noqa: S311 - no secret
    draws = [(dice.uniform(0, clean_run.seconds), dice.choice(WAYS)) for _ in pair]
    print(f"KILL_SEED={SEED}, {number}: {draws} of {clean_run.seconds:.3f} s")  # noqa: T201 - shown with a failure
    with ThreadPoolExecutor(len(pair)) as pool:
        list(pool.map(kill_at, pair, at_once(pair), draws))
    assert_next_run_completes(pair, clean_run)


def kill_at(
    database: MigratedDatabase, process: Running, draw: tuple[float, frozenset[str]]
) -> None:
    """That long after the migrator has connected; it may have come to its end by then."""
    moment, what = draw
    pid = int(database.until(CONNECTED)[0][0])
    threading.Event().wait(moment)
    if "process" in what:
        process.kill()
    if "backend" in what:
        terminate(database, pid)
    process.communicate(timeout=DEADLINE)
