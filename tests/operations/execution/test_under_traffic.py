"""Run 0012 by real processes while sessions read, write and stand in its way.

The table with a million rows is for the nightly form; the ordinary run makes do with fewer:

    NIGHTLY=1 make test ARGS="tests/operations/execution/test_under_traffic.py"
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.deadline import DEADLINE
from tests.operations.stoppable_migrators import MigratedDatabase, database_copy, lock_waiters
from tests.operations.traffic import Traffic
from tests.postgres.databases import ROOT

pytestmark = pytest.mark.usefixtures("committing_connection")

ROWS = 1_000_000 if "NIGHTLY" in os.environ else 200_000
HELD = 8  # seconds
# One try waits for its lock for 0.1 s (LockPolicy.lock_timeout), and nobody behind it for longer. Whoever
# waits for half the time that the lock is held stands in a queue, however busy the machine is.
A_QUEUE = HELD / 2


@pytest.fixture
def database(legacy_url: str) -> Iterator[MigratedDatabase]:
    with database_copy(legacy_url) as made:
        yield made


@pytest.fixture(scope="module")
def clean_catalog(legacy_url: str) -> list[tuple[Any, ...]]:
    """What an undisturbed run makes."""
    with database_copy(legacy_url) as made:
        made.finish("migrate", "signals", "0012")
        return made.catalog()


def report(text: str) -> None:
    """A number for whoever reads the output (pytest -s), or a failure's."""
    print(text)  # noqa: T201


def test_a_report_of_eight_seconds_is_waited_for_and_nobody_queues_behind_the_migration(
    database: MigratedDatabase, clean_catalog: list[Any]
) -> None:
    traffic = Traffic(database.url)
    with psycopg.connect(database.url) as reader, traffic.flowing():
        reader.execute("SELECT count(*) FROM signals")  # ACCESS SHARE until the transaction ends
        process = database.start("migrate", "signals", "0012")
        database.until(lock_waiters("ALTER TABLE%"))
        reader.execute("SELECT pg_sleep(%s)", [HELD])
        assert process.poll() is None
        reader.rollback()
        output = database.result(process)
    report(f"{HELD} s held; the longest waits: {traffic.longest}")
    assert "OK" in output
    assert max(traffic.longest.values()) < A_QUEUE
    assert database.catalog() == clean_catalog


def test_a_build_waits_for_an_old_snapshot_while_writers_go_on_and_ends_when_it_goes(
    database: MigratedDatabase, clean_catalog: list[Any]
) -> None:
    traffic = Traffic(database.url)
    with psycopg.connect(database.url) as old, traffic.flowing():
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        process = database.start("migrate", "signals", "0012")
        database.until(
            "SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database() "
            "AND phase = 'waiting for old snapshots'"
        )
        traffic.goes_on()
        assert process.poll() is None
        assert database.watcher.execute(
            "SELECT 1 FROM pg_index WHERE indrelid = 'signals'::regclass AND NOT indisvalid"
        ).fetchall()
        old.rollback()
        database.result(process)
    report(f"a build held open; the longest waits: {traffic.longest}")
    assert max(traffic.longest.values()) < A_QUEUE
    assert database.catalog() == clean_catalog


def test_a_lock_that_is_refused_in_another_language_is_tried_for_again(
    database: MigratedDatabase, clean_catalog: list[Any]
) -> None:
    """The SQLSTATE decides. The wheel's server has no translations: event triggers speak for one."""
    database.watcher.execute("""
        CREATE SCHEMA gates;
        CREATE SEQUENCE gates.tries;
        CREATE FUNCTION gates.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF current_query() NOT LIKE '-- ALTER TABLE "signals" %' THEN RETURN; END IF;
            IF nextval('gates.tries') IN (1, 2, 4) THEN
                RAISE EXCEPTION 'Anweisung wird wegen Zeitüberschreitung bei Sperre abgebrochen'
                USING ERRCODE = 'lock_not_available';
            END IF;
        END $$;
        CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN tag IN ('ALTER TABLE')
            EXECUTE FUNCTION gates.refuse()
    """)
    database.finish("migrate", "signals", "0012")
    # The column at the third try, the check at the second, and the validation.
    assert database.watcher.execute("SELECT last_value FROM gates.tries").fetchall() == [(6,)]
    assert database.catalog() == clean_catalog


def test_on_a_large_table_no_write_fails_while_it_is_migrated(
    database: MigratedDatabase, clean_catalog: list[Any]
) -> None:
    database.watcher.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
    database.watcher.execute(
        "INSERT INTO signals (market_type, ts) SELECT 'dex', now() - n * interval '1 s' "
        f"FROM generate_series(1, {ROWS}) n"
    )
    writers = [write_to(database.url) for _ in range(4)]
    try:
        database.until(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'UPDATE%' "
            "AND application_name = 'writer' HAVING count(*) = 4"
        )
        start = time.monotonic()
        database.finish("migrate", "signals", "0012")
        took = time.monotonic() - start
    finally:
        ended = [each.communicate(timeout=DEADLINE) for each in writers]
    assert [each.returncode for each in writers] == [0, 0, 0, 0], ended
    counts, longest = zip(*(output.split() for output, _ in ended), strict=True)
    written = sum(map(int, counts))
    report(f"{ROWS} rows, {took:.1f} s, {written} writes, the longest {max(longest)} s")
    assert written > 100
    assert database.catalog() == clean_catalog
    # What was written while it was built is in the index, and nothing else.
    database.watcher.execute(
        "CREATE EXTENSION amcheck; SELECT bt_index_check(indexrelid, true) FROM pg_index "
        "WHERE indrelid = 'signals'::regclass"
    )


def write_to(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.operations.execution.write_signals", url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
