"""Chooses what this machine can run, when tests are collected and in words: nothing is skipped."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import hypothesis
import hypothesis.database
import pytest
from django.db import connection
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.test.utils import setup_databases, teardown_databases

from tests.admin.browser import NAMES

# CI installs a browser, so there a missing one is a failure.
HAS_BROWSER = "CHROMIUM" in os.environ or "CI" in os.environ or any(map(shutil.which, NAMES))

collect_ignore = [] if HAS_BROWSER else ["admin/test_browser.py", "report/test_page_browser.py"]


def pytest_report_header() -> str:
    if HAS_BROWSER:
        return "browser tests: collected"
    return "browser tests: not collected, there is no browser (apt-get install chromium, or CHROMIUM=/path)"


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
