"""A concurrent build that another session is at, and what a role without rights can still do."""

import threading
from typing import Any

import psycopg
import pytest
from django.db import connections, models

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.cases import CASES
from tests.operations.scratch_schema import (
    DROP_SCHEMAS,
    PART_TABLE,
    SCHEMA,
    backwards,
    catalog_versions,
    facts,
    forwards,
    migration,
    part_model,
    project_state,
    recreate,
    role_name,
)
from tests.postgres.databases import Database
from tests.postgres.polling import wait_for_rows

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
BUILDS: dict[str, tuple[Any, str]] = {
    "index": (
        operations.CreateIndexConcurrentlyIfMissing(
            "part", models.Index(fields=["label"], name="wanted")
        ),
        "CREATE INDEX CONCURRENTLY wanted ON part (label)",
    ),
    "unique": (
        operations.AddUniqueIfMissing(
            "part", models.UniqueConstraint(fields=["label"], name="wanted")
        ),
        "CREATE UNIQUE INDEX CONCURRENTLY wanted ON part (label)",
    ),
}
WAITING = """
SELECT a.pid FROM pg_stat_activity a WHERE a.datname = current_database()
AND a.query LIKE 'CREATE % CONCURRENTLY%' AND a.wait_event_type = 'Lock'
"""
INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('wanted') AND NOT indisvalid"


@pytest.mark.parametrize("what", BUILDS)
def test_a_build_of_another_session_is_waited_for_and_not_dropped(
    what: str, sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    operation, sql = BUILDS[what]
    recreate(PART_TABLE)
    holder, builder, watcher = sessions.with_snapshot(), sessions(), sessions()
    build = threading.Thread(target=builder.execute, args=(sql,))
    build.start()
    wait_for_rows(watcher, INVALID)
    wait_for_rows(watcher, WAITING)
    number = wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid")
    future = background(forwards, operation, STATE)
    assert build_is_awaited.wait(60)
    assert not future.done()
    holder.rollback()
    build.join(60)
    future.result(timeout=60)
    assert wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid") == number
    assert [row[4] for row in facts() if row[0] == "index" and row[2] == "wanted"] == [
        "valid ready"
    ]


@pytest.mark.parametrize("what", BUILDS)
def test_a_build_of_another_session_that_fails_is_taken_over(
    what: str, sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    operation, sql = BUILDS[what]
    recreate(PART_TABLE)
    holder, builder, watcher = sessions.with_snapshot(), sessions(), sessions()

    def fail() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(sql)

    build = threading.Thread(target=fail)
    build.start()
    wait_for_rows(watcher, INVALID)
    ((pid,),) = wait_for_rows(watcher, WAITING)
    future = background(forwards, operation, STATE)
    assert build_is_awaited.wait(60)
    watcher.execute("SELECT pg_cancel_backend(%s)", [pid])
    build.join(60)
    holder.rollback()
    future.result(timeout=60)
    assert [row[4] for row in facts() if row[0] == "index" and row[2] == "wanted"] == [
        "valid ready"
    ]


def test_two_migrators_at_once_build_one_index(
    sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    operation, _ = BUILDS["index"]
    recreate(PART_TABLE)
    holder, watcher = sessions.with_snapshot(), sessions()
    first = background(forwards, operation, STATE)
    wait_for_rows(watcher, INVALID)
    wait_for_rows(watcher, WAITING)
    second = background(forwards, operation, STATE)
    assert build_is_awaited.wait(60)
    holder.rollback()
    first.result(timeout=60)
    second.result(timeout=60)
    assert [row[4] for row in facts() if row[0] == "index" and row[2] == "wanted"] == [
        "valid ready"
    ]


def test_a_build_in_a_copy_of_the_database_is_not_taken_for_one_here(background: Any) -> None:
    """What two databases have from one template has the same OIDs in both."""
    operation, sql = BUILDS["index"]
    here = Database.new()
    here.run(
        PART_TABLE,
        sql,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'wanted'::regclass",
    )
    copy = Database.new(here.name)

    def migrate() -> None:
        with connections[here.alias].schema_editor(atomic=False) as editor:
            migration(operation).apply(STATE.clone(), editor)
        here.close()

    try:
        with copy.connect(autocommit=False) as old, copy.connect() as builder:
            old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            rebuild = ("REINDEX INDEX CONCURRENTLY wanted",)
            build = threading.Thread(target=builder.execute, args=rebuild)
            build.start()
            with copy.connect() as watcher:
                wait_for_rows(watcher, WAITING.replace("CREATE", "REINDEX"))
            try:
                background(migrate).result(timeout=60)
            finally:
                old.rollback()
                build.join()
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'wanted'::regclass"
        assert here.value(valid) is True
    finally:
        copy.drop()
        here.drop()


@pytest.fixture
def plain_role() -> Any:
    """A role that may connect, owns the bench's schemas, and nothing more."""
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
    wait_for_rows(watcher, INVALID)
    wait_for_rows(watcher, WAITING)
    number = wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid")

    def migrate() -> None:
        scratch_schema.execute(f"SET SESSION AUTHORIZATION {plain_role}")
        forwards(operation, STATE)

    future = background(migrate)
    assert build_is_awaited.wait(60)
    holder.rollback()
    build.join(60)
    future.result(timeout=60)
    assert wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid") == number


def test_a_lock_of_another_role_is_told_without_superuser_rights(
    plain_role: str, sessions: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 0.02, "LOCK_WAIT": 0.1}
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
