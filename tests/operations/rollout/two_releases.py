"""Both releases of the project in folders, databases for them, and what the tests ask of the two."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rollout.project import SETTINGS
from benchmarks.rollout.releases import Release
from tests.operations.stoppable_migrators import CATALOG
from tests.postgres.databases import Database
from tests.postgres.manage_process import ManageProcess

OURS = {"ROLLOUT_APPS": "signals.operations", "PGAPPNAME": "migrator"}


@dataclass(frozen=True, slots=True)
class Rollout:
    """A database that is changed from the old release to the new one.

    folder: that of `write_releases`.
    """

    folder: Path
    database: Database

    def migrate(self, release: str, *words: str, **env: str) -> str:
        """Return what `migrate` of the release prints; fail if it fails."""
        given = self.environment(release, env)
        done = self.database.manage("migrate", *words, env=given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_migrated(self, release: str) -> bool:
        """Return whether one more run of `migrate` of the release has ended well."""
        done = self.database.manage("migrate", "-v0", env=self.environment(release))
        return done.returncode == 0

    @contextmanager
    def migrating(self, *words: str) -> Iterator[ManageProcess]:
        """Yield a process of the new release's `migrate`; it does not outlive the block."""
        with self.database.running("migrate", *words, env=self.environment("new")) as process:
            yield process

    def environment(self, release: str, further: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a command of the release, with this library unless told otherwise."""
        return {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONPATH": str(self.folder / release),
            "PYTHONDONTWRITEBYTECODE": "1",
            **OURS,
            **(further or {}),
        }

    def catalog(self) -> list[tuple[Any, ...]]:
        """Return all columns, constraints and indexes, and the recorded migrations."""
        return self.database.rows(CATALOG)


def assert_no_error(*releases: Release) -> None:
    """Fail if a release has met an error by the time that it has done everything twice more."""
    for each in releases:
        report = each.goes_on()
        assert report.failed == {}, (each.name, report.texts)
