"""Migrate databases by real processes, and stop one at a statement."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from typing import Any

import psycopg

from tests.deadline import DEADLINE
from tests.operations.scratch_schema import conninfo, psql_binary
from tests.postgres.databases import ROOT
from tests.postgres.manage_process import ManageProcess
from tests.postgres.polling import wait_for_rows

Running = ManageProcess | subprocess.Popen[str]

CATALOG = """
SELECT 'column', attrelid::regclass::text, attname::text, concat_ws(' ', attnum,
    format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname::text,
    concat_ws(' ', pg_get_constraintdef(oid), convalidated)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', indrelid::regclass::text, c.relname::text,
    concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisready, indislive)
FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'migration', app::text, name::text, count(*)::text FROM django_migrations GROUP BY 2, 3
ORDER BY 1, 2, 3
"""

# A migrator comes to the statement, or to its end and not yet to its commit, and waits there for this
# advisory lock, whatever its lock_timeout.
GATE = 1012
GATES = rf"""
CREATE SCHEMA gates;
CREATE TABLE gates.shut (place text, pattern text);
CREATE TABLE gates.sent (number bigserial, sql text);
-- The statement alone, without the title and the settings that are sent in front of it.
CREATE FUNCTION gates.statement() RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(current_query(), '^-- .*WHERE before <> value[^;]*;\s*', '')
$$;
CREATE FUNCTION gates.wait(at text) RETURNS void LANGUAGE plpgsql SET lock_timeout = 0 AS $$ BEGIN
    IF current_setting('application_name') LIKE 'migrator%' AND EXISTS
        (SELECT FROM gates.shut WHERE place = at AND gates.statement() LIKE pattern)
    THEN PERFORM pg_advisory_xact_lock_shared({GATE}); END IF;
END $$;
CREATE FUNCTION gates.of_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF tg_event = 'ddl_command_end' AND current_setting('application_name') LIKE 'migrator%'
        AND current_query() NOT LIKE 'BEGIN READ WRITE%' -- the probe, which is rolled back
    THEN INSERT INTO gates.sent (sql) VALUES (gates.statement()); END IF;
    PERFORM gates.wait(CASE tg_event WHEN 'ddl_command_start' THEN 'before' ELSE 'after' END);
END $$;
CREATE FUNCTION gates.of_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM gates.wait(lower(tg_when)); RETURN NEW;
END $$;
CREATE EVENT TRIGGER before_ddl ON ddl_command_start EXECUTE FUNCTION gates.of_ddl();
CREATE EVENT TRIGGER after_ddl ON ddl_command_end EXECUTE FUNCTION gates.of_ddl();
CREATE TRIGGER before BEFORE INSERT ON django_migrations FOR EACH ROW EXECUTE FUNCTION gates.of_rows();
CREATE TRIGGER after AFTER INSERT ON django_migrations FOR EACH ROW EXECUTE FUNCTION gates.of_rows();
"""


class MigratedDatabase:
    """A database with the application's migrations up to 0011, and processes that migrate it further."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.watcher = psycopg.connect(url, autocommit=True)
        self.processes: list[Running] = []

    def start(self, *arguments: str, name: str = "migrator", **variables: str) -> ManageProcess:
        process = ManageProcess(
            *arguments,
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": self.url, "PGAPPNAME": name, **variables},
            joins_stderr=True,
        )
        self.processes.append(process)
        return process

    def psql(self, script: str) -> "subprocess.Popen[str]":
        """A stranger's psql that runs the script, once it builds an index and waits there."""
        never = "SET client_connection_check_interval = 0"
        command = [psql_binary(), "-X", "-q", "-d", self.url, "-c", never]
        with NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            process = subprocess.Popen(
                [*command, "-f", file.name],
                env={**os.environ, "PGAPPNAME": "stranger"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.processes.append(process)
            self.until(lock_waiters("CREATE INDEX CONCURRENTLY%", "stranger"))
        return process

    def finish(self, *arguments: str) -> str:
        return self.result(self.start(*arguments))

    def result(self, process: Running) -> str:
        output, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, output
        return output

    def ends_with_an_error(self, process: Running) -> bool:
        process.communicate(timeout=DEADLINE)
        return process.returncode != 0

    def kill(self, process: Running) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE)
        assert process.returncode == -signal.SIGKILL

    def until(self, question: str) -> list[Any]:
        try:
            return wait_for_rows(self.watcher, question)
        except AssertionError as error:
            running = [process.poll() for process in self.processes]
            raise AssertionError(f"{error} (processes: {running})") from None

    @contextmanager
    def gate(self, place: str, pattern: str) -> Iterator[None]:
        """Within it a migrator that comes `before` or `after` such a statement waits there."""
        with psycopg.connect(self.url, autocommit=True) as keeper:
            keeper.execute("SELECT pg_advisory_lock(%s)", [GATE])
            self.watcher.execute(GATES)
            self.watcher.execute("INSERT INTO gates.shut VALUES (%s, %s)", [place, pattern])
            yield

    def at_the_gate(self) -> int:
        """The migrator's backend, once it waits there."""
        found = self.until(
            "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database "
            f"WHERE datname = current_database() AND locktype = 'advisory' AND objid = {GATE} "
            "AND NOT granted"
        )
        return int(found[0][0])

    def catalog(self) -> list[tuple[Any, ...]]:
        """Everything in the schema and the recorded migrations; the gates are gone then."""
        self.watcher.execute(
            "SET client_min_messages = warning; DROP SCHEMA IF EXISTS gates CASCADE"
        )
        return self.watcher.execute(CATALOG).fetchall()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.watcher.close()


@contextmanager
def database_copy(url: str, number: int = 1) -> Iterator[MigratedDatabase]:
    """A copy of the database, to which nobody is connected; dropped in the end."""
    name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    copy = f"{name}_copy{number}"
    with psycopg.connect(conninfo(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")  # type: ignore[arg-type]
        made = MigratedDatabase(url.replace(name, copy))
        try:
            yield made
        finally:
            made.close()
            server.execute(f"DROP DATABASE {copy} WITH (FORCE)")  # type: ignore[arg-type]


def lock_waiters(query: str, name: str = "migrator") -> str:
    return (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND application_name LIKE '{name}%' AND ltrim(query, '- ') LIKE '{query}' "
        "AND wait_event_type = 'Lock'"
    )
