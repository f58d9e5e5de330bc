"""Clients of the admin's page of the schema, and a database for it to read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client

from signals.operations.drift import cached_reading
from tests.postgres.databases import Database

PAGE = "/admin/convergent_migrations/schema/"
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the readings of each test apart."""
    monkeypatch.setattr(cached_reading.tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def login(transactional_db: None) -> Callable[..., Client]:
    """A client of a member of the staff with these permissions."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user("watcher", is_staff=True)
        app = {"content_type__app_label": "convergent_migrations"}
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames, **app))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def watcher(login: Callable[..., Client]) -> Client:
    return login("view_schema")


@pytest.fixture
def drifted(copy: Callable[[str], Database]) -> Iterator[Database]:
    """A second database of the project, in which a column, an index and a check are not right."""
    database = copy("clean 0013")
    database.run(
        "ALTER TABLE signals DROP onchain_asof_ts",
        "DROP INDEX idx_signals_state_created_at",
        "ALTER TABLE signals DROP CONSTRAINT signals_state_check, "
        "ADD CONSTRAINT signals_state_check CHECK (state <> '<b>')",
        f'ALTER TABLE signals ADD "{EVIL}" integer',
    )
    database.alias  # noqa: B018 - makes it one of the project's databases
    yield database
    connections[database.alias].close()
