"""Choose what this machine can run, when tests are collected and in words; databases that many tests copy."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import hypothesis
import hypothesis.database
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.test.utils import setup_databases, teardown_databases

from benchmarks.pulling.anvil import PACKAGE as ANVIL_PACKAGE
from benchmarks.pulling.anvil import find_anvil
from tests.browser import NAMES
from tests.migrations.chain import LAST_MIGRATION, build_legacy
from tests.postgres import run_server
from tests.postgres.databases import Database, close_server_session

# CI installs a browser, so there a missing one is a failure.
HAS_BROWSER = "CHROMIUM" in os.environ or "CI" in os.environ or any(map(shutil.which, NAMES))

BROWSER_TESTS = [
    "admin/test_accessibility.py",
    "admin/test_actions_browser.py",
    "admin/test_browser.py",
    "admin/test_keyboard.py",
    "admin/test_list_browser.py",
    "admin/test_pages_browser.py",
    "operations/drift/admin_page/test_page_browser.py",
]
NODE_TESTS = ["benchmarks/test_pulling.py", "chain/test_anvil.py"]
collect_ignore = [] if HAS_BROWSER else BROWSER_TESTS
if find_anvil() is None:
    collect_ignore = [*collect_ignore, *NODE_TESTS]


def pytest_configure(config: pytest.Config) -> None:
    """Let processes be interrupted as on a terminal, and give the run a server of its own."""
    # Under nohup, and in the background of a script, SIGINT is ignored, and every child inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stack = ExitStack()
    config.add_cleanup(stack.close)
    data_dir = stack.enter_context(run_server.data_dir())
    default = settings.DATABASES["default"]
    if default["ENGINE"] == "project.embedded":
        default |= {"DATA_DIR": data_dir, "SERVER": run_server.SETTINGS}
    stack.callback(close_server_session)


def pytest_report_header() -> list[str]:
    browser, node = "collected", "collected"
    if not HAS_BROWSER:
        browser = "not collected, there is no browser (apt-get install chromium, or CHROMIUM=/path)"
    if find_anvil() is None:
        install = f"npm install --prefix .anvil {ANVIL_PACKAGE}@1.7.1"
        node = f"not collected, there is no anvil ({install}, or ANVIL=/path)"
    return [f"browser tests: {browser}", f"tests of a real node: {node}"]


# What an ordinary run and CI draw is the same each time; a nightly run looks for what is new, and
# keeps what it found in .hypothesis/.
hypothesis.settings.register_profile(
    "ordinary", max_examples=30, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile(
    "nightly",
    max_examples=20_000,
    deadline=None,
    print_blob=True,
    database=hypothesis.database.DirectoryBasedExampleDatabase(".hypothesis/examples"),
)
hypothesis.settings.load_profile("ordinary")


@pytest.fixture(scope="session")
def test_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tests that commit stand in the test database, never in the one that DATABASE_URL names.

    pytest-django makes one only if a test of the run is marked django_db; those that commit are not.
    """
    with django_db_blocker.unblock():
        is_made = str(connection.settings_dict["NAME"]).startswith(TEST_DATABASE_PREFIX)
        made = (
            [] if is_made else setup_databases(verbosity=0, interactive=False, aliases={"default"})
        )
        yield
        teardown_databases(made, verbosity=0)


@pytest.fixture
def unblocked_database(django_db_blocker: Any) -> Iterator[None]:
    """Let a test work on databases of its own, without the one that pytest-django would make."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def prepared(django_db_blocker: Any) -> Iterator[Callable[[str], Database]]:
    """Return the database of a description, to be copied only: empty, clean, legacy NNN, adopted NNN.

    clean and adopted ones are migrated to 0012; "clean 0013" to the newest. Each is built once for the run.
    """
    made: list[Database] = []

    @cache
    def prepare(description: str) -> Database:
        kind, _, detail = description.partition(" ")
        template = prepare(f"legacy {detail}").name if kind == "adopted" else "template0"
        database = Database.new(template)
        made.append(database)
        if kind == "legacy":
            with database.connect(autocommit=False) as session:
                build_legacy(session, detail)
        elif kind in ("clean", "adopted"):
            with django_db_blocker.unblock():
                database.migrate(None if detail == "0013" else LAST_MIGRATION)
                database.close()
        return database

    yield prepare
    for database in made:
        database.drop()


@pytest.fixture
def copy(
    prepared: Callable[[str], Database], unblocked_database: None
) -> Iterator[Callable[[str], Database]]:
    """Make a copy of a prepared database that the test may change."""
    made: list[Database] = []

    def make(description: str) -> Database:
        database = Database.new(prepared(description).name)
        made.append(database)
        return database

    yield make
    for database in made:
        database.drop()
