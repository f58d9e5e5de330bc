"""The settings of a session are after a run what they were, and cut off no step that lets writers through."""

from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models import Index

from signals import operations
from signals.operations.execution.settings import CLIENT_CHECK
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.execution.current_settings import current_settings
from tests.operations.execution.part_operations import add_check, add_column, add_index, add_unique
from tests.operations.scratch_schema import (
    PART_TABLE,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)
from tests.postgres.polling import wait_for_rows, wait_until

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())

SESSION = (
    "SET lock_timeout = '7s'; SET statement_timeout = '9s'; SET application_name = 'mine';"
    "SET client_connection_check_interval = '13s'; SET idle_in_transaction_session_timeout = '17s';"
    "SELECT set_config(name, '23s', false) FROM pg_settings WHERE name = 'transaction_timeout'"
)
OWN = pytest.mark.parametrize("own", ["", SESSION], ids=["defaults", "its own"])


@OWN
@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
@pytest.mark.parametrize(
    "make",
    [add_column, add_check, add_index, add_unique],
    ids=["column", "check", "index", "unique"],
)
def test_the_sessions_settings_are_what_they_were(make: Any, atomic: bool, own: str) -> None:
    recreate(PART_TABLE, own)
    before = current_settings()
    try:
        forwards(make(), STATE, atomic=atomic)
    except operations.NeedsAutocommit:
        assert atomic
    assert current_settings() == before


