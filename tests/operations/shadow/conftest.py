"""A project whose migrations make objects of every kind, and databases that they made."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.operations.projects.project import Project
from tests.operations.shadow.hand_made import Told
from tests.operations.shadow.kinds_project import add_migration, write_kinds_project
from tests.postgres.databases import Database, server_session


@dataclass(frozen=True, slots=True)
class KindsProject(Project):
    """The project in a folder, its database, and a folder for what is kept of replays."""

    kept: Path = Path()

    def env(self, **further: str) -> dict[str, str]:
        own = {"DJANGO_SETTINGS_MODULE": "kinds_settings", "XDG_CACHE_HOME": str(self.kept)}
        return super(KindsProject, self).env(**own, **further)

    def told(self, *words: str) -> list[Told]:
        """Return kind, name and status of each row of --shadow that is not right, sorted."""
        components = self.json_report("--shadow", *words)["components"]
        rows = [(each["component"], each["name"], each["status"]) for each in components]
        return sorted(row for row in rows if row[2] != "exists")


@pytest.fixture(scope="session")
def kinds_template(
    tmp_path_factory: pytest.TempPathFactory, test_database: None, django_db_blocker: Any
) -> Iterator[KindsProject]:
    """Migrate the project once; its database is to be copied only."""
    folder = tmp_path_factory.mktemp("kinds")
    with django_db_blocker.unblock():
        made = KindsProject(folder, Database.new(), folder / "kept")
    write_kinds_project(made.folder)
    done = made.manage("migrate", "-v0")
    assert (done.returncode, done.stderr) == (0, "")
    yield made
    with django_db_blocker.unblock():
        made.database.drop()


@pytest.fixture
def kinds(kinds_template: KindsProject, unblocked_database: None) -> Iterator[KindsProject]:
    """Yield the project on a copy of its database; what it kept of replays is shared."""
    copied = Database.new(kinds_template.database.name)
    made = KindsProject(kinds_template.folder, copied, kinds_template.kept)
    yield made
    made.database.drop()


@pytest.fixture
def own_kinds(kinds: KindsProject, tmp_path: Path) -> KindsProject:
    """Return the project in a folder that the test may change, with nothing kept of replays."""
    folder = tmp_path / "project"
    copytree(kinds.folder, folder)
    return KindsProject(folder, kinds.database, tmp_path / "kept")


def record(project: KindsProject, name: str) -> None:
    """Record the migration as applied, as if it had run long ago."""
    project.database.run(
        f"INSERT INTO django_migrations (app, name, applied) VALUES ('kinds', '{name}', now())"
    )


@dataclass(frozen=True, slots=True)
class Slow:
    """The project with a migration that takes ten minutes to replay, and what tells its sessions."""

    project: KindsProject
    token: str

    def databases(self) -> set[str]:
        """Return the shadow in which the migration is being replayed, if it is."""
        rows = server_session().execute(
            "SELECT datname FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s "
            "AND datname LIKE %s",
            [f"%pg_sleep%{self.token}%", "convergent%"],
        )
        return {name for (name,) in rows}

    def quick(self) -> KindsProject:
        """Make the migration a quick one, for the processes that start from now on."""
        path = self.project.folder / "kinds/migrations/0003_slow.py"
        path.write_text(path.read_text().replace("pg_sleep(600)", "pg_sleep(0)"))
        return self.project


@pytest.fixture
def slow(own_kinds: KindsProject) -> Slow:
    token = secrets.token_hex(8)
    sleeps = f"migrations.RunSQL('SELECT pg_sleep(600) -- {token}')"
    add_migration(own_kinds.folder, "0003_slow", after="0002_by_sql", operations=sleeps)
    record(own_kinds, "0003_slow")
    return Slow(own_kinds, token)
