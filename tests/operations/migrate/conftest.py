"""A database for processes of `manage.py migrate`."""

from collections.abc import Iterator

import pytest

from tests.operations.waiting_migrators import WatchedDatabase
from tests.postgres.databases import new_database


@pytest.fixture
def database() -> Iterator[WatchedDatabase]:
    with new_database() as url:
        made = WatchedDatabase(url)
        try:
            yield made
        finally:
            made.close()
