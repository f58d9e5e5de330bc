"""One cluster is made for the whole run; a test that is not about making one borrows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from project.embedded import cluster
from project.embedded.account import is_root
from tests.embedded import as_nobody
from tests.embedded.harness import User, open_folder

collect_ignore = []
if not is_root():
    collect_ignore.append("test_as_root.py")
if not (is_root() and as_nobody.python()):
    collect_ignore.append("test_as_another_user.py")


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Path]:
    with open_folder() as folder:
        data_dir = folder / ".postgres"
        with User(data_dir) as user:
            assert user.host
            cluster.stop(data_dir)
        yield data_dir


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder that is open to everyone."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def data_dir(place: Path, _cluster: Path) -> Iterator[Path]:
    """A DATA_DIR with a cluster in it that does not run; it is the same one for every test."""
    lent = _cluster.rename(place / ".postgres")
    yield lent
    cluster.stop(lent)
    lent.rename(_cluster)
