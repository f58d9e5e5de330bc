"""A real PostgreSQL and new databases on it."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks.peers.cases import ASIDE, SCHEMA
from project.embedded import cluster
from project.embedded.folders import PORT
from project.embedded.programs import Programs

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Database:
    """A database of its own, on which `connection` commits each statement."""

    conninfo: str
    connection: Connection[Any]

    @property
    def url(self) -> str:
        """The DATABASE_URL of a project on it."""
        options = conninfo_to_dict(self.conninfo)
        name = options.pop("dbname")
        return f"postgresql:///{name}?{urlencode(options, quote_via=quote)}"

    def clear(self) -> None:
        """Leave both schemas, empty."""
        for schema in map(sql.Identifier, (SCHEMA, ASIDE)):
            self.connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
            self.connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))

    def fail_to_build(self, create_index: str) -> None:
        """Start a concurrent build, which fails as it waits for a transaction of another session."""
        with psycopg.connect(self.conninfo) as writer:
            writer.execute("INSERT INTO part (label, amount, made_at) VALUES ('pin', 13, now())")
            self.connection.execute("SET lock_timeout = '20ms'")
            with suppress(errors.LockNotAvailable):
                self.connection.execute(create_index)
            self.connection.execute("RESET lock_timeout")
            writer.rollback()

    def psql(self, script: str) -> str:
        """What psql says of the first error of the script, at which it stops; empty without one."""
        result = subprocess.run(  # noqa: S603 - the server's own program
            [Programs.find() / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        return result.stderr if result.returncode else ""


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a connection string, whose user may create databases."""

    conninfo: str

    @classmethod
    def find(cls) -> Self:
        """The server of DATABASE_URL, else the embedded one, which runs until this process ends."""
        if url := os.environ.get("DATABASE_URL"):
            return cls(url)
        host = cluster.join(ROOT / ".postgres")
        return cls(make_conninfo(host=str(host), port=PORT, user="postgres", dbname="postgres"))

    @contextmanager
    def database(self) -> Iterator[Database]:
        """A new database with both schemas on its search_path; dropped in the end, whoever is in it."""
        name = sql.Identifier(f"peers_{secrets.token_hex(4)}")
        conninfo = make_conninfo(self.conninfo, dbname=name.as_string()[1:-1])
        with psycopg.connect(self.conninfo, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
            path = sql.SQL("ALTER DATABASE {} SET search_path = {}, {}")
            server.execute(path.format(name, sql.Identifier(SCHEMA), sql.Identifier(ASIDE)))
            try:
                with psycopg.connect(conninfo, autocommit=True) as connection:
                    connection.execute("SET client_min_messages = warning")
                    yield Database(conninfo, connection)
            finally:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def version(self) -> str:
        """As in 18.6."""
        with psycopg.connect(self.conninfo) as connection:
            return connection.info.parameter_status("server_version") or ""
