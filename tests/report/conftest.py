"""The prepared databases of the tests of the migrations, and a project of Django's own operations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.migrations.conftest import _database_access, copy, prepared
from tests.migrations.server import Database
from tests.report.mill import write_models
from tests.report.stock import Stock, write

__all__ = ["_database_access", "copy", "mill", "prepared", "stock", "stock_template"]


@pytest.fixture(scope="session")
def stock_template(prepared: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """Migrated once, but for the last migration of crate; to be copied only."""
    made = Stock(tmp_path_factory.mktemp("stock"), Database.new())
    write(made.folder)
    apps = ("shop", "folded", "admin", "auth", "sessions", "sites", "flatpages", "redirects")
    for words in (("crate", "0002"), *((app,) for app in apps)):
        done = made.manage("migrate", "-v0", *words)
        assert (done.returncode, done.stderr) == (0, "")
    yield made
    made.database.drop()


@pytest.fixture
def stock(stock_template: Stock) -> Iterator[Stock]:
    made = Stock(stock_template.folder, Database.new(stock_template.database.name))
    yield made
    made.database.drop()


@pytest.fixture
def mill(tmp_path: Path, prepared: object) -> Iterator[Stock]:
    """Two applications without migrations, on an empty database of their own."""
    made = Stock(tmp_path, Database.new())
    write_models(made.folder)
    yield made
    made.database.drop()
