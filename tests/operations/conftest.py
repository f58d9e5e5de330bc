"""The bench that every test here works on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from project.demo.legacy import build, fill
from tests.databases import new_database
from tests.migrations.server import Database as ServerDatabase
from tests.operations import bench
from tests.operations.bench import Sessions
from tests.operations.processes import Database
from tests.operations.projects.mill import write_models
from tests.operations.projects.stock import Stock, write


@pytest.fixture(scope="module")
def cleared_bench(test_database: None, django_db_blocker: Any) -> Iterator[None]:
    """Leaves nothing of the bench to other modules."""
    yield
    with django_db_blocker.unblock():
        bench.execute(bench.CLEAR)
        connection.close()


@pytest.fixture
def empty_bench(cleared_bench: None, short_waits: None, django_db_blocker: Any) -> Iterator[None]:
    """A connection on which a test may begin with bench.fresh(); the tests commit, as migrations do.

    Nothing here writes to Django's tables, so there is nothing to flush after a test.
    """
    with django_db_blocker.unblock():
        yield
        if connection.in_atomic_block:
            connection.close()
        else:
            bench.execute("RESET SESSION AUTHORIZATION; RESET ALL")


@pytest.fixture
def short_waits(settings: Any) -> None:
    """Each try for a lock is short; the last comes only where the lock is never to be had."""
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 0.05, "LONGEST_PAUSE": 0.1, "LOCK_WAIT": 60.0}


@pytest.fixture
def sessions(background: Any) -> Iterator[Sessions]:
    """Closed before `background` waits for its threads, so that a failed test leaves nobody waiting."""
    opened = Sessions()
    yield opened
    opened.close()


@pytest.fixture
def background(empty_bench: None) -> Iterator[Any]:
    """Submits a function to a thread of its own; its Django connection is closed in the end."""
    pool = ThreadPoolExecutor(4)

    def submit(function: Any, *args: Any) -> Any:
        def work() -> Any:
            try:
                bench.execute(f"SET search_path TO {bench.SCHEMA}")
                return function(*args)
            finally:
                connection.close()

        return pool.submit(work)

    yield submit
    pool.shutdown(cancel_futures=True)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Any:
    """A further database of the project: SQLite in a file, which Django closes, unlike one in memory."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "other.sqlite3"}
    added = connections.configure_settings({"default": dict(sqlite), "other": dict(sqlite)})
    connections.settings["other"] = added["other"]
    yield connections["other"]
    connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


@pytest.fixture(scope="session")
def legacy(test_database: None, django_db_blocker: Any) -> Iterator[str]:
    """The URL of a legacy database with rows that 0001 to 0011 have adopted; each test takes a copy."""
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            url = stack.enter_context(new_database())
        with psycopg.connect(url) as target:
            build(target, "011")
            fill(target, "011", rows=2000, seed=1)
        made = Database(url)
        made.finish("migrate", "signals", "0011", "-v0")
        made.close()
        yield url


@pytest.fixture(scope="session")
def stock_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """Migrated once, but for the last migration of crate; to be copied only."""
    made = Stock(tmp_path_factory.mktemp("stock"), ServerDatabase.new())
    write(made.folder)
    apps = ("shop", "folded", "admin", "auth", "sessions", "sites", "flatpages", "redirects")
    for words in (("crate", "0002"), *((app,) for app in apps)):
        done = made.manage("migrate", "-v0", *words)
        assert (done.returncode, done.stderr) == (0, "")
    yield made
    made.database.drop()


@pytest.fixture
def stock(stock_template: Stock, unblocked_database: None) -> Iterator[Stock]:
    made = Stock(stock_template.folder, ServerDatabase.new(stock_template.database.name))
    yield made
    made.database.drop()


@pytest.fixture
def mill(tmp_path: Path, unblocked_database: None) -> Iterator[Stock]:
    """Two applications without migrations, on an empty database of their own."""
    made = Stock(tmp_path, ServerDatabase.new())
    write_models(made.folder)
    yield made
    made.database.drop()
