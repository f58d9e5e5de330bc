"""Real processes of `manage.py migrate`, killed with -9 at drawn moments; the next run ends the work."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from project.demo.legacy import fingerprint
from tests.deadline import DEADLINE
from tests.postgres.catalog_facts import facts
from tests.postgres.databases import Database
from tests.postgres.polling import lock_waiter, wait_until, wait_until_unused

Copy = Callable[[str], Database]

# Before each DDL command a number is drawn from a sequence, which no rollback takes back; the command
# with the chosen number waits for an advisory lock that the test holds.
HARNESS = (
    "CREATE SCHEMA harness",
    "CREATE SEQUENCE harness.commands",
    "CREATE TABLE harness.chosen (number int)",
    """
    CREATE FUNCTION harness.stop() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('harness.commands') IN (SELECT number FROM harness.chosen) THEN
            PERFORM pg_advisory_lock(4711), pg_advisory_unlock(4711);
        END IF;
    END $$
    """,
    "CREATE EVENT TRIGGER harness_{when} ON ddl_command_{when} EXECUTE FUNCTION harness.stop()",
)


def harnessed(database: Database, when: str, number: int) -> Database:
    database.run(*(statement.replace("{when}", when) for statement in HARNESS))
    database.run(f"INSERT INTO harness.chosen VALUES ({number})")
    return database


def without_harness(database: Database) -> Database:
    database.run(
        *(f"DROP EVENT TRIGGER IF EXISTS harness_{when}" for when in ("start", "end")),
        "DROP SCHEMA harness CASCADE",
    )
    return database


def stopped(database: Database) -> Any:
    """The pid of the session that waits in the trigger."""
    return Database("postgres").rows(
        "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted AND datname = %s",
        [database.name],
    )


dice = Random(12)  # noqa: S311 - draws are no secret
# Up to 0012, with those of the probes, 011 has some 250 and 001 some 310.
DRAWN = [
    ("011", "end", dice.randint(100, 200)),
    ("001", "start", dice.randint(1, 130)),
]


@pytest.mark.parametrize(("revision", "when", "number"), DRAWN)
def test_a_migrator_killed_at_a_drawn_command_is_followed_by_one_that_ends_the_work(
    copy: Copy, prepared: Callable[[str], Database], revision: str, when: str, number: int
) -> None:
    database = harnessed(copy(f"legacy {revision}"), when, number)
    with database.connect() as session:
        before = fingerprint(session, revision)
        session.execute("SELECT pg_advisory_lock(4711)")
        with database.running("migrate", "signals", "0012") as process:
            wait_until(lambda: stopped(database), f"command {number} waits")
            process.kill()
            assert process.wait(timeout=DEADLINE) == -9
        session.execute("SELECT pg_advisory_unlock(4711)")
    wait_until_unused(database)
    without_harness(database)
    done = database.manage("migrate", "signals", "0012")
    assert done.returncode == 0, done.stderr
    assert facts(database) == facts(prepared(f"adopted {revision}"))
    with database.connect() as session:
        assert fingerprint(session, revision) == before
    for migration in range(1, 13):
        assert database.verify(f"{migration:04}")[0] == 0


def test_a_build_by_hand_is_waited_for_and_not_dropped(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run("DROP INDEX idx_signals_state_created_at")
    database.run("DELETE FROM django_migrations WHERE app = 'signals' AND name LIKE '0012%'")
    sql = "CREATE INDEX CONCURRENTLY idx_signals_state_created_at ON signals (state, created_at)"
    with ThreadPoolExecutor(1) as pool, database.connect(autocommit=False) as writer:
        writer.execute("UPDATE signals SET confidence = confidence WHERE id = 1")
        build = pool.submit(database.run, sql)
        pid = wait_until(
            lock_waiter(database, "CREATE INDEX CONCURRENTLY"), "the build waits for the writer"
        )
        oid = database.value("SELECT 'idx_signals_state_created_at'::regclass::oid")
        with database.running("migrate", "signals", "0012") as run:
            told = wait_until(lambda: run.stderr and run.stderr.readline(), "the run tells")
            assert f"another session builds it; waiting for a stranger: pid {pid}, " in told
            assert "… Building" in database.verify("0012")[1]
            writer.rollback()
            run.communicate(timeout=DEADLINE)
            assert run.returncode == 0
        build.result(DEADLINE)
    assert database.value("SELECT 'idx_signals_state_created_at'::regclass::oid") == oid
    assert database.verify("0012")[0] == 0


def test_a_build_whose_backend_is_terminated_is_built_anew(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run("DROP INDEX idx_signals_state_created_at")
    database.run("DELETE FROM django_migrations WHERE app = 'signals' AND name LIKE '0012%'")
    with database.connect(autocommit=False) as writer:
        writer.execute("UPDATE signals SET confidence = confidence WHERE id = 1")
        with database.running("migrate", "signals", "0012") as first:
            pid = wait_until(lock_waiter(database, "CREATE INDEX CONCURRENTLY"), "the build waits")
            Database("postgres").value("SELECT pg_terminate_backend(%s)", [pid])
            first.communicate(timeout=DEADLINE)
            assert first.returncode == 4
    wait_until_unused(database)
    assert "! Unfinished" in database.verify("0012")[1]
    done = database.manage("migrate", "signals", "0012")
    assert done.returncode == 0, done.stderr
    assert database.verify("0012")[0] == 0


def test_a_migrator_that_waits_for_a_lock_lets_writers_through(copy: Copy) -> None:
    """Behind a long reader the migrator tries again and again; a writer waits for a try at most."""
    database = copy("adopted 011")
    database.migrate("0011")
    with database.connect(autocommit=False) as reader:
        reader.execute("SELECT FROM signals LIMIT 1")
        with database.running("migrate", "signals", "0012") as process:
            wait_until(lock_waiter(database, "ADD COLUMN"), "the column waits for the reader")
            for number in range(20):
                database.run(
                    "SET lock_timeout = '1s'",
                    f"UPDATE signals SET confidence = {number} WHERE id = 2",
                )
            reader.rollback()
            process.communicate(timeout=DEADLINE)
            assert process.returncode == 0
    assert database.verify("0012")[0] == 0
