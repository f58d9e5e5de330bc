"""manage.py convergent_migration: rewrite an unapplied migration with convergent operations."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.utils import run_formatters
from django.db import DatabaseError, connections
from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from ...conversion import convert, flat
from ...conversion.parts import Batch, batches
from ...conversion.reloading import Unloadable, loading_as_before
from ...conversion.source import Unwritable, is_installed, rewritten, source_of
from ...conversion.writer import MODULE_NAME, written
from ...migrate.walk import state_at
from ..arguments import ExitCode, any_postgresql, find_migration, load_migrations, require_alias


class Command(BaseCommand):
    help = (
        "Rewrites an unapplied migration with convergent operations, in its file; leaves the rest of "
        "the file as it is."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", help="as in signals")
        parser.add_argument("migration_name", help="the migration, or a unique beginning of it")
        parser.add_argument(
            "--database", help="check only in this database that the migration is not applied"
        )
        parser.add_argument("--dry-run", action="store_true", help="print the files, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        loader = load_migrations()
        migration = find_migration(loader, options["app_label"], options["migration_name"])
        if is_installed(migration):
            raise CommandError(
                f"{migration} belongs to an installed package", returncode=ExitCode.USAGE
            )
        self._require_unapplied(loader, migration, options["database"])
        app, name = key = (migration.app_label, migration.name)
        connection = any_postgresql()
        try:
            before = state_at(loader, [key], at_end=False)
            changes = convert(migration.operations, app, before, connection)
        except (LookupError, ValueError, FieldDoesNotExist) as error:
            raise CommandError(
                f"{migration} cannot be replayed on the migrations that it depends on: "
                f"{type(error).__name__}: {error} (add to its dependencies the one that brings this)",
                returncode=ExitCode.CONFIGURATION,
            ) from error
        for change in changes:
            if change.reason:
                self.stderr.write(f"{app}.{name}: {change.describe()}", self.style.NOTICE)
        if all(change.is_kept for change in changes):
            self.stdout.write(f"Nothing to convert in {migration}.")
            return
        own = batches(changes, atomic=migration.atomic)
        _require_partable(loader, migration, len(own))
        texts = self._texts(migration, own, list(_names(loader, migration, own)), before)
        files = {source_of(migration).with_name(f"{each}.py"): texts[each] for each in texts}
        if options["dry_run"]:
            self._show(files)
        else:
            self._write(files, loader)

    def _texts(
        self, migration: Migration, own: Sequence[Batch], names: Sequence[str], before: ProjectState
    ) -> dict[str, str]:
        try:
            return rewritten(migration, own, names, before)
        except Unwritable as error:
            self.stdout.write("\n".join(_difference(migration, own, names)))
            raise CommandError(
                f"{migration} is left as it is: {error} (change it by hand as above)",
                returncode=ExitCode.FINDINGS,
            ) from error

    def _require_unapplied(
        self, loader: MigrationLoader, migration: Migration, alias: str | None
    ) -> None:
        """Raise CommandError if a database has applied the migration.

        A squash of it and the migrations that it replaces count as the migration itself.
        """
        if alias is not None:
            require_alias(alias)
        key = (migration.app_label, migration.name)
        related = {key, *migration.replaces}
        related |= {other for other, each in loader.disk_migrations.items() if key in each.replaces}
        for connection in [connections[alias]] if alias else connections.all():
            if connection.vendor != "postgresql":
                continue
            try:
                applied = related & set(MigrationRecorder(connection).applied_migrations())
            except DatabaseError as error:
                what = f"the database {connection.alias!r} cannot be asked: {error}"
                if alias:
                    raise CommandError(what, returncode=ExitCode.UNAVAILABLE) from error
                self.stderr.write(what)
                continue
            if applied:
                app, name = min(applied)
                raise CommandError(
                    f"{app}.{name} is applied in the database {connection.alias!r}, so it is not "
                    "rewritten (unapply it there, or write a new migration)",
                    returncode=ExitCode.USAGE,
                )

    def _show(self, files: dict[Path, str]) -> None:
        for path, text in files.items():
            self.stdout.write(f"# {path}\n{text}")

    def _write(self, files: dict[Path, str], loader: MigrationLoader) -> None:
        """Write all of the files, or none of them.

        Each is written under another name and then moved into place, the new files before the changed one.
        If that fails, or if the project's migrations then do not load or declare something else, the files
        are as before; raise CommandError then.
        """
        new = [path for path in files if not path.exists()]
        former = {path: path.read_bytes() for path in files if path.exists()}
        aside = {path: path.with_name(f".{path.name}.convergent") for path in files}
        try:
            for path, text in files.items():
                aside[path].write_text(text, encoding="utf-8", newline="")
            with loading_as_before(loader):
                for path, beside in aside.items():
                    beside.replace(path)
        except Unloadable as error:
            _put_back(new, former)
            raise CommandError(
                f"nothing was changed: with the converted operations {error} (does another migration "
                "or module use those of the file? write them out there)",
                returncode=ExitCode.FINDINGS,
            ) from error
        except OSError as error:
            _put_back(new, former)
            raise CommandError(
                f"nothing was changed: {error}", returncode=ExitCode.UNAVAILABLE
            ) from error
        finally:
            for beside in aside.values():
                beside.unlink(missing_ok=True)
        run_formatters(list(map(str, files)), stderr=self.stderr)
        for path in files:
            self.stdout.write(str(path))


def _put_back(new: Sequence[Path], former: Mapping[Path, bytes]) -> None:
    for path in new:
        path.unlink(missing_ok=True)
    for path, data in former.items():
        if path.read_bytes() != data:
            path.write_bytes(data)


def _require_partable(loader: MigrationLoader, migration: Migration, count: int) -> None:
    """Raise CommandError if the migration has to be divided and is a squash or part of one."""
    key = (migration.app_label, migration.name)
    squashes = [each for each in loader.disk_migrations.values() if key in each.replaces]
    if count > 1 and (migration.replaces or squashes):
        raise CommandError(
            f"{migration} would have to be split into {count} migrations, and is a squash or part of "
            "one (convert before squashing, or split it by hand)",
            returncode=ExitCode.USAGE,
        )


def _names(loader: MigrationLoader, migration: Migration, own: Sequence[Batch]) -> Iterator[str]:
    """Yield a name for each part, as Django would give it, with the migration's number.

    The last part keeps the migration's name, so that what depends on the migration depends on all of it.
    """
    taken = {name for app, name in loader.disk_migrations if app == migration.app_label}
    is_numbered = MigrationAutodetector.parse_number(migration.name) is not None
    number, _, rest = migration.name.partition("_")
    start, rest = (f"{number}_", rest) if is_numbered else ("", migration.name)
    for part in own[:-1]:
        made: Any = Migration(migration.name, migration.app_label)
        made.operations = flat(part.changes)
        is_telling = any(each.migration_name_fragment for each in made.operations)
        name = f"{start}{made.suggest_name()}"
        if not is_telling or name.startswith(migration.name):  # a prefix must name one
            name = f"{start}before_{rest}"
        others = (f"{name}_{number}" for number in count(2))
        name = next(each for each in chain([name], others) if each not in taken)
        taken.add(name)
        yield name
    yield migration.name


def _difference(migration: Migration, own: Sequence[Batch], names: Sequence[str]) -> Iterator[str]:
    """Return a unified diff of the operations, for a change by hand."""

    def lines(operations: Sequence[Operation]) -> list[str]:
        return [line for each in operations for line in _lines(each)]

    before = [f"atomic = {migration.atomic}", *lines(migration.operations)]
    after: list[str] = []
    for part, name in zip(own, names, strict=True):
        title = [f"# {name}.py"] if len(own) > 1 else []
        after += [*title, f"atomic = {part.atomic}", *lines(flat(part.changes))]
    label = f"{migration.name}.py"
    return difflib.unified_diff(before, after, label, label, lineterm="")


def _lines(operation: Operation) -> list[str]:
    try:
        return written(operation, MODULE_NAME)[0]
    except ValueError:  # a function without a name cannot be written
        return [f"# {operation.describe()}: as it is"]
