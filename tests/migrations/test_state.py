"""Migration 0012: forwards and backwards, its half-done states, and the index that adapts."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import Database
from tests.postgres.polling import lock_waiter, wait_until

Copy = Callable[[str], Database]

CREATED_AT = (
    "CREATE INDEX idx_signals_state_created_at ON public.signals USING btree (state, created_at)"
)
CHECK = "CHECK ((state = ANY (ARRAY['candidate'::text, 'verified'::text, 'downgraded'::text])))"


def state_parts(database: Database) -> tuple[list[Any], list[Any], list[Any]]:
    """Column, check and indexes of 0012 as the catalog has them."""
    found = facts(database)
    return (
        sorted(row for row in found["columns"] if row[:2] == ("signals", "state")),
        sorted(row[3:] for row in found["constraints"] if row[1] == "signals_state_check"),
        sorted(row[2:] for row in found["indexes"] if row[1].startswith("idx_signals_state")),
    )


WHOLE = (
    [("signals", "state", "text", True, False, "'candidate'::text")],
    [(True, CHECK)],
    [(True, CREATED_AT)],
)
GONE: tuple[list[Any], list[Any], list[Any]] = ([], [], [])


@pytest.mark.parametrize("description", ["clean", "adopted 001", "adopted 011", "adopted 012"])
def test_forwards_twice_backwards_twice_forwards(copy: Copy, description: str) -> None:
    database = copy(description)
    rows = database.value("SELECT count(*) FROM signals")
    if description != "adopted 012":
        assert state_parts(database) == WHOLE
    before = catalog_versions(database)
    database.migrate("0012")
    database.forget()
    database.migrate("0012")
    assert catalog_versions(database) == before
    database.migrate("0011")
    assert state_parts(database) == GONE
    gone = catalog_versions(database)
    database.migrate("0012", fake=True)
    database.migrate("0011")
    assert catalog_versions(database) == gone
    assert database.applied()[-1] == "0011"
    database.migrate("0012")
    assert state_parts(database) == WHOLE
    assert database.value("SELECT count(*) FROM signals WHERE state = 'candidate'") == rows


def test_0012_backwards_drops_every_variant_of_the_index(copy: Copy) -> None:
    database = copy("adopted 012")
    database.run(
        "CREATE INDEX idx_signals_state_updated_at ON signals (state, updated_at)",
        "CREATE INDEX idx_signals_state_ts ON signals (state, ts)",
        "CREATE INDEX mine ON signals (state, confidence)",
    )
    assert len(state_parts(database)[2]) == 4
    database.migrate("0011")
    assert state_parts(database) == GONE


def test_the_database_refuses_a_state_that_is_not_declared(copy: Copy) -> None:
    database = copy("adopted 011")
    with pytest.raises(psycopg.errors.CheckViolation):
        database.run("UPDATE signals SET state = 'x' WHERE id = 1")


@pytest.mark.parametrize(
    ("lost", "variant", "columns"),
    [
        (("created_at",), "idx_signals_state_updated_at", "state, updated_at"),
        (("created_at", "updated_at"), "idx_signals_state_ts", "state, ts"),
        (("created_at", "updated_at", "ts"), "idx_signals_state_onlystate", "state"),
    ],
)
def test_the_index_takes_the_best_columns_that_the_table_has(
    copy: Copy, lost: tuple[str, ...], variant: str, columns: str
) -> None:
    database = copy("adopted 011")
    database.migrate("0011")
    database.run(*(f"ALTER TABLE signals DROP COLUMN {column}" for column in lost))
    database.migrate("0012")
    definition = f"CREATE INDEX {variant} ON public.signals USING btree ({columns})"
    assert state_parts(database)[2] == [(True, definition)]
    code, shown = database.verify("0012")
    assert code == 0
    assert f"index      {variant}" in shown
    # The better one is built as soon as it is possible; the other stays until backwards.
    database.run("ALTER TABLE signals ADD COLUMN IF NOT EXISTS created_at timestamptz")
    assert database.verify("0012")[0] == 1
    database.run("DELETE FROM django_migrations WHERE app = 'signals' AND name LIKE '0012%'")
    database.migrate("0012")
    assert state_parts(database)[2] == sorted([(True, definition), (True, CREATED_AT)])
    database.migrate("0011")
    assert state_parts(database) == GONE


def test_a_legacy_index_on_ts_alone_does_not_stand_in_for_the_best_one(copy: Copy) -> None:
    database = copy("legacy 012")
    assert "idx_signals_state_onlystate" in {row[1] for row in facts(database)["indexes"]}
    database.migrate("0012")
    assert (True, CREATED_AT) in state_parts(database)[2]


def failed_build(database: Database, statement: str) -> None:
    """Leaves the invalid index of a concurrent build that was cancelled while it waited."""

    def build() -> None:
        with database.connect() as session, pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(statement.encode())

    with database.connect(autocommit=False) as writer:
        writer.execute("UPDATE signals SET confidence = confidence WHERE id = 1")
        thread = threading.Thread(target=build)
        thread.start()
        pid = wait_until(
            lock_waiter(database, "CREATE INDEX CONCURRENTLY"), "the build waits for the writer"
        )
        Database("postgres").value("SELECT pg_cancel_backend(%s)", [pid])
        thread.join()


def test_an_invalid_index_of_a_failed_build_is_built_anew(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run("DROP INDEX idx_signals_state_created_at")
    failed_build(
        database,
        "CREATE INDEX CONCURRENTLY idx_signals_state_created_at ON signals (state, created_at)",
    )
    assert state_parts(database)[2] == [(False, CREATED_AT)]
    code, shown = database.verify("0012")
    assert (code, shown.splitlines()[-1]) == (
        1,
        "index      idx_signals_state_created_at  ! Unfinished",
    )
    database.forget()
    database.migrate("0012")
    assert state_parts(database) == WHOLE


def test_an_invalid_index_of_a_failed_build_goes_backwards_too(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run("DROP INDEX idx_signals_state_created_at")
    failed_build(
        database,
        "CREATE INDEX CONCURRENTLY idx_signals_state_created_at ON signals (state, created_at)",
    )
    database.migrate("0011")
    assert state_parts(database) == GONE


def test_a_check_left_not_valid_is_validated(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run(
        "ALTER TABLE signals DROP CONSTRAINT signals_state_check",
        "ALTER TABLE signals ADD CONSTRAINT signals_state_check"
        " CHECK (state IN ('candidate', 'verified', 'downgraded')) NOT VALID",
    )
    assert state_parts(database)[1] == [(False, f"{CHECK} NOT VALID")]
    assert "check      signals_state_check           ! Unfinished" in database.verify("0012")[1]
    database.forget()
    database.migrate("0012")
    assert state_parts(database) == WHOLE


def test_rows_against_a_check_left_not_valid_stop_the_run_with_words(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run(
        "ALTER TABLE signals DROP CONSTRAINT signals_state_check",
        "UPDATE signals SET state = 'lost' WHERE id = 3",
    )
    database.migrate("0012", fake=True)
    database.run("DELETE FROM django_migrations WHERE app = 'signals' AND name LIKE '0012%'")
    done = database.manage("migrate", "signals", "0012")
    assert done.returncode == 1
    assert done.stderr.endswith(
        'existing rows violate: ALTER TABLE "signals" VALIDATE CONSTRAINT'
        ' "signals_state_check"\n  because: check constraint "signals_state_check" of'
        ' relation "signals" is violated by some row\n  rows:    1, the first with id 3\n'
        "  to fix: correct those rows, and run again; the next run continues from here\n"
    )
    database.run("UPDATE signals SET state = 'candidate' WHERE id = 3")
    assert database.manage("migrate", "signals", "0012").returncode == 0
    assert state_parts(database) == WHOLE
