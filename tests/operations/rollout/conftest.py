"""The two releases of the project, and databases for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.rollout.changes import CHANGES
from benchmarks.rollout.project import change_source, write_releases
from tests.operations.rollout.two_releases import Rollout
from tests.postgres.databases import Database


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write both releases, the change of each application by the operations of this library."""
    folder = tmp_path_factory.mktemp("releases")
    write_releases(folder, CHANGES, {each.label: change_source(each) for each in CHANGES})
    return folder


@pytest.fixture
def new_rollout(unblocked_database: None) -> Iterator[Callable[[Path], Rollout]]:
    """Return a function that makes a database of the old release."""
    made: list[Database] = []

    def make(folder: Path) -> Rollout:
        made.append(Database.new())
        rollout = Rollout(folder, made[-1])
        rollout.migrate("old", "-v0")
        return rollout

    yield make
    for database in made:
        database.drop()


@pytest.fixture
def rollout(new_rollout: Callable[[Path], Rollout], releases: Path) -> Rollout:
    return new_rollout(releases)
