"""New databases on the server of the test run, and the real manage.py over them."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from tests.deadline import DEADLINE
from tests.postgres.manage_process import ManageProcess

ROOT = Path(settings.BASE_DIR)

Row = tuple[Any, ...]


def address() -> tuple[str, dict[str, str]]:
    """Return the user part and the parameters of a URI for the server that the tests run on."""
    params = connection.get_connection_params()
    options = connection.settings_dict.get("OPTIONS") or {}
    query = {name: str(params[name]) for name in ("host", "port") if params.get(name)}
    query |= {name: str(value) for name, value in options.items() if name.startswith("ssl")}
    user = quote(str(params.get("user", "")), safe="")
    if params.get("password"):
        user += ":" + quote(str(params["password"]), safe="")
    return user, query


@cache
def server_session() -> psycopg.Connection[Row]:
    """Return the session of this process in which databases are made, dropped and watched."""
    return psycopg.connect(Database("postgres").url, autocommit=True)


def close_server_session() -> None:
    """Close that session, if there is one."""
    if server_session.cache_info().currsize:
        server_session().close()
        server_session.cache_clear()


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the server; `search_path` is SQL, empty for the server's own."""

    name: str
    search_path: str = ""

    @classmethod
    def new(cls, template: str = "template0") -> Self:
        name = f"test_mig_{secrets.token_hex(4)}"
        server_session().execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return cls(name)

    def drop(self) -> None:
        self.close()
        server_session().execute(
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
        """End this process's connections to the database."""
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

    def migrate_to_nothing(self) -> None:
        """`migrate … zero` for the application, then for those that its migrations depend on."""
        for app in ("signals", "auth", "contenttypes"):
            call_command("migrate", app, "zero", database=self.alias, verbosity=0)

    def forget(self) -> None:
        """Make Django believe that no migration of this application was applied."""
        self.run("DELETE FROM django_migrations WHERE app = 'signals'")

    def applied(self) -> list[str]:
        return [
            name
            for (name,) in self.rows(
                "SELECT left(name, 4) FROM django_migrations WHERE app = 'signals' ORDER BY name"
            )
        ]

    def verify(self, migration: str, *options: str) -> tuple[int, str]:
        """Return exit code and stdout of verify_schema in this process."""
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
    ) -> Iterator[ManageProcess]:
        """A process of the real manage.py on this database; it does not outlive the block."""
        process = ManageProcess(*words, cwd=cwd, env=process_environment(self.url) | (env or {}))
        with process:
            try:
                yield process
            finally:
                process.kill()

    def manage(
        self, *words: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> "subprocess.CompletedProcess[str]":
        with self.running(*words, env=env, cwd=cwd) as process:
            out, err = process.communicate(timeout=DEADLINE)
        return subprocess.CompletedProcess(words, process.wait(), out, err)

    def manage_by_new_interpreter(
        self, *words: str, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """As manage; for variables that Python reads when it starts."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=process_environment(self.url) | env,
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )


def process_environment(url: str) -> dict[str, str]:
    """Return the environment for a process that works on the database, without settings of this one's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DEBUG", "ALLOWED_HOSTS") and not name.startswith(("PG", "PYTHON", "LC_"))
    }
    # On a busy machine a step may be long enough to be told of, in a test that is of something else.
    silent = {"CONVERGENT_MIGRATIONS_PROGRESS_INTERVAL": "600"}
    return kept | {"DATABASE_URL": url, "PYTHONUTF8": "1", "NO_COLOR": "1"} | silent


@contextmanager
def new_database() -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database; drop it in the end, whoever is still in it."""
    params = connection.get_connection_params()
    address = {name: str(params[name]) for name in ("host", "port") if params.get(name)}
    # libpq takes a plus sign for itself, not for a space.
    place = urlencode(address, quote_via=quote)
    user = quote(str(params.get("user", "")), safe="")
    if params.get("password"):
        user += ":" + quote(str(params["password"]), safe="")
    name = f"test_new_{secrets.token_hex(4)}"

    def url(database: str) -> str:
        return f"postgresql://{user}@/{database}?{place}"

    identifier = sql.Identifier(name)
    server_session().execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
    try:
        yield url(name)
    finally:
        server_session().execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
