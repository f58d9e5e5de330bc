"""Stop a migrator at the DDL command or record of a number, so that a test can kill it there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.postgres.databases import Database, server_session
from tests.postgres.manage_process import ManageProcess
from tests.postgres.polling import wait_until

LOCK = 4712
# A number is drawn before and after each command, probes apart, from a sequence that no rollback takes back.
# At a chosen number the migrator waits for the lock that the test holds, whatever its lock_timeout.
STOPS = (
    "CREATE SCHEMA stops",
    "CREATE SEQUENCE stops.points",
    "CREATE TABLE stops.chosen (number bigint)",
    f"""
    CREATE FUNCTION stops.pass() RETURNS void LANGUAGE plpgsql SET lock_timeout = 0 AS $$
    DECLARE point bigint; BEGIN
        IF current_setting('application_name') LIKE 'migrator%'
            AND current_query() NOT LIKE 'BEGIN READ WRITE%' THEN
            point := nextval('stops.points');
            IF EXISTS (SELECT FROM stops.chosen WHERE number = point) THEN
                PERFORM pg_advisory_xact_lock_shared({LOCK});
            END IF;
        END IF;
    END $$
    """,
    """
    CREATE FUNCTION stops.of_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM stops.pass(); END $$
    """,
    """
    CREATE FUNCTION stops.of_record() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM stops.pass(); RETURN NEW; END $$
    """,
    "CREATE EVENT TRIGGER stop_before ON ddl_command_start EXECUTE FUNCTION stops.of_command()",
    "CREATE EVENT TRIGGER stop_after ON ddl_command_end EXECUTE FUNCTION stops.of_command()",
    """
    CREATE TRIGGER stop_before BEFORE INSERT ON django_migrations FOR EACH ROW
    EXECUTE FUNCTION stops.of_record()
    """,
    """
    CREATE TRIGGER stop_after AFTER INSERT ON django_migrations FOR EACH ROW
    EXECUTE FUNCTION stops.of_record()
    """,
)
WAITING = """
SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND objid = %s AND NOT granted AND datname = %s
"""
MIGRATORS = """
SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'migrator%%'
"""


@dataclass(frozen=True, slots=True)
class Stops:
    """The points at which the migrators of a database can be stopped."""

    database: Database
    _keeper: psycopg.Connection[Any]

    def passed(self) -> int:
        """Return how many points the migrators have passed so far."""
        return int(
            self.database.value(
                "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM stops.points"
            )
        )

    def choose(self, point: int) -> None:
        """Let the migrator wait that passes this point."""
        self.database.run(f"INSERT INTO stops.chosen VALUES ({point})")

    def kill_at(self, point: int, process: ManageProcess, *, with_backend: bool) -> None:
        """Kill the process where it has passed so many points, and return once its backend has gone.

        with_backend: its statement is undone; otherwise the backend ends it, if it comes so far before it
            notices that nobody listens.
        """
        wait_until(lambda: self._waiting() or process.poll() is not None, f"it comes to {point}")
        assert process.poll() is None, process.communicate()
        process.kill()
        process.wait()
        if with_backend:
            server_session().execute("SELECT pg_terminate_backend(%s)", self._waiting())
        self._keeper.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        name = [self.database.name]
        wait_until(
            lambda: server_session().execute(MIGRATORS, name).fetchone() is None,
            "the backends of the killed migrator have gone",
        )
        self._keeper.execute("SELECT pg_advisory_lock(%s)", [LOCK])

    def _waiting(self) -> Any:
        return server_session().execute(WAITING, [LOCK, self.database.name]).fetchone()


@contextmanager
def stopping(database: Database) -> Iterator[Stops]:
    """Count the points of the migrators within the block, and stop them at those that are chosen."""
    database.run(*STOPS)
    with database.connect() as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        yield Stops(database, keeper)
