"""Processes of `manage.py migrate` started at once: one works, the others wait for it and find it done."""

import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from django.core.management import call_command

from signals.operations.execution import migrators_lock
from tests.operations.waiting_migrators import (
    HOLDERS,
    MigrateProcess,
    WatchedDatabase,
    terminate_holder,
)
from tests.postgres.databases import new_database

pytestmark = pytest.mark.usefixtures("committing_connection")

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
        "from project.settings import *\nCONVERGENT_MIGRATIONS = {'MIGRATORS_WAIT': 0.5}\n"
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
    with database.held(migrators_lock.lock_key("one")):
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
        terminate_holder(database.watcher)
    assert run.code() == 1
    assert run.err[0].startswith(
        "MigratorsLockLost: the connection that kept other migrators out of "
    )
    assert "Traceback" not in run.err[0]
    applied = database.rows("SELECT app, left(name, 4) FROM django_migrations ORDER BY id")
    assert applied == [("contenttypes", "0001"), ("auth", "0001"), ("contenttypes", "0002")]
    database.start("migrate", "auth").succeeds()


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


def test_a_wrong_setting_ends_migrate_with_words_and_an_empty_one_is_none(
    database: WatchedDatabase,
) -> None:
    run = database.start("migrate", "--plan", CONVERGENT_MIGRATIONS_LOCK_WAIT="soon")
    assert run.code() == 3
    assert "Traceback" not in run.err[0]
    assert (
        "CONVERGENT_MIGRATIONS_LOCK_WAIT is 'soon' (use a number of seconds above 0)" in run.err[0]
    )
    database.start("migrate", "--plan", CONVERGENT_MIGRATIONS_LOCK_WAIT="").succeeds()
