"""What a role's settings and rights do to a run: nothing, or it says so in words and changes nothing."""

import threading
import time
from typing import Any

import psycopg
import pytest
from django.db import connection, models
from django.db.migrations.state import ModelState
from django.db.models import F, Value

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    SERIAL,
    backwards,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
    role_name,
)
from tests.postgres.polling import wait_for_rows

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
STRICT = "SET default_transaction_isolation = 'repeatable read'"
BOX = operations.CreateTableIfMissing(
    "Box", [("id", SERIAL), ("size", models.FloatField(null=True))], {"db_table": "box"}
)
WAITING = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"""
WAITING_BUILD = """SELECT 1 FROM pg_stat_progress_create_index
    WHERE datname = current_database() AND phase LIKE 'waiting%'"""


def meanwhile(sessions: Any, background: Any, act: Any, insert: str) -> Any:
    """Runs `act` under REPEATABLE READ while a writer, for whom it waits, commits a row."""
    writer = sessions(autocommit=False)
    writer.execute(insert)

    def run() -> None:
        scratch_schema.execute(STRICT)
        act()

    running = background(run)
    wait_for_rows(sessions(), WAITING)
    writer.commit()
    return running


def test_a_row_that_is_committed_while_the_drop_waits_keeps_its_table(
    sessions: Any, background: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 10.0}
    recreate()
    forwards(BOX, project_state())
    insert = "INSERT INTO box (size) VALUES (1)"
    running = meanwhile(sessions, background, lambda: backwards(BOX, project_state()), insert)
    with pytest.raises(operations.ConvergenceError, match="has rows"):
        running.result(60)
    assert [row[2:] for row in facts() if row[0] == "row"]


def test_a_value_that_is_committed_while_the_conversion_waits_is_not_cut(
    sessions: Any, background: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 10.0}
    recreate()
    forwards(BOX, project_state())
    state = project_state()
    BOX.state_forwards(APP, state)
    operation = operations.AlterColumnTypeIfDifferent(
        "box", "size", models.IntegerField(null=True), allow_rewrite=True
    )
    insert = "INSERT INTO box (size) VALUES (2.5)"
    running = meanwhile(sessions, background, lambda: forwards(operation, state), insert)
    with pytest.raises(operations.RowsViolate, match="do not survive"):
        running.result(60)
    assert scratch_schema.value("SELECT size FROM box") == 2.5


def test_an_old_snapshot_is_no_place_for_a_look_at_the_rows() -> None:
    recreate()
    forwards(BOX, project_state())
    scratch_schema.execute(STRICT)
    start = facts()
    with pytest.raises(operations.NeedsAutocommit):
        backwards(BOX, project_state(), atomic=True)
    assert facts() == start


@pytest.mark.parametrize(
    ("setting", "state"),
    [
        ("SET default_transaction_read_only = on", "25006"),
        (
            (
                "CREATE FUNCTION closed() RETURNS event_trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no DDL by day'; END $$;"
                "CREATE EVENT TRIGGER closed ON ddl_command_start WHEN tag IN ('ALTER TABLE') "
                "EXECUTE FUNCTION closed()"
            ),
            "P0001",
        ),
    ],
    ids=["read only", "event trigger"],
)
def test_what_forbids_every_change_is_told_in_words(setting: str, state: str) -> None:
    recreate(PART_TABLE)
    scratch_schema.execute(setting)
    operation = operations.AddColumnIfMissing("part", "size", models.IntegerField(null=True))
    try:
        with pytest.raises(operations.StatementRefused) as refused:
            forwards(operation, STATE)
    finally:
        scratch_schema.execute("SET default_transaction_read_only = off")
        scratch_schema.execute("DROP EVENT TRIGGER IF EXISTS closed")
    assert refused.value.sqlstate == state


def test_autocommit_that_is_off_is_refused_before_anything_is_rolled_back() -> None:
    recreate(PART_TABLE)
    connection.set_autocommit(False)
    try:
        scratch_schema.execute("INSERT INTO part (label) VALUES ('mine')")
        index = models.Index(fields=["label"], name="wanted")
        operation = operations.CreateIndexConcurrentlyIfMissing("part", index)
        editor = connection.SchemaEditorClass(connection, atomic=False)
        after = STATE.clone()
        operation.state_forwards(APP, after)
        with pytest.raises(operations.NeedsAutocommit, match="autocommit off"):
            operation.database_forwards(APP, editor, STATE, after)
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'mine'") == 1


FILLINGS: dict[str, tuple[str, Any, type[Exception]]] = {
    "a check refuses it": (
        "ALTER TABLE part ADD CONSTRAINT small CHECK (size < 3)",
        Value(7),
        operations.RowsViolate,
    ),
    "it raises on a row": ("SELECT", 1 / (F("amount") - 3), operations.RowsViolate),
    "a trigger refuses it": (
        (
            "CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'closed'; END $$;"
            "CREATE TRIGGER closed BEFORE UPDATE ON part FOR EACH ROW EXECUTE FUNCTION closed()"
        ),
        Value(7),
        operations.StatementRefused,
    ),
}


@pytest.mark.parametrize("what", FILLINGS)
def test_a_batch_that_is_refused_says_so_in_words(what: str) -> None:
    sql, value, error = FILLINGS[what]
    recreate(PART_TABLE, "ALTER TABLE part ADD size integer", sql)
    operation = operations.BackfillInBatches("part", "size", value)
    with pytest.raises(error):
        forwards(operation, project_state(part_model(("size", models.IntegerField(null=True)))))


def test_a_batch_waits_for_the_row_locks_of_others_whatever_the_roles_lock_timeout(
    sessions: Any, background: Any
) -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD size integer")
    writer, watcher = sessions(autocommit=False), sessions()
    writer.execute("UPDATE part SET label = 'mine' WHERE id = 1")
    operation = operations.BackfillInBatches("part", "size", Value(7))

    def run() -> None:
        scratch_schema.execute(f"SET lock_timeout = '50ms'; {STRICT}")
        forwards(operation, project_state(part_model(("size", models.IntegerField(null=True)))))

    running = background(run)
    wait_for_rows(
        watcher,
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%'",
    )
    writer.commit()
    running.result(60)
    assert scratch_schema.rows("SELECT DISTINCT size FROM part") == [(7,)]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (
            "CREATE TABLE box (id uuid PRIMARY KEY)",
            'has "id" as uuid, and bigint cannot refer to it',
        ),
        ("CREATE UNLOGGED TABLE box (id bigint PRIMARY KEY)", "is unlogged"),
    ],
    ids=["type", "unlogged"],
)
def test_a_foreign_key_that_cannot_be_leaves_no_column(sql: str, reason: str) -> None:
    recreate(PART_TABLE, sql)
    start = facts()
    box = ModelState(APP, "Box", [("id", SERIAL)], {"db_table": "box"})
    key = models.ForeignKey("bench.box", models.CASCADE, null=True)
    with pytest.raises(operations.Refused, match=reason):
        forwards(
            operations.AddColumnIfMissing("part", "box", key), project_state(part_model(), box)
        )
    assert facts() == start


def test_a_partition_of_another_role_is_refused_before_the_first_index() -> None:
    recreate(
        "CREATE TABLE part (id bigint, label text, amount integer, made_at timestamptz) "
        "PARTITION BY RANGE (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (9);"
        "INSERT INTO part (id) VALUES (1)"
    )
    role = role_name("limited")
    scratch_schema.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role}")
    scratch_schema.execute(f"GRANT ALL ON SCHEMA bench TO {role}; ALTER TABLE part OWNER TO {role}")
    start = facts()
    index = models.Index(fields=["label"], name="wanted")
    scratch_schema.execute(f"SET ROLE {role}")
    try:
        with pytest.raises(operations.Refused, match="belongs to another role"):
            forwards(operations.CreateIndexConcurrentlyIfMissing("part", index), STATE)
    finally:
        scratch_schema.execute("RESET ROLE; ALTER TABLE part OWNER TO CURRENT_USER")
        scratch_schema.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    assert facts() == start


def test_the_build_of_another_index_is_not_killed_by_ours(
    sessions: Any, background: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """To wait for its lock would be a deadlock that the other one loses."""
    recreate(PART_TABLE)
    writer, builder, watcher = sessions(autocommit=False), sessions(), sessions()
    writer.execute("INSERT INTO part (label) VALUES ('late')")
    failed: list[Exception] = []

    def build() -> None:
        try:
            builder.execute("CREATE INDEX CONCURRENTLY theirs ON part (amount)")
        except psycopg.Error as error:
            failed.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    wait_for_rows(watcher, WAITING_BUILD)
    index = models.Index(fields=["label"], name="wanted")
    ours = background(forwards, operations.CreateIndexConcurrentlyIfMissing("part", index), STATE)
    deadline = time.monotonic() + 60
    while "another session builds an index of the table" not in caplog.text:
        assert time.monotonic() < deadline
    writer.commit()
    thread.join(60)
    ours.result(60)
    assert failed == []
    assert [row[2:] for row in facts() if row[0] == "index" and "valid" not in row[4]] == []


def test_a_transaction_waits_for_no_build_that_may_wait_for_it(sessions: Any) -> None:
    recreate(PART_TABLE)
    sessions.with_snapshot()
    builder, watcher = sessions(), sessions()
    thread = threading.Thread(
        target=builder.execute, args=("CREATE INDEX CONCURRENTLY wanted ON part (label)",)
    )
    thread.start()
    wait_for_rows(watcher, WAITING_BUILD)
    index = models.Index(fields=["label"], name="wanted")
    try:
        with pytest.raises(operations.NeedsAutocommit, match="another session builds it"):
            forwards(operations.CreateIndexConcurrentlyIfMissing("part", index), STATE, atomic=True)
    finally:
        for opened in sessions.opened[:1]:
            opened.rollback()
        thread.join(60)


@pytest.mark.parametrize("attempt", range(3))
def test_three_sessions_make_one_uniqueness(attempt: int, background: Any) -> None:
    recreate(PART_TABLE)
    barrier = threading.Barrier(3)
    unique = models.UniqueConstraint(fields=["label"], name="wanted")

    def make() -> None:
        barrier.wait(60)
        forwards(operations.AddUniqueIfMissing("part", unique), STATE)

    for running in [background(make) for _ in range(3)]:
        running.result(60)
    assert [row[3:5] for row in facts() if row[2] == "wanted" and row[0] == "constraint"] == [
        ("u", "UNIQUE (label)")
    ], attempt
