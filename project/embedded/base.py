"""Django's PostgreSQL backend with a server of its own.

DATABASES = {"default": {"ENGINE": "project.embedded", "NAME": "…", "DATA_DIR": BASE_DIR / "…"}}

The first connection starts the server, or joins it where another process runs it already. SERVER
in it holds settings of PostgreSQL that the server is started with.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.db.backends.postgresql import base, client
from django.utils.asyncio import async_unsafe
from psycopg import errors, sql

from project.embedded import cluster
from project.embedded.errors import EmbeddedPostgresError
from project.embedded.folders import PORT
from project.embedded.programs import Programs

_hosts: dict[Path, Path] = {}


class DatabaseClient(client.DatabaseClient):
    """The psql that belongs to the server."""

    connection: "DatabaseWrapper"

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Any
    ) -> tuple[list[str], dict[str, str] | None]:
        args, env = super().settings_to_cmd_args_env(settings_dict, parameters)
        return [str(Programs.find() / "psql"), *args[1:]], env

    def runshell(self, parameters: Any) -> None:
        """Join the server, make the database, and hand over to psql."""
        self.connection.ensure_connection()
        self.connection.close()
        super().runshell(parameters)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to the embedded server, which the connection starts where it does not run."""

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        if self._data_dir not in _hosts:
            self._join()
        self._set_address()
        return super().get_connection_params()

    @async_unsafe
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect; a server that was stopped meanwhile is started, a missing database is made."""
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            self._join()
            self._set_address()
            self._create_database()
        return super().get_new_connection({**conn_params, "host": self.settings_dict["HOST"]})

    @property
    def _data_dir(self) -> Path:
        if not self.settings_dict.get("DATA_DIR"):
            raise ImproperlyConfigured(
                f"the database {self.alias!r} has no DATA_DIR (name the folder of its cluster)"
            )
        return Path(self.settings_dict["DATA_DIR"]).absolute()

    def _join(self) -> None:
        try:
            _hosts[self._data_dir] = cluster.join(self._data_dir, self.settings_dict.get("SERVER"))
        except EmbeddedPostgresError as error:
            raise psycopg.OperationalError(str(error)) from error

    def _set_address(self) -> None:
        address = {"HOST": str(_hosts[self._data_dir]), "PORT": str(PORT), "USER": "postgres"}
        self.settings_dict.update(address)

    def _create_database(self) -> None:
        """Make the database NAME where it is missing; a test database is the test runner's."""
        name = self.settings_dict["NAME"]
        if not name or name.startswith(TEST_DATABASE_PREFIX):
            return
        with psycopg.connect(
            host=self.settings_dict["HOST"],
            port=PORT,
            user="postgres",
            dbname="postgres",
            autocommit=True,
        ) as connection:
            found = "SELECT FROM pg_catalog.pg_database WHERE datname = %s"
            if connection.execute(found, [name]).fetchone() is None:
                # Another process may make it at this moment.
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
