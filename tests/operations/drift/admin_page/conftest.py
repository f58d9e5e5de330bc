"""Clients of the admin's page of the schema, and a database for it to read."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connections
from django.test import Client, override_settings

from signals.operations.drift import cached_reading
from tests.operations.projects.stock_project import write_files
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


_CRATES = {
    "0001_initial": """
    initial = True
    operations = [migrations.CreateModel("Crate", [
        ("id", models.BigAutoField(primary_key=True)),
        ("kind", models.IntegerField(default=7)),
    ])]
""",
    "0002_removal": """
    dependencies = [("crates", "0001_initial")]
    operations = [operations.RemoveColumnIfPresent("crate", "kind")]
""",
}


@pytest.fixture
def expanded(
    drifted: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """Yield that database with a further application, one of whose columns is left until contract."""
    head = "from django.db import migrations, models\nfrom signals import operations\n\n\n"
    files = {
        f"crates/migrations/{name}.py": f"{head}class Migration(migrations.Migration):{body}"
        for name, body in _CRATES.items()
    }
    write_files(tmp_path, files)
    monkeypatch.syspath_prepend(str(tmp_path))
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "crates"]):
        for words in (("0001",), ()):
            call_command(
                "migrate", "crates", *words, phase="expand", database=drifted.alias, verbosity=0
            )
        yield drifted
    for name in [each for each in sys.modules if each.partition(".")[0] == "crates"]:
        del sys.modules[name]
