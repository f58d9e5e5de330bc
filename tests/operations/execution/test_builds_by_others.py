"""A build by another session is waited for and not dropped, and taken over where it fails."""

import threading
from typing import Any

import psycopg
import pytest
from django.db import connections, models

from signals import operations
from tests.deadline import DEADLINE
from tests.operations.execution.concurrent_builds import BUILD_WAITS, BUILDS, INDEX_IS_INVALID
from tests.operations.scratch_schema import (
    PART_TABLE,
    facts,
    forwards,
    migration,
    part_model,
    project_state,
    recreate,
)
from tests.postgres.databases import Database
from tests.postgres.polling import wait_for_rows, wait_until

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


@pytest.mark.parametrize("what", BUILDS)
def test_a_build_of_another_session_is_waited_for_and_not_dropped(
    what: str, sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    operation, sql = BUILDS[what]
    recreate(PART_TABLE)
    holder, builder, watcher = sessions.with_snapshot(), sessions(), sessions()
    build = threading.Thread(target=builder.execute, args=(sql,))
    build.start()
    wait_for_rows(watcher, INDEX_IS_INVALID)
    wait_for_rows(watcher, BUILD_WAITS)
    number = wait_for_rows(watcher, "SELECT 'wanted'::regclass::oid")
    future = background(forwards, operation, STATE)
    assert build_is_awaited.wait(DEADLINE)
    assert not future.done()
    holder.rollback()
    build.join(DEADLINE)
    future.result(timeout=DEADLINE)
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
    wait_for_rows(watcher, INDEX_IS_INVALID)
    ((pid,),) = wait_for_rows(watcher, BUILD_WAITS)
    future = background(forwards, operation, STATE)
    assert build_is_awaited.wait(DEADLINE)
    watcher.execute("SELECT pg_cancel_backend(%s)", [pid])
    build.join(DEADLINE)
    holder.rollback()
    future.result(timeout=DEADLINE)
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
    wait_for_rows(watcher, INDEX_IS_INVALID)
    wait_for_rows(watcher, BUILD_WAITS)
    second = background(forwards, operation, STATE)
    assert build_is_awaited.wait(DEADLINE)
    holder.rollback()
    first.result(timeout=DEADLINE)
    second.result(timeout=DEADLINE)
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
                wait_for_rows(watcher, BUILD_WAITS.replace("CREATE", "REINDEX"))
            try:
                background(migrate).result(timeout=DEADLINE)
            finally:
                old.rollback()
                build.join()
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'wanted'::regclass"
        assert here.value(valid) is True
    finally:
        copy.drop()
        here.drop()


BUILD_HELD_UP = """SELECT 1 FROM pg_stat_progress_create_index
    WHERE datname = current_database() AND phase LIKE 'waiting%'"""


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
    wait_for_rows(watcher, BUILD_HELD_UP)
    index = models.Index(fields=["label"], name="wanted")
    ours = background(forwards, operations.CreateIndexConcurrentlyIfMissing("part", index), STATE)
    told = "another session builds an index of the table"
    wait_until(lambda: told in caplog.text, told)
    writer.commit()
    thread.join(DEADLINE)
    ours.result(DEADLINE)
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
    wait_for_rows(watcher, BUILD_HELD_UP)
    index = models.Index(fields=["label"], name="wanted")
    try:
        with pytest.raises(operations.NeedsAutocommit, match="another session builds it"):
            forwards(operations.CreateIndexConcurrentlyIfMissing("part", index), STATE, atomic=True)
    finally:
        for opened in sessions.opened[:1]:
            opened.rollback()
        thread.join(DEADLINE)
