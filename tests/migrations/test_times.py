"""Migration 0011: the confidence becomes a fraction, and rows get their times in batches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connections

from signals.operations import RowsViolate
from tests.deadline import DEADLINE
from tests.migrations.chain import chain_operations, run_again
from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import Database, Row
from tests.postgres.polling import lock_waiter, wait_until, wait_until_unused

Copy = Callable[[str], Database]

BATCH = 5000  # rows of the first batch
MANY = 12_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10, "numeric field overflow"),
        (-10, "numeric field overflow"),
        (2147483647, "numeric field overflow"),
    ],
)
def test_a_confidence_that_does_not_fit_stops_with_words_and_changes_nothing(
    copy: Copy, value: int, reason: str
) -> None:
    database = copy("legacy 010")
    database.migrate("0010")
    database.run(f"UPDATE signals SET onchain_confidence = {value} WHERE id = 5")
    before = catalog_versions(database)
    rows = database.rows("SELECT id, xmin::text, onchain_confidence FROM signals ORDER BY id")
    with pytest.raises(RowsViolate) as stopped:
        database.migrate("0011")
    assert reason in stopped.value.reason
    assert str(stopped.value).endswith(
        "\n  to fix: correct those rows, and run again; the next run continues from here"
    )
    assert catalog_versions(database) == before
    assert (
        database.rows("SELECT id, xmin::text, onchain_confidence FROM signals ORDER BY id") == rows
    )
    database.run("UPDATE signals SET onchain_confidence = 9 WHERE id = 5")
    database.migrate("0011")
    assert database.value("SELECT onchain_confidence::text FROM signals WHERE id = 5") == "9.000"


def test_a_confidence_of_more_places_than_the_declared_stops_the_run(copy: Copy) -> None:
    """A numeric column that somebody widened by hand is not silently rounded."""
    database = copy("legacy 011")
    database.run("ALTER TABLE signals ALTER COLUMN onchain_confidence TYPE numeric(8, 6)")
    database.run("UPDATE signals SET onchain_confidence = 0.123456 WHERE id = 5")
    done = database.manage("migrate", "signals", "0012")
    assert done.returncode == 1
    assert "  found:  numeric(8,6)\n  wanted: numeric(4,3)\n" in done.stderr
    assert database.value("SELECT onchain_confidence::text FROM signals WHERE id = 5") == "0.123456"


def many(copy: Copy) -> Database:
    """A database at 0010 with rows for more than the first batch; every seventh has no ts."""
    database = copy("clean")
    database.migrate("0010")
    # What 0011 brought stays on the way back, because rows could be in it.
    database.run(
        "ALTER TABLE signals DROP COLUMN IF EXISTS created_at",
        "ALTER TABLE signals DROP COLUMN IF EXISTS updated_at",
        "INSERT INTO signals (confidence, ts) SELECT n, CASE WHEN n % 7 > 0 THEN"
        f" timestamptz '2026-01-01Z' + n * interval '1 s' END FROM generate_series(1, {MANY}) n",
    )
    # The column is there already, so that a lock on a row stops nothing but the batch of that row.
    run_again(database, chain_operations("0011", "0011")[:2])
    database.close()
    return database


@contextmanager
def row_lock(database: Database, number: int) -> Iterator[psycopg.Connection[Row]]:
    """Yield a session in a transaction that has locked the row."""
    with database.connect(autocommit=False) as writer:
        writer.execute("SELECT FROM signals WHERE id = %s FOR UPDATE", [number])
        yield writer


def filled(database: Database) -> int:
    return int(database.value("SELECT count(created_at) FROM signals"))


def assert_filled_right(database: Database, start: Any) -> None:
    assert database.rows(
        "SELECT count(*), count(created_at), count(*) FILTER (WHERE created_at = ts),"
        " count(*) FILTER (WHERE ts IS NULL AND created_at BETWEEN %s AND now()),"
        " count(*) FILTER (WHERE confidence = id) FROM signals",
        [start],
    ) == [(MANY, MANY, MANY - MANY // 7, MANY // 7, MANY)]
    assert database.verify("0011")[0] == 0


def test_batches_are_transactions_of_their_own(copy: Copy) -> None:
    database = many(copy)
    start = database.value("SELECT now()")
    with (
        row_lock(database, BATCH + 10) as writer,
        database.running("migrate", "signals", "0011", "-v0") as process,
    ):
        wait_until(lock_waiter(database, "UPDATE"), "the second batch waits for the row")
        assert filled(database) == BATCH
        assert database.value("SELECT max(id) FROM signals WHERE created_at IS NOT NULL") == BATCH
        # A writer is not stopped by a batch that waits, not even at the rows of a filled one.
        database.run("SET lock_timeout = '2s'; UPDATE signals SET confidence = id WHERE id = 1")
        writer.rollback()
        assert process.communicate(timeout=DEADLINE)[1] == ""
        assert process.returncode == 0
    assert_filled_right(database, start)


@pytest.mark.parametrize("how", ["kill -9 of the process", "its backend is terminated"])
def test_a_backfill_that_dies_in_the_middle_is_continued(copy: Copy, how: str) -> None:
    database = many(copy)
    start = database.value("SELECT now()")
    with (
        row_lock(database, BATCH + 10),
        database.running("migrate", "signals", "0011") as process,
    ):
        pid = wait_until(lock_waiter(database, "UPDATE"), "the second batch waits for the row")
        if how.startswith("kill"):
            process.kill()
        Database("postgres").value("SELECT pg_terminate_backend(%s)", [pid])
        process.communicate(timeout=DEADLINE)
        assert process.returncode != 0
        assert filled(database) == BATCH
    wait_until_unused(database)
    versions = "SELECT id, xmin::text FROM signals WHERE created_at IS NOT NULL ORDER BY id"
    done = database.rows(versions)
    assert "0011" not in database.applied()
    resumed = database.manage("migrate", "signals", "0011")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert_filled_right(database, start)
    assert database.rows(versions)[:BATCH] == done  # what was filled was not written again


def test_rows_that_come_meanwhile_get_their_time_from_the_database(copy: Copy) -> None:
    database = many(copy)
    with (
        row_lock(database, BATCH + 10) as writer,
        database.running("migrate", "signals", "0011") as process,
    ):
        wait_until(lock_waiter(database, "UPDATE"), "the second batch waits for the row")
        database.run("INSERT INTO signals (confidence, ts) VALUES (-1, '2001-01-01Z')")
        writer.rollback()
        process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
    assert database.value("SELECT created_at > '2026-01-01Z' FROM signals WHERE confidence = -1")


def test_a_row_with_a_time_of_its_own_keeps_it(copy: Copy) -> None:
    database = copy("legacy 012")
    database.run(
        "ALTER TABLE signals ADD COLUMN created_at timestamptz DEFAULT now()",
        "UPDATE signals SET created_at = '1999-12-31Z' WHERE id <= 10",
        "UPDATE signals SET created_at = NULL WHERE id > 100",
    )
    database.migrate("0012")
    assert database.rows(
        "SELECT count(*) FILTER (WHERE created_at = '1999-12-31Z'),"
        " count(*) FILTER (WHERE id > 100 AND ts IS NOT NULL AND created_at <> ts) FROM signals"
    ) == [(10, 0)]
    assert database.verify("0011")[0] == 0


def proof_name(database: Database) -> str:
    """The name that the operation gives its proof."""
    step = chain_operations("0011", "0011")[3]
    site = step[1].locate("signals", connections[database.alias], step[3], step[2])
    return str(step[1].proof_name(site))


def test_not_null_proven_halfway_is_finished(copy: Copy) -> None:
    """What a run leaves that died between the proof and SET NOT NULL."""
    database = copy("adopted 011")
    before = facts(database)
    database.run("ALTER TABLE signals ALTER COLUMN created_at DROP NOT NULL")
    database.run(
        f"ALTER TABLE signals ADD CONSTRAINT {proof_name(database)} CHECK (created_at IS NOT NULL) NOT VALID"
    )
    assert "not null" in database.verify("0011")[1]
    assert database.verify("0011")[0] == 1
    database.forget()
    database.migrate("0012")
    assert facts(database) == before


def test_updated_at_and_created_at_are_the_databases_own_defaults(copy: Copy) -> None:
    with copy("clean").connect() as session:
        row = session.execute(
            "INSERT INTO signals DEFAULT VALUES RETURNING created_at = now(), updated_at = now()"
        ).fetchone()
        assert row == (True, True)
        with pytest.raises(psycopg.errors.NotNullViolation):
            session.execute("INSERT INTO signals (created_at) VALUES (NULL)")
