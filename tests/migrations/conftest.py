"""Prepared databases are built once for the whole run; a test gets a copy."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from tests.migrations.server import LAST, Database, legacy

Make = Callable[..., Database]


@pytest.fixture(autouse=True)
def _database_access(django_db_blocker: Any) -> Iterator[None]:
    """The tests work on databases of their own, not on the one that pytest-django would make."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def prepared(django_db_blocker: Any) -> Iterator[Callable[[str], Database]]:
    """The database of that description, to be copied only: empty, clean, legacy NNN, adopted NNN.

    clean and adopted ones are migrated to 0012; "clean 0013" to the newest.
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
                legacy(session, detail)
        elif kind in ("clean", "adopted"):
            with django_db_blocker.unblock():
                database.migrate(None if detail == "0013" else LAST)
                database.close()
        return database

    yield prepare
    for database in made:
        database.drop()


@pytest.fixture
def copy(prepared: Callable[[str], Database]) -> Iterator[Callable[[str], Database]]:
    """Makes a copy of a prepared database that the test may change."""
    made: list[Database] = []

    def make(description: str) -> Database:
        database = Database.new(prepared(description).name)
        made.append(database)
        return database

    yield make
    for database in made:
        database.drop()