@OWN
@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
def test_the_sessions_settings_are_what_they_were_after_a_lock_timeout(
    atomic: bool, own: str, sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {
        "LOCK_TIMEOUT": 0.02,
        "LOCK_WAIT": 0.1,
        "LOCK_TIMEOUT_IN_TRANSACTION": 0.1,
    }
    recreate(PART_TABLE, own)
    before = current_settings()
    sessions.holding("ACCESS SHARE")
    with pytest.raises(operations.LockWaitExceeded):
        forwards(add_column(), STATE, atomic=atomic)
    assert current_settings() == before


@OWN
def test_the_settings_of_a_transaction_hold_after_each_step_in_it_and_no_longer(own: str) -> None:
    """After a step that waits, one that tries, and one that fails."""
    recreate(PART_TABLE, own)
    after = current_settings()
    with transaction.atomic():
        scratch_schema.execute(
            "SET LOCAL lock_timeout = '3s'; SET LOCAL application_name = 'local'"
        )
        before = current_settings()
        forwards(add_check(), STATE, atomic=True)
        assert current_settings() == before
        forwards(add_column(), STATE, atomic=True)
        assert current_settings() == before
        with pytest.raises(operations.RowsViolate):
            forwards(
                operations.SetNotNullIfNullable("part", "made_at", models.DateTimeField()),
                STATE,
                atomic=True,
            )
        assert current_settings() == before
    assert current_settings() == after


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
@pytest.mark.parametrize(
    "make", [add_column, add_check, add_unique], ids=["column", "check", "unique"]
)
def test_a_server_that_cannot_look_after_its_client_is_asked_without(
    make: Any, atomic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the interval by the SQLSTATE with which every server refuses a value that is none."""
    monkeypatch.setitem(CLIENT_CHECK, "client_connection_check_interval", "often")
    recreate(PART_TABLE, SESSION, "SET client_connection_check_interval = 0")
    before = current_settings()
    try:
        forwards(make(), STATE, atomic=atomic)
    except operations.NeedsAutocommit:
        assert atomic
    else:
        assert [row for row in facts() if row[2] in ("state", "wanted")]
    assert current_settings() == before


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: add_check(5), operations.RowsViolate),
        (
            lambda: operations.SetNotNullIfNullable("part", "made_at", models.DateTimeField()),
            operations.RowsViolate,
        ),
        (add_unique, operations.RowsViolate),
    ],
    ids=["check", "not null", "unique"],
)
def test_the_sessions_settings_are_what_they_were_after_a_failure_too(
    make: Any, error: type[Exception]
) -> None:
    recreate(PART_TABLE, "INSERT INTO part (label, amount) VALUES ('bolt', 1)", SESSION)
    before = current_settings()
    with pytest.raises(error):
        forwards(make(), STATE)
    assert current_settings() == before


def test_the_sessions_settings_are_what_they_were_after_a_cancelled_build(
    sessions: Any, background: Any
) -> None:
    recreate(PART_TABLE)
    sessions.with_snapshot()
    watcher, seen = sessions(), {}

    def build() -> None:
        scratch_schema.execute(SESSION)
        try:
            forwards(add_index(), STATE)
        except operations.StatementRefused as refused:
            seen["sqlstate"] = refused.sqlstate
        seen["settings"] = current_settings()

    future = background(build)
    cancel_when_waiting(watcher)
    future.result(timeout=DEADLINE)
    assert seen["sqlstate"] == "57014"
    assert seen["settings"]["lock_timeout"] == "7s"
    assert seen["settings"]["statement_timeout"] == "9s"


def cancel_when_waiting(watcher: Any) -> None:
    wait_for_rows(
        watcher,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND datname = current_database()",
    )


def test_a_step_that_lets_writers_through_is_not_cut_off_by_the_sessions_timeouts(
    sessions: Any, background: Any
) -> None:
    """A concurrent build waits for old snapshots by design; cutting it off leaves an invalid index."""
    recreate(PART_TABLE)
    holder, watcher = sessions.with_snapshot(), sessions()

    def build() -> None:
        scratch_schema.execute("SET lock_timeout = '10ms'; SET statement_timeout = '500ms'")
        forwards(add_index(), STATE)

    future = background(build)
    wait_for_rows(
        watcher,
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE 'CREATE INDEX CONCURRENTLY%' "
        "AND clock_timestamp() - query_start > '800 ms'",
    )
    holder.rollback()
    future.result(timeout=DEADLINE)
    assert [row[4] for row in facts() if row[2] == "wanted" and row[0] == "index"] == [
        "valid ready"
    ]


def test_a_statement_timeout_of_the_session_holds_for_steps_that_stop_writers(
    sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 5}
    recreate(PART_TABLE)
    before = catalog_versions()
    sessions.holding("ACCESS SHARE")
    scratch_schema.execute("SET statement_timeout = '500ms'")
    with pytest.raises(operations.StatementRefused) as refused:
        forwards(add_column(), STATE)
    assert refused.value.sqlstate == "57014"
    assert scratch_schema.value("SHOW statement_timeout") == "500ms"
    scratch_schema.execute("RESET statement_timeout")
    assert catalog_versions() == before


def test_the_sessions_timeout_does_not_cut_off_the_reading(sessions: Any, background: Any) -> None:
    """As after ALTER ROLE ... SET lock_timeout, while VACUUM FULL has the table."""
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount >= 0) NOT VALID")
    holder, watcher = sessions.holding("ACCESS EXCLUSIVE"), sessions()

    def run() -> str:
        scratch_schema.execute("SET lock_timeout = '50ms'")
        forwards(add_check(), STATE)
        return str(scratch_schema.value("SHOW lock_timeout"))

    running = background(run)
    wait_for_rows(
        watcher,
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND clock_timestamp() - query_start > '200 ms'",
    )
    holder.rollback()
    assert running.result(timeout=DEADLINE) == "50ms"
    assert ("constraint", "part", "wanted", "c", "CHECK ((amount >= 0))", "true") in facts()


def test_a_build_is_not_cut_off_by_transaction_timeout(sessions: Any, background: Any) -> None:
    recreate(PART_TABLE)
    setting = "transaction" if connection.pg_version >= 170000 else "statement"
    holder = sessions.with_snapshot()
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part", Index(fields=["label"], name="wanted")
    )

    def build() -> str:
        scratch_schema.execute(f"SET {setting}_timeout = '200ms'")
        forwards(operation, project_state(part_model()))
        return str(scratch_schema.value(f"SHOW {setting}_timeout"))

    running = background(build)
    waited = (
        "SELECT 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND clock_timestamp() - query_start > '400ms'"
    )
    wait_until(lambda: scratch_schema.rows(waited) or running.done(), "it waits, or has ended")
    holder.close()
    assert running.result(timeout=DEADLINE) == "200ms"
