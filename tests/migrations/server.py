"""Databases on the server of the test run, the real manage.py over them, and what their catalog says."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from project.demo.legacy import build, fill

ROOT = Path(settings.BASE_DIR)
DEADLINE = 60.0
ROWS, SEED = 200, 7
LAST = "0012"

Row = tuple[Any, ...]


def address() -> tuple[str, dict[str, str]]:
    """User part and parameters of a URI for the server that the tests run on."""
    params = connection.get_connection_params()
    options = connection.settings_dict.get("OPTIONS") or {}
    query = {name: str(params[name]) for name in ("host", "port") if params.get(name)}
    query |= {name: str(value) for name, value in options.items() if name.startswith("ssl")}
    user = quote(str(params.get("user", "")), safe="")
    if params.get("password"):
        user += ":" + quote(str(params["password"]), safe="")
    return user, query


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the server; `search_path` is SQL, empty for the server's own."""

    name: str
    search_path: str = ""

    @classmethod
    def new(cls, template: str = "template0") -> Self:
        name = f"test_mig_{secrets.token_hex(4)}"
        with psycopg.connect(cls("postgres").url, autocommit=True) as server:
            server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return cls(name)

    def drop(self) -> None:
        self.close()
        with psycopg.connect(Database("postgres").url, autocommit=True) as server:
            server.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self.name))
            )

    @property
    def url(self) -> str:
        user, query = address()
        # What a crash of the server would lose is not what is tested here, and waiting for disks is slow.
        options = ["-c synchronous_commit=off"]
        if self.search_path:
            escaped = self.search_path.replace("\\", "\\\\").replace(" ", "\\ ")
            options.append(f"-c search_path={escaped}")
        query = query | {"options": " ".join(options)}
        return f"postgresql://{user}@/{self.name}?{urlencode(query, quote_via=quote)}"

    @property
    def alias(self) -> str:
        """Django's alias of the database in this process."""
        from project.environment import database_from_url

        alias = f"{self.name} {self.search_path}".strip()
        if alias not in connections.databases:
            defaults = connections.configure_settings({"default": database_from_url(self.url)})
            connections.databases[alias] = defaults["default"]
        return alias

    def close(self) -> None:
        """Ends this process's connections to the database."""
        for alias in [each for each in connections.databases if each.split()[0] == self.name]:
            connections[alias].close()
            del connections[alias]
            del connections.databases[alias]

    @contextmanager
    def connect(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection[Row]]:
        with psycopg.connect(self.url, autocommit=autocommit) as session:
            yield session

    def run(self, *statements: str) -> None:
        with self.connect() as session:
            for statement in statements:
                session.execute(statement.encode())

    def rows(self, question: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with self.connect() as session:
            return session.execute(question.encode(), parameters or None).fetchall()

    def value(self, question: str, parameters: Sequence[Any] = ()) -> Any:
        return self.rows(question, parameters)[0][0]

    def migrate(self, target: str | None = None, **options: Any) -> None:
        """`migrate signals [target]` in this process."""
        words = ["signals"] if target is None else ["signals", target]
        call_command("migrate", *words, database=self.alias, verbosity=0, **options)

    def forget(self) -> None:
        """Makes Django believe that no migration of this application was applied."""
        self.run("DELETE FROM django_migrations WHERE app = 'signals'")

    def applied(self) -> list[str]:
        return [
            name
            for (name,) in self.rows(
                "SELECT left(name, 4) FROM django_migrations WHERE app = 'signals' ORDER BY name"
            )
        ]

    def verify(self, migration: str, *options: str) -> tuple[int, str]:
        """Exit code and stdout of verify_schema in this process."""
        out, code = StringIO(), 0
        try:
            call_command(
                "verify_schema", "signals", migration, *options, database=self.alias, stdout=out
            )
        except SystemExit as end:
            code = int(end.code or 0)
        return code, out.getvalue()

    @contextmanager
    def running(
        self, *words: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> Iterator["subprocess.Popen[str]"]:
        """A process of the real manage.py on this database; it does not outlive the block."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=cwd,
            env=environment(self.url) | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def manage(
        self, *words: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> "subprocess.CompletedProcess[str]":
        with self.running(*words, env=env, cwd=cwd) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def environment(url: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DEBUG", "ALLOWED_HOSTS") and not name.startswith(("PG", "PYTHON", "LC_"))
    }
    # On a busy machine a step may be long enough to be told of, in a test that is of something else.
    silent = {"SIGNALS_OPERATIONS_PROGRESS_INTERVAL": "600"}
    return kept | {"DATABASE_URL": url, "PYTHONUTF8": "1", "NO_COLOR": "1"} | silent


def legacy(target: Any, revision: str, rows: int = ROWS) -> None:
    """A legacy database of the revision with rows, on-chain features among them."""
    build(target, revision)
    if rows:
        fill(target, revision, rows=rows, seed=SEED)
    if rows and revision >= "010":
        target.execute(
            "INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, tx_count,"
            " growth_ratio) SELECT 'bsc', '0x' || n, now(), 60, n, n * 0.1"
            " FROM generate_series(1, 20) n"
        )


def until(done: Callable[[], Any], what: str) -> Any:
    """What `done` returns once it is true; polls the server, and fails at the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if answer := done():
            return answer
        time.sleep(0.005)
    raise AssertionError(f"waited {DEADLINE} s in vain until {what}")


def waiting(database: Database, query: str) -> Callable[[], Any]:
    """The pid of a session of the database whose query contains the text and waits for a lock."""

    def ask() -> Any:
        with psycopg.connect(Database("postgres").url, autocommit=True) as server:
            found = server.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s"
                " AND wait_event_type = 'Lock' AND position(%s in query) > 0",
                [database.name, query],
            ).fetchone()
        return found and found[0]

    return ask


def alone(database: Database) -> None:
    """Returns when no backend of an ended process works in the database any more."""
    until(
        lambda: (
            Database("postgres").value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database.name]
            )
            == 0
        ),
        "the backends of the killed process have gone",
    )


