"""The lock that keeps other migrators out: its session, and what becomes of a run that loses it."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections, models

from signals import operations
from signals.operations.execution import migrators_lock
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.log_listeners import CallAtWait
from tests.operations.scratch_schema import (
    OTHER_SCHEMA,
    PART_TABLE,
    SCHEMA,
    catalog_versions,
    forwards,
    part_model,
    project_state,
    recreate,
)
from tests.operations.waiting_migrators import HOLDERS, terminate_holder
from tests.postgres.polling import wait_until

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


def alone() -> Any:
    return migrators_lock.hold_migrators_lock(connections["default"])


def test_the_error_has_its_facts(settings: Any, sessions: Any) -> None:
    settings.CONVERGENT_MIGRATIONS = {"MIGRATORS_WAIT": 0.1}
    recreate()
    holder = sessions(autocommit=False)
    holder.execute("SELECT pg_advisory_xact_lock(%s)", [migrators_lock.lock_key(SCHEMA)])
    with pytest.raises(operations.MigratorRunning) as caught, alone():
        pytest.fail("it was let in beside the other")
    assert (caught.value.database, caught.value.schema) == (holder.info.dbname, SCHEMA)
    assert [line.split(",")[0] for line in caught.value.holders] == [
        f"pid {holder.info.backend_pid}"
    ]


def add_column() -> Any:
    return operations.AddColumnIfMissing("part", "state", models.TextField(null=True))


def add_index() -> Any:
    return operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(fields=["label"], name="wanted")
    )


def test_the_holders_session_has_no_snapshot_and_its_own_run_builds_concurrently(
    sessions: Any,
) -> None:
    recreate(PART_TABLE)
    watcher = sessions()
    guard = threading.Timer(DEADLINE, connections["default"].connection.cancel)
    guard.start()
    try:
        with alone():
            forwards(add_index(), STATE)
            (holder,) = watcher.execute(HOLDERS).fetchall()
    finally:
        guard.cancel()
    assert holder[1:] == ("migrate (lock)", "idle in transaction", None, None)
    assert scratch_schema.value(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'wanted'::regclass"
    )
    assert watcher.execute(HOLDERS).fetchall() == []


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """The session that the last lock of this process stands in."""
    made: list[Any] = []
    further = migrators_lock._further

    def remembered(*args: Any) -> Any:
        made.append(further(*args))
        return made[-1]

    monkeypatch.setattr(migrators_lock, "_further", remembered)
    return lambda: made[-1].connection


def test_no_timeout_of_idle_or_long_transactions_ends_it(
    sessions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate()
    watcher = sessions()
    names = ["idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"]
    found = scratch_schema.rows("SELECT name FROM pg_settings WHERE name = ANY(%s)", [names])
    options = " ".join(f"-c {name}=200" for (name,) in found)
    given = {**connection.settings_dict["OPTIONS"], "options": options}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", given)
    with alone() as still_alone:
        (holder,) = watcher.execute(HOLDERS).fetchall()
        late = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND now() - state_change > '0.5 s'"
        gone = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
        question = f"{late} UNION ALL {gone}"
        wait_until(
            lambda: watcher.execute(question, [holder[0]] * 2).fetchall(), "half a second is over"
        )
        still_alone()
        assert watcher.execute(HOLDERS).fetchall() == [holder]


def test_the_lock_belongs_to_the_transaction_and_not_to_the_session(
    sessions: Any, own: Callable[[], Any]
) -> None:
    """A pooler of transactions gives the session to another client; nothing may stay behind on it."""
    recreate()
    other, attempt = sessions(), f"SELECT pg_try_advisory_lock({migrators_lock.lock_key(SCHEMA)})"
    name = scratch_schema.value("SHOW application_name")
    with alone():
        assert own().info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        assert other.execute(attempt).fetchone() == (False,)
        own().execute("ROLLBACK")
        assert other.execute(attempt).fetchone() == (True,)
        assert own().execute("SHOW application_name").fetchone() == (name,)
    assert own() is None


def test_a_run_whose_lock_is_lost_stops_before_its_next_statement(sessions: Any) -> None:
    recreate(PART_TABLE)
    watcher, before = sessions(), catalog_versions()
    with alone():
        terminate_holder(watcher)
        with pytest.raises(operations.MigratorsLockLost) as caught:
            forwards(add_column(), STATE)
    assert catalog_versions() == before
    assert (caught.value.database, caught.value.schema) == (watcher.info.dbname, SCHEMA)
    assert str(caught.value) == (
        f"the connection that kept other migrators out of database {watcher.info.dbname}, schema "
        f"{SCHEMA} has ended; stopped before the next change, because another migrator may be at work "
        "(run again; the next run continues from here)"
    )
    with alone():
        forwards(add_column(), STATE)
    assert catalog_versions() != before


def test_a_run_whose_lock_is_lost_stops_trying_for_the_lock_of_a_table(sessions: Any) -> None:
    recreate(PART_TABLE)
    sessions.holding("ACCESS SHARE")
    watcher, before = sessions(), catalog_versions()
    with (
        alone(),
        CallAtWait(1, lambda: terminate_holder(watcher)),
        pytest.raises(operations.MigratorsLockLost),
    ):
        forwards(add_column(), STATE)
    assert catalog_versions() == before


def test_what_is_lost_stays_lost(sessions: Any) -> None:
    recreate(PART_TABLE)
    watcher, before = sessions(), catalog_versions()
    with alone() as still_alone:
        terminate_holder(watcher)
        for _ in range(2):
            with pytest.raises(operations.MigratorsLockLost):
                still_alone()
        with pytest.raises(operations.MigratorsLockLost):
            forwards(add_column(), STATE)
    assert catalog_versions() == before


def test_a_lock_that_is_lost_behind_the_last_statement_is_told(
    sessions: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recreate(PART_TABLE)
    watcher = sessions()
    with alone():
        forwards(add_column(), STATE)
        terminate_holder(watcher)
    (record,) = [each for each in caplog.records if "migrators' lock" in each.getMessage()]
    assert record.getMessage().startswith(
        "the migrators' lock was lost; what ran last may have run beside another migrator: "
    )


def test_a_run_within_a_run_is_a_part_of_it(sessions: Any) -> None:
    recreate()
    watcher = sessions()
    with alone() as outer:
        (holder,) = watcher.execute(HOLDERS).fetchall()
        call_command("migrate", "contenttypes", verbosity=0)
        with alone() as inner:
            assert inner is outer
        assert watcher.execute(HOLDERS).fetchall() == [holder]
    assert watcher.execute(HOLDERS).fetchall() == []


def test_a_run_within_a_run_in_another_schema_has_a_lock_of_its_own(sessions: Any) -> None:
    recreate(PART_TABLE)
    watcher = sessions()
    with alone():
        with scratch_schema.search_path(OTHER_SCHEMA), alone():
            assert len(watcher.execute(HOLDERS).fetchall()) == 2
        assert len(watcher.execute(HOLDERS).fetchall()) == 1
        terminate_holder(watcher)
        with pytest.raises(operations.MigratorsLockLost):
            forwards(add_column(), STATE)


def test_a_run_that_fails_gives_the_lock_back(sessions: Any) -> None:
    recreate()
    watcher = sessions()
    with pytest.raises(ZeroDivisionError), alone():
        raise ZeroDivisionError
    assert watcher.execute(HOLDERS).fetchall() == []


def test_a_long_application_name_leaves_room_for_what_it_is(
    sessions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate()
    given = {**connection.settings_dict["OPTIONS"], "application_name": "release" * 9}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", given)
    with alone():
        ((_, name, *_),) = sessions().execute(HOLDERS).fetchall()
    assert name == ("release" * 9)[:48] + " migrate (lock)"


def test_a_run_over_another_alias_of_the_database_is_a_part_of_the_run() -> None:
    recreate()
    other = connection.copy()
    try:
        scratch_schema.execute(f"SET search_path TO {SCHEMA}")
        with other.cursor() as cursor:
            cursor.execute(f"SET search_path TO {SCHEMA}")
        with alone() as outer, migrators_lock.hold_migrators_lock(other) as inner:
            assert inner is outer
    finally:
        other.close()
