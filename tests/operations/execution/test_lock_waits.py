"""How long anybody waits for anybody, and what the session's settings are afterwards."""

import threading
import time
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models, transaction

from signals import operations
from signals.operations import session
from signals.operations.activity import Sessions
from signals.operations.statements import Lock
from tests.operations import scratch_schema
from tests.operations.log_listeners import CallAtWait
from tests.operations.scratch_schema import (
    PART_TABLE,
    backwards,
    catalog_versions,
    conninfo,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)
from tests.postgres.databases import new_database
from tests.postgres.polling import wait_for_rows

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
TIMEOUT, SLACK = 0.05, 5.0
SETTINGS = (
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "client_connection_check_interval",
    "application_name",
    "search_path",
)


def add_column() -> Any:
    return operations.AddColumnIfMissing("part", "state", models.TextField(db_default="new"))


def add_check(least: int = 0) -> Any:
    condition = models.Q(amount__gte=least)
    return operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )


def add_index() -> Any:
    return operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(fields=["label"], name="wanted")
    )


def add_unique() -> Any:
    return operations.AddUniqueIfMissing(
        "part", models.UniqueConstraint(fields=["label"], name="wanted")
    )


def settings_now() -> dict[str, str]:
    """Each that this server knows."""
    known = "SELECT name FROM pg_catalog.pg_settings WHERE name = ANY(%s)"
    return {
        name: scratch_schema.value(f"SHOW {name}")
        for (name,) in scratch_schema.rows(known, [list(SETTINGS)])
    }


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
    assert waits.lines[0].endswith("""s: "SET application_name = 'nightly report'\"""")


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
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 0.02, "LONGEST_PAUSE": 0.05, "LOCK_WAIT": 0.2}
    recreate(PART_TABLE, prepared)
    before, options = catalog_versions(), settings_now()
    reader = sessions.holding("ACCESS SHARE")
    start = time.monotonic()
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(make(), STATE)
    assert time.monotonic() - start < 30
    error = caught.value
    assert catalog_versions() == before
    assert settings_now() == options
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
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT_IN_TRANSACTION": 0.1}
    recreate(PART_TABLE)
    before = catalog_versions()
    sessions.holding("ACCESS SHARE")
    with pytest.raises(operations.LockWaitExceeded, match=r"set atomic = False on the migration"):
        forwards(add_column(), STATE, atomic=True)
    assert catalog_versions() == before


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
    before = settings_now()
    try:
        forwards(make(), STATE, atomic=atomic)
    except operations.NeedsAutocommit:
        assert atomic
    assert settings_now() == before


