"""Real processes of `manage.py migrate`, started at once; what holds the lock, and what becomes of it."""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, connections, models

from signals import operations
from signals.operations import migrators
from signals.operations.policy import LockPolicy
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
from tests.postgres.databases import ROOT, new_database
from tests.postgres.polling import wait_until

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
PUBLIC = migrators.key("public")

# What every command of a migration makes or alters, as it is committed.
JOURNAL = """
CREATE SCHEMA journal;
CREATE TABLE journal.commands (tag text, identity text);
CREATE FUNCTION journal.write() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO journal.commands
    SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands();
END $$;
CREATE EVENT TRIGGER journal ON ddl_command_end EXECUTE FUNCTION journal.write();
"""
COMMANDS = "SELECT tag, identity, count(*) FROM journal.commands GROUP BY 1, 2 ORDER BY 1, 2"
RECORDS = "SELECT app, name, count(*) FROM django_migrations GROUP BY 1, 2 ORDER BY 1, 2"
HOLDERS = """
SELECT a.pid, a.application_name, a.state, a.backend_xmin, a.backend_xid
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
AND a.application_name LIKE '%migrate (lock)' AND a.pid <> pg_backend_pid()
"""


def alone() -> Any:
    return migrators.alone(connections["default"])


class MigrateProcess:
    """A process of manage.py; its lines are read as it writes them."""

    def __init__(self, url: str, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "PGAPPNAME": "release 7", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A run in the background of a shell ignores ^C, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        self.out, self.err = [""], [""]
        self.threads = [
            threading.Thread(target=self._read, args=each, daemon=True)
            for each in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _read(stream: Any, text: list[str]) -> None:
        for line in stream:
            text[0] += line

    def says(self, words: str) -> bool:
        return words in self.err[0]

    def waits(self) -> None:
        wait_until(lambda: self.says("waiting for the migrator of "), f"it waits: {self.err}")

    def code(self) -> int:
        code = self.process.wait(timeout=120)
        for thread in self.threads:
            thread.join(60)
        return code

    def succeeds(self) -> str:
        assert self.code() == 0, self.err[0]
        assert "Traceback" not in self.err[0]
        return self.out[0]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.code()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class WatchedDatabase:
    """An empty database, a session that watches it, and processes that migrate it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.watcher = psycopg.connect(url, autocommit=True)
        self.runs: list[MigrateProcess] = []

    def start(self, *arguments: str, **environment: str) -> MigrateProcess:
        self.runs.append(MigrateProcess(self.url, *arguments, **environment))
        return self.runs[-1]

    def rows(self, question: str) -> list[Any]:
        return self.watcher.execute(question).fetchall()  # type: ignore[arg-type]

    def until(self, question: str) -> list[Any]:
        return wait_until(lambda: self.rows(question), question)  # type: ignore[no-any-return]

    @contextmanager
    def held(self, number: int = PUBLIC) -> Iterator[psycopg.Connection[Any]]:
        """A session that holds the migrators' lock, as another run of `migrate` would."""
        with psycopg.connect(self.url, application_name="release 6 migrate (lock)") as holder:
            holder.execute("SELECT pg_advisory_xact_lock(%s)", [number])
            yield holder

    def close(self) -> None:
        for run in self.runs:
            run.close()
        self.watcher.close()


@pytest.fixture
def database() -> Iterator[WatchedDatabase]:
    with new_database() as url:
        made = WatchedDatabase(url)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def run_alone(schemas_dropped: None, django_db_blocker: Any) -> Iterator[dict[str, list[Any]]]:
    """What one run of `migrate` does to an empty database."""
    with django_db_blocker.unblock(), new_database() as url:
        made = WatchedDatabase(url)
        try:
            made.watcher.execute(JOURNAL.encode())
            made.start("migrate").succeeds()
            yield {COMMANDS: made.rows(COMMANDS), RECORDS: made.rows(RECORDS)}
        finally:
            made.close()


@pytest.mark.parametrize("number", [2, 8])
def test_of_many_migrators_at_once_one_does_it_and_the_others_find_it_done(
    number: int, database: WatchedDatabase, run_alone: dict[str, list[Any]]
) -> None:
    database.watcher.execute(JOURNAL.encode())
    with database.held():
        runs = [database.start("migrate") for _ in range(number)]
        for run in runs:
            run.waits()
        assert database.rows("SELECT count(*) FROM journal.commands") == [(0,)]
    outputs = [run.succeeds() for run in runs]
    assert sorted("No migrations to apply." in output for output in outputs) == [
        False,
        *[True] * (number - 1),
    ]
    assert database.rows(COMMANDS) == run_alone[COMMANDS]
    assert database.rows(RECORDS) == run_alone[RECORDS]
    assert {count for *_, count in run_alone[RECORDS]} == {1}


def test_who_is_waited_for_is_said_at_once_and_a_signal_ends_the_wait(
    database: WatchedDatabase,
) -> None:
    with database.held() as holder:
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
            run = database.start("migrate")
            run.waits()
            assert run.err[0].startswith(
                f"waiting for the migrator of {holder.info.dbname}, schema public (0 s so far): "
                f"pid {holder.info.backend_pid}, release 6 migrate (lock), user {holder.info.user}, "
                "idle in transaction, transaction "
            )
            run.process.send_signal(number)
            assert run.code() == code
            assert "Traceback" not in run.err[0]
            database.until(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                "HAVING count(*) FILTER (WHERE application_name = 'release 7') = 0"
            )
    assert database.rows("SELECT to_regclass('django_migrations')") == [(None,)]


@pytest.fixture
def impatient(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that gives up after half a second."""
    (tmp_path / "impatient.py").write_text(
        "from project.settings import *\nSIGNALS_OPERATIONS = {'MIGRATORS_WAIT': 0.5}\n"
    )
    return {"DJANGO_SETTINGS_MODULE": "impatient", "PYTHONPATH": str(tmp_path)}


def test_it_gives_up_after_the_setting_and_names_the_holder(
    database: WatchedDatabase, impatient: dict[str, str]
) -> None:
    with database.held() as holder:
        name, pid = holder.info.dbname, holder.info.backend_pid
        run = database.start("migrate", **impatient)
        assert run.code() == 1
    assert run.out[0] == ""
    told = run.err[0].splitlines()[-3:]
    assert told[0] == (
        f"MigratorRunning: another migrator is at work on database {name}, schema public; "
        "waited 0.5 s for its lock, and nothing was changed"
    )
    assert told[1].startswith(f"  held by pid {pid}, release 6 migrate (lock),")
    assert told[2] == (
        "  to fix: run again when it is done, or end its session, which stops it before its next "
        "change: SELECT pg_catalog.pg_terminate_backend(pid)"
    )
    assert "Traceback" not in run.err[0]


def test_the_error_has_its_facts(settings: Any, sessions: Any) -> None:
    settings.SIGNALS_OPERATIONS = {"MIGRATORS_WAIT": 0.1}
    recreate()
    holder = sessions(autocommit=False)
    holder.execute("SELECT pg_advisory_xact_lock(%s)", [migrators.key(SCHEMA)])
    with pytest.raises(operations.MigratorRunning) as caught, alone():
        pytest.fail("it was let in beside the other")
    assert (caught.value.database, caught.value.schema) == (holder.info.dbname, SCHEMA)
    assert [line.split(",")[0] for line in caught.value.holders] == [
        f"pid {holder.info.backend_pid}"
    ]


def test_the_time_to_wait_is_validated_with_the_other_settings(settings: Any) -> None:
    assert LockPolicy().migrators_wait == 3600
    settings.SIGNALS_OPERATIONS = {"MIGRATORS_WAIT": 0}
    with pytest.raises(ImproperlyConfigured, match=r"\['MIGRATORS_WAIT'\] is 0 \(use a number"):
        LockPolicy.from_settings()


def test_who_only_looks_does_not_wait(database: WatchedDatabase) -> None:
    with database.held():
        assert (
            "Create table of SignalEvent if missing"
            in database.start("migrate", "--plan").succeeds()
        )
        check = database.start("migrate", "--check")
        assert check.code() == 1
        both = database.start("migrate", "--plan", "--check")
        assert both.code() == 1
    assert [check.err[0], both.err[0]] == ["", ""]


def test_two_schemas_are_migrated_side_by_side(database: WatchedDatabase) -> None:
    database.watcher.execute("CREATE SCHEMA one; CREATE SCHEMA two")
    with database.held(migrators.key("one")):
        waiting = database.start("migrate", "contenttypes", PGOPTIONS="-c search_path=one")
        waiting.waits()
        other = database.start("migrate", "contenttypes", PGOPTIONS="-c search_path=two")
        assert "Applying contenttypes.0002" in other.succeeds()
        assert other.err[0] == ""
        assert database.rows("SELECT to_regclass('one.django_migrations')") == [(None,)]
    assert "Applying contenttypes.0002" in waiting.succeeds()


def test_a_holder_that_is_killed_is_followed_by_who_waits(database: WatchedDatabase) -> None:
    """Its build is waited for or healed, whether the server has noticed by then or not."""
    database.start("migrate", "signals", "0011").succeeds()
    database.watcher.execute("INSERT INTO signals (market_type) VALUES ('dex')")
    with psycopg.connect(database.url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        first = database.start("migrate", "signals", "0012")
        database.until(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
        )
        ((pid, name, *_),) = database.rows(HOLDERS)
        second = database.start("migrate", "signals", "0012")
        second.waits()
        assert f": pid {pid}, release 7 migrate (lock), user " in second.err[0]
        assert name == "release 7 migrate (lock)"
        first.process.kill()
        assert first.code() == -signal.SIGKILL
    second.succeeds()
    assert database.rows(
        "SELECT 1 FROM pg_index WHERE indisvalid "
        "AND indexrelid = to_regclass('idx_signals_state_created_at')"
    )
    records = "SELECT count(*) FROM django_migrations WHERE app = 'signals' AND name LIKE '0012%'"
    assert database.rows(records) == [(1,)]


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
    guard = threading.Timer(30, connections["default"].connection.cancel)
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
    further = migrators._further

    def remembered(*args: Any) -> Any:
        made.append(further(*args))
        return made[-1]

    monkeypatch.setattr(migrators, "_further", remembered)
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
    other, attempt = sessions(), f"SELECT pg_try_advisory_lock({migrators.key(SCHEMA)})"
    name = scratch_schema.value("SHOW application_name")
    with alone():
        assert own().info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        assert other.execute(attempt).fetchone() == (False,)
        own().execute("ROLLBACK")
        assert other.execute(attempt).fetchone() == (True,)
        assert own().execute("SHOW application_name").fetchone() == (name,)
    assert own() is None


def test_who_waits_holds_no_transaction_between_its_tries(database: WatchedDatabase) -> None:
    """In a transaction it could keep the holder's concurrent build from ending."""
    with database.held():
        run = database.start("migrate", "contenttypes")
        run.waits()
        database.until(
            "SELECT 1 FROM pg_stat_activity "
            "WHERE application_name = 'release 7' AND datname = current_database() "
            "HAVING count(*) = 2 AND bool_and(state = 'idle' AND xact_start IS NULL "
            "AND clock_timestamp() - state_change > '0.1 s')"
        )
    run.succeeds()


def terminate(watcher: psycopg.Connection[Any]) -> None:
    ((pid, *_),) = watcher.execute(HOLDERS).fetchall()
    assert watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)


def test_a_run_whose_lock_is_lost_stops_before_its_next_statement(sessions: Any) -> None:
    recreate(PART_TABLE)
    watcher, before = sessions(), catalog_versions()
    with alone():
        terminate(watcher)
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
        CallAtWait(1, lambda: terminate(watcher)),
        pytest.raises(operations.MigratorsLockLost),
    ):
        forwards(add_column(), STATE)
    assert catalog_versions() == before


def test_what_is_lost_stays_lost(sessions: Any) -> None:
    recreate(PART_TABLE)
    watcher, before = sessions(), catalog_versions()
    with alone() as still_alone:
        terminate(watcher)
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
        terminate(watcher)
    (record,) = [each for each in caplog.records if "migrators' lock" in each.getMessage()]
    assert record.getMessage().startswith(
        "the migrators' lock was lost; what ran last may have run beside another migrator: "
    )


def test_a_run_that_lost_its_lock_stops_before_the_next_migration_too(
    database: WatchedDatabase,
) -> None:
    """Django's own operations ask nothing; the migration that holds them does."""
    database.start("migrate", "contenttypes", "0001").succeeds()
    with psycopg.connect(database.url) as reader:
        reader.execute("LOCK TABLE django_content_type IN ACCESS SHARE MODE")
        run = database.start("migrate", "auth")
        database.until(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND query LIKE 'ALTER TABLE%' AND wait_event_type = 'Lock'"
        )
        terminate(database.watcher)
    assert run.code() == 1
    assert run.err[0].startswith(
        "MigratorsLockLost: the connection that kept other migrators out of "
    )
    assert "Traceback" not in run.err[0]
    applied = database.rows("SELECT app, left(name, 4) FROM django_migrations ORDER BY id")
    assert applied == [("contenttypes", "0001"), ("auth", "0001"), ("contenttypes", "0002")]
    database.start("migrate", "auth").succeeds()


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
        terminate(watcher)
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


@pytest.fixture
def single(database: WatchedDatabase) -> Iterator[str]:
    """The database's URL for its owner, a role that may have one connection."""
    role, word = f"single_{secrets.token_hex(4)}", secrets.token_hex(8)
    place = urlsplit(database.url)
    database.watcher.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{word}' CONNECTION LIMIT 1")
    database.watcher.execute(f"ALTER DATABASE {place.path[1:]} OWNER TO {role}")
    yield place._replace(netloc=f"{role}:{quote(word)}@").geturl()
    database.watcher.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
    database.watcher.execute(f"DROP ROLE {role}")


def test_a_role_without_a_second_connection_is_told_what_it_lacks(
    database: WatchedDatabase, single: str
) -> None:
    run = MigrateProcess(single, "migrate")
    database.runs.append(run)
    assert run.code() == 1
    assert "Traceback" not in run.err[0]
    assert run.err[0].startswith(
        f"Refused: migrate: it needs a second connection to database {database.watcher.info.dbname},"
        " for the lock that keeps other migrators out, and gets none: "
    )
    assert run.err[0].endswith(
        "; nothing was changed. To fix: give the role, the database or the pooler a connection more, or "
        "end another session, and run again\n"
    )
    assert database.rows("SELECT to_regclass('django_migrations')") == [(None,)]


def test_a_database_that_is_no_postgresql_is_migrated_as_ever(sqlite_database: Any) -> None:
    call_command("migrate", "contenttypes", database="other", verbosity=0)
    assert "django_content_type" in sqlite_database.introspection.table_names()


def test_a_run_over_another_alias_of_the_database_is_a_part_of_the_run() -> None:
    recreate()
    other = connection.copy()
    try:
        scratch_schema.execute(f"SET search_path TO {SCHEMA}")
        with other.cursor() as cursor:
            cursor.execute(f"SET search_path TO {SCHEMA}")
        with alone() as outer, migrators.alone(other) as inner:
            assert inner is outer
    finally:
        other.close()


def test_a_wrong_setting_ends_migrate_with_words_and_an_empty_one_is_none(
    database: WatchedDatabase,
) -> None:
    run = database.start("migrate", "--plan", SIGNALS_OPERATIONS_LOCK_WAIT="soon")
    assert run.code() == 3
    assert "Traceback" not in run.err[0]
    assert "SIGNALS_OPERATIONS_LOCK_WAIT is 'soon' (use a number of seconds above 0)" in run.err[0]
    database.start("migrate", "--plan", SIGNALS_OPERATIONS_LOCK_WAIT="").succeeds()