def operations(first: str = "0001", last: str = LAST) -> list[tuple[str, Any, Any, Any]]:
    """Migration, convergent operation, state before and after, in the order of the chain."""
    from signals.operations.report import steps

    loader = MigrationExecutor(None).loader
    names = sorted(name for app, name in loader.disk_migrations if app == "signals")
    found = []
    for name in names:
        if first <= name[:4] <= last:
            state = loader.project_state(("signals", name), at_end=False)
            for operation, before, after in steps(loader.disk_migrations["signals", name], state):
                found.append((name[:4], operation, before, after.clone()))
    return found


def again(database: Database, steps: Sequence[tuple[str, Any, Any, Any]]) -> None:
    """Runs the operations once more, as an autocommitting migration does."""
    chosen = connections[database.alias]
    for _, operation, before, after in steps:
        with chosen.schema_editor(atomic=False) as editor:
            operation.database_forwards("signals", editor, before, after)


_SCHEMAS = r"nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'harness')"

FACTS = {
    "columns": f"""
        SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false),
            CASE WHEN pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' THEN NULL
                 ELSE pg_get_expr(d.adbin, d.adrelid) END
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE {_SCHEMAS} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "constraints": f"""
        SELECT n.nspname, conrelid::regclass::text, conname, contype, convalidated,
            pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace
        WHERE {_SCHEMAS} AND contype <> 'n'
    """,
    "indexes": f"""
        SELECT n.nspname, indrelid::regclass::text, c.relname, indisvalid, pg_get_indexdef(c.oid)
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_SCHEMAS}
    """,
    "sequences": f"""
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_SCHEMAS} AND c.relkind = 'S'
    """,
    "types": f"""
        SELECT n.nspname, t.typname, array_to_string(ARRAY(SELECT enumlabel FROM pg_enum
            WHERE enumtypid = t.oid ORDER BY enumsortorder), ' ')
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE {_SCHEMAS} AND t.typtype IN ('e', 'd')
    """,
}


def facts(database: Database, schema: str = "public") -> dict[str, set[Row]]:
    """What the schema holds, in PostgreSQL's own words; not the bookkeeping of Django and Alembic."""
    found = {}
    with database.connect() as session:
        session.execute("SELECT set_config('search_path', quote_ident(%s), false)", [schema])
        for name, question in FACTS.items():
            found[name] = {
                row[1:]
                for row in session.execute(question.encode()).fetchall()
                if row[0] == schema and not str(row[1]).startswith("django_migrations")
            }
    return found


def written(database: Database, schema: str = "") -> set[Row]:
    """Every row of the catalog that DDL on tables, indexes and types writes, each with its version.

    Equal before and after where no DDL was sent, even DDL that changes nothing to the eye.
    """
    chosen = "coalesce(nullif(current_setting('harness.schema', true), ''), nspname)"
    namespaces = f"(SELECT oid FROM pg_namespace WHERE {_SCHEMAS} AND nspname = {chosen})"
    classes = f"(SELECT oid FROM pg_class WHERE relnamespace IN {namespaces})"
    question = f"""
        SELECT 'class', oid::text, xmin::text FROM pg_class WHERE relnamespace IN {namespaces}
        UNION ALL SELECT 'attribute', attrelid || '.' || attnum, xmin::text FROM pg_attribute
            WHERE attrelid IN {classes}
        UNION ALL SELECT 'default', oid::text, xmin::text FROM pg_attrdef WHERE adrelid IN {classes}
        UNION ALL SELECT 'index', indexrelid::text, xmin::text FROM pg_index
            WHERE indrelid IN {classes}
        UNION ALL SELECT 'constraint', oid::text, xmin::text FROM pg_constraint
            WHERE connamespace IN {namespaces}
        UNION ALL SELECT 'type', oid::text, xmin::text FROM pg_type WHERE typnamespace IN {namespaces}
        UNION ALL SELECT 'label', e.oid::text, e.xmin::text FROM pg_enum e
            JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typnamespace IN {namespaces}
    """
    with database.connect() as session:
        session.execute("SELECT set_config('harness.schema', %s, false)", [schema])
        return set(session.execute(question.encode()).fetchall())
