"""What the rights and settings of a role do to a run: nothing, or it stops before any change and says why."""

import threading
from typing import Any

import pytest
from django.db import connection, models

from signals import operations
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.contract.cases import CASES
from tests.operations.execution.concurrent_builds import BUILD_WAITS, BUILDS, INDEX_IS_INVALID
from tests.operations.scratch_schema import (
    APP,
    DROP_SCHEMAS,
    PART_TABLE,
    REPEATABLE_READ,
    SCHEMA,
    SERIAL,
    backwards,
    catalog_versions,
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
BOX = operations.CreateTableIfMissing(
    "Box", [("id", SERIAL), ("size", models.FloatField(null=True))], {"db_table": "box"}
)
TABLE_LOCK_WAITS = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND (query LIKE '-- LOCK TABLE%' OR query LIKE '-- DO %ADD CONSTRAINT%')"""


def meanwhile(sessions: Any, background: Any, act: Any, insert: str) -> Any:
    """Runs `act` under REPEATABLE READ while a writer, for whom it waits, commits a row."""
    writer = sessions(autocommit=False)
    writer.execute(insert)

    def run() -> None:
        scratch_schema.execute(REPEATABLE_READ)
        act()

    running = background(run)
    wait_for_rows(sessions(), TABLE_LOCK_WAITS)
    writer.commit()
    return running


def test_a_row_that_is_committed_while_the_drop_waits_keeps_its_table(
    sessions: Any, background: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 10.0}
    recreate()
    forwards(BOX, project_state())
    insert = "INSERT INTO box (size) VALUES (1)"
    running = meanwhile(sessions, background, lambda: backwards(BOX, project_state()), insert)
    with pytest.raises(operations.ConvergenceError, match="has rows"):
        running.result(DEADLINE)
    assert [row[2:] for row in facts() if row[0] == "row"]


def test_a_value_that_is_committed_while_the_conversion_waits_is_not_cut(
    sessions: Any, background: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 10.0}
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
        running.result(DEADLINE)
    assert scratch_schema.value("SELECT size FROM box") == 2.5


def test_an_old_snapshot_is_no_place_for_a_look_at_the_rows() -> None:
    recreate()
    forwards(BOX, project_state())
    scratch_schema.execute(f"INSERT INTO box (size) VALUES (2.5); {REPEATABLE_READ}")
    state, start = project_state(), facts()
    BOX.state_forwards(APP, state)
    operation = operations.AlterColumnTypeIfDifferent(
        "box", "size", models.IntegerField(null=True), allow_rewrite=True
    )
    with pytest.raises(operations.NeedsAutocommit):
        forwards(operation, state, atomic=True)
    assert facts() == start


def test_an_empty_table_is_dropped_whatever_the_age_of_the_snapshot() -> None:
    recreate()
    start = facts()
    forwards(BOX, project_state())
    scratch_schema.execute(REPEATABLE_READ)
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


@pytest.fixture
def plain_role() -> Any:
    """A role that may connect, owns the scratch schema, and nothing more."""
    role = role_name("plain")
    scratch_schema.execute(
        f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN "
        f"CREATE ROLE {role} NOLOGIN NOSUPERUSER; END IF; END $$"
    )
    yield role
    scratch_schema.execute(
        f"RESET SESSION AUTHORIZATION; {DROP_SCHEMAS}; DROP OWNED BY {role}; DROP ROLE {role}"
    )


def as_plain_role(role: str, start: str) -> None:
    recreate(
        f"ALTER SCHEMA {SCHEMA} OWNER TO {role}; SET SESSION AUTHORIZATION {role}",
        start,
    )


def test_a_role_without_superuser_rights_can_run_every_operation(plain_role: str) -> None:
    for case in CASES:
        scratch_schema.execute("RESET SESSION AUTHORIZATION")
        as_plain_role(plain_role, case.start)
        state = project_state(*case.models)
        forwards(case.make(), state)
        before = catalog_versions()
        forwards(case.make(), state)
        assert catalog_versions() == before
        backwards(case.make(), state)


def test_a_build_of_another_role_is_seen_without_superuser_rights(
    plain_role: str, sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    """PostgreSQL hides from it what the other session does, not that it holds the lock."""
    operation, sql = BUILDS["index"]
    as_plain_role(plain_role, PART_TABLE)
    holder, builder, watcher = sessions.with_snapshot(), sessions(), sessions()
    build = threading.Thread(target=builder.execute, args=(sql,))
    build.start()
    wait_for_rows(watcher, INDEX_IS_INVALID)
    wait_for_rows(watcher, BUILD_WAITS)
    number = wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid")

    def migrate() -> None:
        scratch_schema.execute(f"SET SESSION AUTHORIZATION {plain_role}")
        forwards(operation, STATE)

    future = background(migrate)
    assert build_is_awaited.wait(DEADLINE)
    holder.rollback()
    build.join(DEADLINE)
    future.result(timeout=DEADLINE)
    assert wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid") == number


def test_a_lock_of_another_role_is_told_without_superuser_rights(
    plain_role: str, sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.02, "LOCK_WAIT": 0.1}
    as_plain_role(plain_role, PART_TABLE)
    reader = sessions.holding("ACCESS SHARE")
    operation = operations.AddColumnIfMissing("part", "state", models.TextField(null=True))
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(operation, STATE)
    assert [line.split(",")[0] for line in caught.value.blockers] == [
        f"pid {reader.info.backend_pid}"
    ]


def test_the_language_of_the_servers_messages_changes_nothing() -> None:
    """Whichever language the server has besides English; at least its C messages."""
    recreate(PART_TABLE, "INSERT INTO part (label) VALUES ('bolt')")
    languages = scratch_schema.rows(
        "SELECT collcollate FROM pg_collation WHERE collprovider = 'c' "
        "AND collcollate ~ '^(de|fr|es|ja|tr)_.*(utf8|UTF-8)$' ORDER BY 1 LIMIT 3"
    )
    start = facts()
    for (language,) in [*languages, ("C",)]:
        scratch_schema.rows("SELECT set_config('lc_messages', %s, false)", [language])
        with pytest.raises(operations.RowsViolate):
            forwards(BUILDS["unique"][0], STATE)
        assert facts() == start
