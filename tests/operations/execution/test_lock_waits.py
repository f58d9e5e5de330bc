"""How long an operation waits for a lock, who goes on meanwhile, and who is named as the blocker."""

import threading
import time
from typing import Any

import pytest
from django.db import models
from django.db.migrations.state import ModelState

from signals import operations
from tests.operations import scratch_schema
from tests.operations.execution.current_settings import current_settings
from tests.operations.execution.part_operations import add_check, add_column, add_unique
from tests.operations.log_listeners import CallAtWait
from tests.operations.scratch_schema import (
    PART_TABLE,
    SERIAL,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
TIMEOUT, SLACK = 0.05, 5.0


def test_a_reader_in_a_long_transaction_is_waited_for_and_writers_go_on(sessions: Any) -> None:
    recreate(PART_TABLE)
    reader, writer = sessions.holding("ACCESS SHARE"), sessions()
    longest, written, done = 0.0, 0, threading.Event()

    def write() -> None:
        nonlocal longest, written
        while not done.is_set():
            start = time.monotonic()
            writer.execute("INSERT INTO part (label) VALUES ('x')")
            longest, written = max(longest, time.monotonic() - start), written + 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with CallAtWait(4, reader.rollback) as waits:
            forwards(add_column(), STATE)
    finally:
        done.set()
        thread.join()
    assert len(waits.lines) >= 4
    assert written > 4
    assert longest < TIMEOUT + SLACK
    assert ("column", "part", "state", "text", "NOT NULL DEFAULT 'new'::text", "default") in facts()


def test_who_blocks_is_said_while_it_waits(sessions: Any) -> None:
    recreate(PART_TABLE)
    reader = sessions.holding("ACCESS SHARE")
    reader.execute("SET application_name = 'nightly report'")
    pid = reader.info.backend_pid
    with CallAtWait(1, reader.rollback) as waits:
        forwards(add_column(), STATE)
    assert waits.lines[0].startswith(
        f'waiting for AccessExclusiveLock on "part": pid {pid}, nightly report, user '
    )
    assert "idle in transaction, transaction " in waits.lines[0]
    assert waits.lines[0].endswith("s: 'SET application_name = ?'")


@pytest.mark.parametrize(
    ("make", "prepared"),
    [
        (add_column, ""),
        (add_check, ""),
        (add_unique, "CREATE UNIQUE INDEX wanted ON part (label)"),
        (
            lambda: operations.AlterColumnTypeIfDifferent(
                "part", "amount", models.BigIntegerField(null=True), allow_rewrite=True
            ),
            "",
        ),
        (lambda: operations.SetNotNullIfNullable("part", "label", models.TextField()), ""),
    ],
    ids=["column", "check", "unique", "type", "not null"],
)
def test_after_the_longest_wait_it_stops_names_the_blocker_and_has_changed_nothing(
    make: Any, prepared: str, sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.02, "LONGEST_PAUSE": 0.05, "LOCK_WAIT": 0.2}
    recreate(PART_TABLE, prepared)
    before, options = catalog_versions(), current_settings()
    reader = sessions.holding("ACCESS SHARE")
    start = time.monotonic()
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(make(), STATE)
    assert time.monotonic() - start < 30
    error = caught.value
    assert catalog_versions() == before
    assert current_settings() == options
    assert error.table == '"part"'
    assert [line.split(",")[0] for line in error.blockers] == [f"pid {reader.info.backend_pid}"]
    assert str(error) == (
        f'no lock on table "part" for: {error.sql}\n  blocked by {error.blockers[0]}\n'
        "  to fix: end those sessions, or run again when they are done"
    )
    reader.rollback()
    forwards(make(), STATE)
    assert catalog_versions() != before


def test_the_way_back_is_as_patient(sessions: Any) -> None:
    recreate(PART_TABLE)
    start = facts()
    forwards(add_column(), STATE)
    reader = sessions.holding("ACCESS SHARE")
    with CallAtWait(2, reader.rollback) as waits:
        backwards(add_column(), STATE)
    assert len(waits.lines) >= 2
    assert facts() == start


def test_within_a_transaction_it_tries_once_and_says_what_would_help(
    sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT_IN_TRANSACTION": 0.1}
    recreate(PART_TABLE)
    before = catalog_versions()
    sessions.holding("ACCESS SHARE")
    with pytest.raises(operations.LockWaitExceeded, match=r"set atomic = False on the migration"):
        forwards(add_column(), STATE, atomic=True)
    assert catalog_versions() == before


def test_an_operations_own_limits_hold_in_the_place_of_the_settings(
    sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 60, "LOCK_WAIT": 60}
    recreate(PART_TABLE)
    sessions.holding("ACCESS SHARE")
    start = time.monotonic()
    for atomic in (False, True):
        operation = operations.AddColumnIfMissing(
            "part", "state", models.TextField(null=True), lock_timeout=0.02, lock_wait=0.1
        )
        with pytest.raises(operations.LockWaitExceeded):
            forwards(operation, STATE, atomic=atomic)
    assert time.monotonic() - start < 30


def test_an_error_other_than_a_lock_timeout_is_not_tried_again() -> None:
    recreate(PART_TABLE, "CREATE VIEW over AS SELECT amount FROM part")
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "amount", models.BigIntegerField(null=True), allow_rewrite=True
    )
    start = time.monotonic()
    before = catalog_versions()
    with pytest.raises(operations.StatementRefused) as refused:
        forwards(operation, STATE)
    assert time.monotonic() - start < 30
    assert catalog_versions() == before
    assert refused.value.sqlstate == "0A000"
    assert str(refused.value) == (
        f"Alter type of amount on part if different: PostgreSQL refuses: {refused.value.sql}\n"
        "  because: cannot alter type of a column used by a view or rule "
        'DETAIL: rule _RETURN on view over depends on column "amount"\n'
        "  to fix: change what it names, and run again; the next run continues from here"
    )


def test_errors_are_known_by_sqlstate_whatever_language_they_speak() -> None:
    """An event trigger refuses twice as a German server would for want of a lock."""
    recreate(
        PART_TABLE,
        "CREATE SEQUENCE tries;"
        "CREATE FUNCTION sperre() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF nextval('bench.tries') < 3 THEN RAISE EXCEPTION USING ERRCODE = '55P03', "
        "MESSAGE = 'Sperre konnte nicht gesetzt werden'; END IF; END $$;"
        "CREATE EVENT TRIGGER sperre ON ddl_command_start WHEN tag IN ('ALTER TABLE') "
        "EXECUTE FUNCTION sperre()",
    )
    try:
        forwards(add_column(), STATE)
    finally:
        scratch_schema.execute("DROP EVENT TRIGGER sperre")
    assert scratch_schema.value("SELECT last_value FROM tries") >= 3
    assert [row for row in facts() if row[:3] == ("column", "part", "state")]


@pytest.mark.parametrize("add", [add_column, add_check], ids=["column", "check"])
def test_who_holds_a_table_that_inherits_is_named(add: Any, sessions: Any, settings: Any) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.02, "LONGEST_PAUSE": 0.05, "LOCK_WAIT": 0.2}
    recreate(
        PART_TABLE,
        "CREATE TABLE child () INHERITS (part); CREATE TABLE grandchild () INHERITS (child)",
    )
    holder = sessions.holding("ACCESS SHARE", "grandchild")
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(add(), STATE)
    assert [line.split(",")[0] for line in caught.value.blockers] == [
        f"pid {holder.info.backend_pid}"
    ]


def test_who_blocks_on_the_referenced_table_is_named(sessions: Any, settings: Any) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.05, "LOCK_WAIT": 0.3}
    recreate(PART_TABLE, "CREATE TABLE ref (id bigint PRIMARY KEY)")
    holder = sessions.holding("ROW EXCLUSIVE", "ref")
    state = project_state(
        part_model(), ModelState("bench", "Ref", [("id", SERIAL)], {"db_table": "ref"})
    )
    with pytest.raises(
        operations.LockWaitExceeded, match=f"blocked by pid {holder.info.backend_pid}"
    ):
        forwards(
            operations.AddColumnIfMissing(
                "part", "ref", models.ForeignKey("bench.ref", models.CASCADE, null=True)
            ),
            state,
        )
