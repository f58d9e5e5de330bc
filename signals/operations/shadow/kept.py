"""Keep what a replay made in a file, so that the next run with the same migrations replays nothing."""

import getpass
import hashlib
import inspect
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django
import psycopg
from django.conf import settings
from django.db.migrations.migration import Migration

from ..catalog.object_grants import GRANTS
from ..catalog.object_kinds import KINDS
from ..catalog.object_operators import OPERATORS
from ..catalog.object_tables import RELATIONS
from ..catalog.objects import CatalogObject
from ..names import NAME
from .replaying import FailedMigration

_FORM = 1  # of the file
_LONGEST = 40  # files that are kept; the oldest go first

_TUPLES = ("expressions", "options")


def key_of(migrations: Iterable[Migration], *facts: object) -> str:
    """Return the key of a replay: a hash of the migrations' names, sources and SQL, and of the facts.

    facts: the versions and the settings that decide what the migrations make.
    """
    digest = hashlib.sha256()
    own = [_FORM, django.VERSION, psycopg.__version__, settings.AUTH_USER_MODEL]
    queries = [*RELATIONS, *KINDS, *OPERATORS, *GRANTS]
    for each in [*own, *queries, settings.INSTALLED_APPS, *facts]:
        digest.update(f"{each!r}\0".encode())
    for migration in migrations:
        digest.update(f"{migration.app_label}.{migration.name}\0{text_of(migration)}\0".encode())
    return digest.hexdigest()[:32]


def text_of(migration: Migration) -> str:
    """Return the source of the migration's module, and the SQL of its RunSQL, which it may have read."""
    module = sys.modules.get(type(migration).__module__)
    source = ""
    if module is not None:
        with suppress(OSError, TypeError):
            source = inspect.getsource(module)
    return "\n".join([source, *map(str, _sql_of(migration.operations))])


def _sql_of(operations: Iterable[Any]) -> Iterator[Any]:
    for operation in operations:
        yield from filter(None, [getattr(operation, "sql", None)])
        yield from _sql_of(getattr(operation, "database_operations", ()))


class KeptReplays:
    """The files of replays in a folder of the user's that nobody else may write to."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _cache_folder() / NAME

    def read(self, key: str) -> tuple[list[CatalogObject], list[FailedMigration]] | None:
        """Return the objects and the failures of the replay; None if there is no file that can be trusted.

        The file has SQL that a repair executes, so it has to be the user's own.
        """
        path = self._path(key)
        try:
            if not (_is_own(self.folder) and _is_own(path)):
                return None
            facts = json.loads(path.read_text(encoding="utf-8"))
            objects = [CatalogObject(**_with_tuples(each)) for each in facts["objects"]]
            return objects, [FailedMigration(**each) for each in facts["failed"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(
        self, key: str, objects: Iterable[CatalogObject], failed: Iterable[FailedMigration]
    ) -> None:
        """Write the file as a whole; do without it if the folder cannot be written to."""
        facts = {"objects": list(map(asdict, objects)), "failed": list(map(asdict, failed))}
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder, prefix="new-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(facts, file)
            Path(name).replace(self._path(key))
            self._clear()

    def _path(self, key: str) -> Path:
        return self.folder / f"shadow-{key}.json"

    def _clear(self) -> None:
        files = sorted(self.folder.glob("shadow-*.json"), key=lambda each: each.stat().st_mtime)
        for path in files[:-_LONGEST]:
            path.unlink(missing_ok=True)


def _cache_folder() -> Path:
    """Return the folder for caches of the user; without a home one of those for temporary files."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"cache-{getpass.getuser()}"


def _is_own(path: Path) -> bool:
    """Return whether the file or folder belongs to the user, and nobody else may write to it."""
    found = path.stat()
    if os.name != "posix":  # the folder lies in the user's profile
        return True
    is_closed = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return is_closed and found.st_uid == os.geteuid()


def _with_tuples(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if name in _TUPLES else value for name, value in facts.items()}