@OWN
@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
def test_the_sessions_settings_are_what_they_were_after_a_lock_timeout(
    atomic: bool, own: str, sessions: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {
        "LOCK_TIMEOUT": 0.02,
        "LOCK_WAIT": 0.1,
        "LOCK_TIMEOUT_IN_TRANSACTION": 0.1,
    }
    recreate(PART_TABLE, own)
    before = settings_now()
    sessions.holding("ACCESS SHARE")
    with pytest.raises(operations.LockWaitExceeded):
        forwards(add_column(), STATE, atomic=atomic)
    assert settings_now() == before


@OWN
def test_the_settings_of_a_transaction_hold_after_each_step_in_it_and_no_longer(own: str) -> None:
    """After a step that waits, one that tries, and one that fails."""
    recreate(PART_TABLE, own)
    after = settings_now()
    with transaction.atomic():
        scratch_schema.execute(
            "SET LOCAL lock_timeout = '3s'; SET LOCAL application_name = 'local'"
        )
        before = settings_now()
        forwards(add_check(), STATE, atomic=True)
        assert settings_now() == before
        forwards(add_column(), STATE, atomic=True)
        assert settings_now() == before
        with pytest.raises(operations.RowsViolate):
            forwards(
                operations.SetNotNullIfNullable("part", "made_at", models.DateTimeField()),
                STATE,
                atomic=True,
            )
        assert settings_now() == before
    assert settings_now() == after


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
@pytest.mark.parametrize(
    "make", [add_column, add_check, add_unique], ids=["column", "check", "unique"]
)
def test_a_server_that_cannot_look_after_its_client_is_asked_without(
    make: Any, atomic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the interval by the SQLSTATE with which every server refuses a value that is none."""
    monkeypatch.setitem(session.CHECK, "client_connection_check_interval", "often")
    recreate(PART_TABLE, SESSION, "SET client_connection_check_interval = 0")
    before = settings_now()
    try:
        forwards(make(), STATE, atomic=atomic)
    except operations.NeedsAutocommit:
        assert atomic
    else:
        assert [row for row in facts() if row[2] in ("state", "wanted")]
    assert settings_now() == before


def test_an_operations_own_limits_hold_in_the_place_of_the_settings(
    sessions: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 60, "LOCK_WAIT": 60}
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
    before = settings_now()
    with pytest.raises(error):
        forwards(make(), STATE)
    assert settings_now() == before


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
        seen["settings"] = settings_now()

    future = background(build)
    cancel_when_waiting(watcher)
    future.result(timeout=60)
    assert seen["sqlstate"] == "57014"
    assert seen["settings"]["lock_timeout"] == "7s"
    assert seen["settings"]["statement_timeout"] == "9s"


def cancel_when_waiting(watcher: Any) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        question = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND datname = current_database()"
        )
        if watcher.execute(question).fetchall():
            return
    pytest.fail("no concurrent build was seen to wait")


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
    future.result(timeout=60)
    assert [row[4] for row in facts() if row[2] == "wanted" and row[0] == "index"] == [
        "valid ready"
    ]


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


def test_a_statement_timeout_of_the_session_holds_for_steps_that_stop_writers(
    sessions: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 5}
    recreate(PART_TABLE)
    before = catalog_versions()
    sessions.holding("ACCESS SHARE")
    scratch_schema.execute("SET statement_timeout = '60ms'")
    with pytest.raises(operations.StatementRefused) as refused:
        forwards(add_column(), STATE)
    assert refused.value.sqlstate == "57014"
    assert scratch_schema.value("SHOW statement_timeout") == "60ms"
    assert catalog_versions() == before


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


def test_a_session_of_another_database_is_no_blocker() -> None:
    """Databases made from one template share the numbers of their tables."""
    with new_database() as first:
        with psycopg.connect(first, autocommit=True) as session:
            session.execute("CREATE TABLE part (id bigint)")
        name = psycopg.conninfo.conninfo_to_dict(first)["dbname"]
        with psycopg.connect(conninfo(), autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")  # type: ignore[arg-type]
        other = connection.copy()
        other.settings_dict = {**connection.settings_dict, "NAME": name}
        try:
            with psycopg.connect(conninfo(), dbname=f"{name}_copy") as holder:
                holder.execute("LOCK TABLE part IN ACCESS SHARE MODE")
                assert Sessions(other).blockers(['"part"'], Lock.ACCESS_EXCLUSIVE.conflicts) == ()
        finally:
            other.close()
            with psycopg.connect(conninfo(), autocommit=True) as server:
                server.execute(f"DROP DATABASE {name}_copy WITH (FORCE)")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"LOCK_TIME": 1}, r"SIGNALS_OPERATIONS\['LOCK_TIME'\] is not a setting"),
        ({"LOCK_WAIT": 0}, r"SIGNALS_OPERATIONS\['LOCK_WAIT'\] is 0 \(use a number"),
        ({"LOCK_WAIT": "9"}, r"SIGNALS_OPERATIONS\['LOCK_WAIT'\] is '9' \(use a number"),
        ({"LOCK_WAIT": True}, r"SIGNALS_OPERATIONS\['LOCK_WAIT'\] is True \(use a number"),
    ],
    ids=["unknown", "zero", "text", "bool"],
)
def test_a_wrong_setting_names_its_key_and_the_fix(given: Any, text: str, settings: Any) -> None:
    settings.SIGNALS_OPERATIONS = given
    recreate(PART_TABLE)
    before = catalog_versions()
    with pytest.raises(ImproperlyConfigured, match=text):
        forwards(add_column(), STATE)
    assert catalog_versions() == before


@pytest.mark.parametrize("add", [add_column, add_check], ids=["column", "check"])
def test_who_holds_a_table_that_inherits_is_named(add: Any, sessions: Any, settings: Any) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 0.02, "LONGEST_PAUSE": 0.05, "LOCK_WAIT": 0.2}
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
    assert running.result(timeout=60) == "50ms"
    assert ("constraint", "part", "wanted", "c", "CHECK ((amount >= 0))", "true") in facts()
