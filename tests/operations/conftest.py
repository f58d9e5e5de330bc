"""Connections, sessions, databases and projects that the tests of several packages work on."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from project.demo.legacy import build, fill
from signals.operations import convergence
from tests.operations import scratch_schema
from tests.operations.projects.project import Project
from tests.operations.projects.stock_project import write_stock_project
from tests.operations.projects.unmigrated_project import write_models
from tests.operations.scratch_schema import DROP_SCHEMAS, SCHEMA, Sessions
from tests.operations.stoppable_migrators import MigratedDatabase
from tests.postgres.databases import Database, new_database


@pytest.fixture(scope="module")
def schemas_dropped(test_database: None, django_db_blocker: Any) -> Iterator[None]:
    """Drop the schemas of a module's tests after its last one."""
    yield
    with django_db_blocker.unblock():
        scratch_schema.execute(DROP_SCHEMAS)
        connection.close()


@pytest.fixture
def committing_connection(
    schemas_dropped: None, short_waits: None, django_db_blocker: Any
) -> Iterator[None]:
    """Let a test work on the test database with scratch_schema and commit, as migrations do.

    Nothing here writes to Django's tables, so there is nothing to flush after a test.
    """
    with django_db_blocker.unblock():
        yield
        if connection.in_atomic_block:
            connection.close()
        else:
            scratch_schema.execute("RESET SESSION AUTHORIZATION; RESET ALL")


@pytest.fixture
def short_waits(settings: Any) -> None:
    """Make each try for a lock short; the last comes only where the lock is never to be had."""
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.05, "LONGEST_PAUSE": 0.1, "LOCK_WAIT": 60.0}


@pytest.fixture
def sessions(background: Any) -> Iterator[Sessions]:
    """Open further sessions; they close before `background` waits, so that no thread waits for them."""
    opened = Sessions()
    yield opened
    opened.close()


@pytest.fixture
def background(committing_connection: None) -> Iterator[Any]:
    """Submit a function to a thread of its own; its Django connection is closed in the end."""
    pool = ThreadPoolExecutor(4)

    def submit(function: Any, *args: Any) -> Any:
        def work() -> Any:
            try:
                scratch_schema.execute(f"SET search_path TO {SCHEMA}")
                return function(*args)
            finally:
                connection.close()

        return pool.submit(work)

    yield submit
    pool.shutdown(cancel_futures=True)


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Any:
    """Add the database `other` to the project: SQLite in a file, which Django closes, unlike in memory."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "other.sqlite3"}
    added = connections.configure_settings({"default": dict(sqlite), "other": dict(sqlite)})
    connections.settings["other"] = added["other"]
    yield connections["other"]
    connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


@pytest.fixture(scope="session")
def legacy_url(test_database: None, django_db_blocker: Any) -> Iterator[str]:
    """Return the URL of a legacy database that 0001 to 0011 have adopted; each test takes a copy."""
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            url = stack.enter_context(new_database())
        with psycopg.connect(url) as target:
            build(target, "011")
            fill(target, "011", rows=2000, seed=1)
        made = MigratedDatabase(url)
        made.finish("migrate", "signals", "0011", "-v0")
        made.close()
        yield url


@pytest.fixture(scope="session")
def stock_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Migrate the project once, but for the last migration of crate; its database is to be copied only."""
    made = Project(tmp_path_factory.mktemp("stock"), Database.new())
    write_stock_project(made.folder)
    apps = ("shop", "folded", "admin", "auth", "sessions", "sites", "flatpages", "redirects")
    for words in (("crate", "0002"), *((app,) for app in apps)):
        done = made.manage("migrate", "-v0", *words)
        assert (done.returncode, done.stderr) == (0, "")
    yield made
    made.database.drop()


@pytest.fixture
def stock_project(stock_template: Project, unblocked_database: None) -> Iterator[Project]:
    """Yield a project of Django's own operations on a migrated database of its own."""
    made = Project(stock_template.folder, Database.new(stock_template.database.name))
    yield made
    made.database.drop()


@pytest.fixture
def unmigrated_project(tmp_path: Path, unblocked_database: None) -> Iterator[Project]:
    """Yield a project of two applications without migrations, on an empty database of its own."""
    made = Project(tmp_path, Database.new())
    write_models(made.folder)
    yield made
    made.database.drop()


@pytest.fixture
def build_is_awaited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event that is set when an operation says that it waits for the build of another session."""
    said, warning = threading.Event(), convergence.logger.warning

    def listen(message: str, *args: Any) -> None:
        warning(message, *args)
        if "another session builds it" in message:
            said.set()

    monkeypatch.setattr(convergence.logger, "warning", listen)
    return said
