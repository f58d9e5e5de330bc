"""Migrate a database, dump it, restore the dump into another one, and judge both by their migrations."""

import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import CreateModel, Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from psycopg import sql

from project.embedded import cluster
from project.embedded.folders import PORT
from signals.operations.drift.history import replay
from signals.operations.drift.rows import Row
from signals.operations.drift.survey import Declared
from tests.deadline import DEADLINE
from tests.operations.scratch_schema import APP, psql_binary
from tests.postgres import run_server
from tests.postgres.databases import Database

OLDER = Path("/usr/lib/postgresql/15/bin")


@dataclass(frozen=True, slots=True)
class DatabaseAt(Database):
    """A database on the server that listens on the socket in the folder."""

    folder: str = ""

    @property
    def url(self) -> str:
        place = urlencode({"host": self.folder, "port": PORT}, quote_via=quote)
        return f"postgresql://postgres@/{self.name}?{place}"


class GivenMigrations(MigrationLoader):
    """A loader of one application's migrations, which stand in no file and are all recorded as applied."""

    def __init__(self, migrations: Sequence[Migration]) -> None:
        self._given = migrations
        super().__init__(None)
        self.applied_migrations = dict.fromkeys(self.disk_migrations)

    def load_disk(self) -> None:
        self.disk_migrations = {(each.app_label, each.name): each for each in self._given}
        self.unmigrated_apps, self.migrated_apps = set(), {APP}


@dataclass(frozen=True, slots=True)
class Judged:
    """A database, and the migrations that it is judged by."""

    database: Database
    migrations: Sequence[Migration] = ()

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.database.alias]

    def by(self, *operations: Operation) -> "Judged":
        """Return the database with other migrations: one for each operation."""
        return Judged(self.database, migrations_of(*operations))

    def run(self, script: str) -> None:
        """Run the script in the session that judges."""
        with self.connection.cursor() as cursor:
            cursor.execute(script)

    def migrate(self, *, back: bool = False, start: int = 0) -> None:
        """Run the migrations as `migrate` does, or take them back, the last one first.

        start: the number of migrations that are left alone.
        """
        states = [ProjectState()]
        for migration in self.migrations:
            states.append(migration.mutate_state(states[-1]))
        steps = list(zip(self.migrations, states[:-1], strict=True))[start:]
        for migration, before in reversed(steps) if back else steps:
            with self.connection.schema_editor(atomic=migration.atomic) as editor:
                (migration.unapply if back else migration.apply)(before.clone(), editor)

    def rows(self) -> list[Row]:
        """Return the rows of `verify_schema --all`."""
        history = replay(self.connection, GivenMigrations(self.migrations))
        return list(Declared(self.connection, history).rows())

    def wrong(self) -> list[Row]:
        """Return the rows of `verify_schema`: what is not right or undeclared."""
        return [row for row in self.rows() if row.is_wrong(strict=True)]


def migrations_of(*operations: Operation) -> list[Migration]:
    """Return a migration for each operation, each after the one before; those of Django's are atomic."""
    made: list[Migration] = []
    for number, operation in enumerate(operations, 1):
        migration = Migration(f"{number:04}_bench", APP)
        migration.operations = [operation]
        migration.atomic = type(operation).__module__.startswith("django.")
        migration.dependencies = [(APP, made[-1].name)] if made else []
        made.append(migration)
    return made


def creations_of(*models: ModelState) -> list[Operation]:
    """Return Django's operations that create the models."""
    return [
        CreateModel(each.name, list(each.fields.items()), dict(each.options)) for each in models
    ]


@contextmanager
def new_database() -> Iterator[Judged]:
    """Yield an empty database on the server of the tests."""
    database = Database.new()
    try:
        yield Judged(database)
    finally:
        database.drop()


@contextmanager
def older_database() -> Iterator[Judged]:
    """Yield an empty database on a PostgreSQL 15, which runs until the tests end."""
    with pytest.MonkeyPatch.context() as patch, run_server.data_dir() as data_dir:
        patch.setenv("PGBINDIR", str(OLDER))
        folder = str(cluster.join(data_dir, run_server.SETTINGS))
    with psycopg.connect(DatabaseAt("postgres", "", folder).url, autocommit=True) as session:
        database = DatabaseAt(f"judged_{secrets.token_hex(4)}", "", folder)
        name = sql.Identifier(database.name)
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        try:
            yield Judged(database)
        finally:
            database.close()
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def restore(source: Judged, target: Judged) -> None:
    """Copy the source's database into the empty target, as `pg_dump | psql` does."""
    programs = Path(psql_binary()).parent
    dump = [str(programs / "pg_dump"), "--no-owner", "-d", source.database.url]
    psql = [str(programs / "psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", target.database.url]
    script = ""
    for command in (dump, psql):
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, check=False, timeout=DEADLINE
        )
        assert done.returncode == 0, done.stderr
        # pg_dump writes it for its own version, and servers before 17 do not know it.
        script = done.stdout.replace("SET transaction_timeout = 0;\n", "")


Place = Callable[[], AbstractContextManager[Judged]]

# Where a database comes from that is restored on the server of the tests.
SOURCES: dict[str, Place] = {
    "the same server": new_database,
    **({"PostgreSQL 15": older_database} if OLDER.is_dir() else {}),
}


@contextmanager
def restored(source: Place, *operations: Operation) -> Iterator[tuple[Judged, Judged]]:
    """Yield a database that the operations migrated, and its copy on the server of the tests.

    `creations_of` makes operations of models.
    """
    with ExitStack() as stack:
        first = stack.enter_context(source()).by(*operations)
        second = stack.enter_context(new_database()).by(*operations)
        first.migrate()
        restore(first, second)
        yield first, second
