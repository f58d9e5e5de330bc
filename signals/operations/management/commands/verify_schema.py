"""manage.py verify_schema: which of the declared components the database has, and their repair."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    AmbiguityError,
    BadMigrationError,
    CircularDependencyError,
    InvalidBasesError,
    NodeNotFoundError,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from signals.operations import session
from signals.operations.catalog import Catalog
from signals.operations.errors import ConvergenceError
from signals.operations.findings import Status
from signals.operations.printing import as_json, as_sql, as_table
from signals.operations.repair import in_order, postponed, repair, statements
from signals.operations.report import in_encoding, report
from signals.operations.survey import Row, Survey, survey

FINDINGS, USAGE, CONFIGURATION, UNAVAILABLE = 1, 2, 3, 4

_STYLES = {
    Status.EXISTS: "SUCCESS",
    Status.ABSENT: "SUCCESS",
    Status.MISSING: "ERROR",
    Status.DIFFERENT: "ERROR",
    Status.UNDECLARED: "NOTICE",
}
_ALONE = (("json", "sql"), ("repair", "sql"), ("dry_run", "json"), ("database", "all_databases"))
_MISCONFIGURED = (
    BadMigrationError,
    CircularDependencyError,
    ImproperlyConfigured,
    InvalidBasesError,
    NodeNotFoundError,
)
_OF_REPAIR = ("replace", "dry_run")


class Command(BaseCommand):
    help = (
        "Shows what the applied migrations declare and the database lacks; --repair puts it right."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?", help="this application alone, as in signals")
        parser.add_argument(
            "migration_name",
            nargs="?",
            help="this migration alone, or a unique beginning, as in 0012",
        )
        parser.add_argument("--database", help="alias of the database, by default 'default'")
        for name, text in {
            "all-databases": "each database of the settings that is a PostgreSQL",
            "all": "every row, not only what is not right",
            "json": "one JSON object on stdout",
            "sql": "on stdout the SQL that reconciles, guarded, for psql",
            "quiet": "nothing on stdout; the exit code says it",
            "strict": "what no migration declares is a finding too",
            "repair": "build what is missing or unfinished, and verify again",
            "replace": "with --repair: replace what differs, where that is possible without a gap",
            "dry-run": "with --repair: print the statements, and change nothing",
        }.items():
            parser.add_argument(f"--{name}", action="store_true", help=text)
        parser.add_argument("--schema", help="this schema, in front of the search_path")
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="with --repair: do not ask first",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = _aliases(options)
        _refuse_contradictions(options)
        surveys, is_clean = [], True
        for alias in aliases:
            with _told(alias), ExitStack() as stack:
                connection = self._enter(stack, alias, options)
                if connection is None:
                    continue
                if options["migration_name"] and not (options["repair"] or options["sql"]):
                    is_clean &= self._one(connection, options)
                    continue
                result = self._whole(connection, options)
                surveys.append(result)
                is_clean &= result.is_clean(strict=options["strict"])
        if options["json"] and not options["quiet"] and surveys:
            self.stdout.write(as_json(surveys, strict=options["strict"]))
        if not is_clean:
            raise SystemExit(FINDINGS)

    def _enter(
        self, stack: ExitStack, alias: str, options: dict[str, Any]
    ) -> BaseDatabaseWrapper | None:
        """The connection in the asked schema; None for another kind of database among all of them."""
        connection: BaseDatabaseWrapper = connections[alias]
        if connection.vendor != "postgresql":
            what = f"the database {alias!r} is {connection.display_name}, not PostgreSQL"
            if not options["all_databases"]:
                raise CommandError(what, returncode=CONFIGURATION)
            self.stderr.write(f"{what}; left out")
            return None
        schema = options["schema"]
        if schema:
            stack.enter_context(session.in_schema(connection, schema))
            if Catalog(connection).place().schema != schema:
                raise CommandError(
                    f"there is no schema {schema} in the database {alias!r}, or no right to use it",
                    returncode=USAGE,
                )
        return connection

    def _one(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> bool:
        """One migration by itself, applied or not."""
        loader = MigrationLoader(None, replace_migrations=False)
        migration = find(loader, options["app_label"], options["migration_name"])
        findings = report(connection, loader, migration)
        text = findings.as_json() if options["json"] else findings.as_table(self._encoding)
        if not options["quiet"]:
            self.stdout.write(text)
        return findings.is_clean

    def _whole(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> Survey:
        """What the applied migrations declare together, repaired first where that is asked for."""
        app, name = options["app_label"], options["migration_name"]
        if app is not None:
            loader = MigrationLoader(None, replace_migrations=False)
            require_app(loader, app)
            name = find(loader, app, name).name if name else None
        look = partial(survey, connection, app, name)
        found = look()
        if options["repair"]:
            found = self._repair(connection, found, look, options)
        if options["quiet"] or options["json"] or options["dry_run"]:
            return found
        if options["sql"]:
            path = Catalog(connection).search_path() if options["schema"] else ""
            self.stdout.write(as_sql(found, path=path))
        else:
            text = as_table(found, self._paint, every=options["all"])
            self.stdout.write(in_encoding(text, self._encoding))
        return found

    def _repair(
        self, connection: BaseDatabaseWrapper, found: Survey, look: Any, options: dict[str, Any]
    ) -> Survey:
        replacing = options["replace"]
        todo = in_order(row for row in found.rows if row.is_repairable(replacing=replacing))
        if options["dry_run"]:
            self._print(todo)
            return found
        if not todo or (options["interactive"] and not self._agrees(todo)):
            return found
        done = repair(connection, look, replacing=replacing, say=self.stderr.write)
        for row, reason in done.failures:
            what = f"{row.finding.component} {row.finding.name} of {row.finding.table}"
            self.stderr.write(f"not repaired: {what}: {reason}")
        return done.survey

    def _print(self, todo: Sequence[Row]) -> None:
        for row in todo:
            try:
                for statement in statements(row):
                    if not statement.sql.startswith("DO "):  # of a script: what makes it stop
                        self.stdout.write(f"{statement.sql};")
            except ConvergenceError as error:
                self.stderr.write(f"{row.finding.component} {row.finding.name}: {error}")
        for row in todo:
            for statement in postponed(row):
                self.stdout.write(f"{statement.sql};")

    def _agrees(self, todo: Sequence[Row]) -> bool:
        """Asks on the terminal; without one nobody can answer."""
        if not sys.stdin.isatty():
            raise CommandError(
                "--repair asks first, and there is no terminal (use --no-input)", returncode=USAGE
            )
        for row in todo:
            finding = row.finding
            what = f"{finding.component} {finding.name} of {finding.table}"
            self.stderr.write(f"{finding.status.value}: {what} ({row.migration})")
        return input(f"Repair {len(todo)} components? [y/N] ").strip().lower() in ("y", "yes")

    def _paint(self, status: Status, text: str) -> str:
        if not self.stdout.isatty():
            return text
        style = no_style() if os.environ.get("NO_COLOR") else self.style
        return str(getattr(style, _STYLES.get(status, "WARNING"))(text))

    @property
    def _encoding(self) -> str:
        return getattr(self.stdout, "encoding", None) or "utf-8"


def find(loader: MigrationLoader, app_label: str, prefix: str) -> Migration:
    """The one migration of the app whose name begins so; a CommandError says which there are."""
    require_app(loader, app_label)
    try:
        return loader.get_migration_by_prefix(app_label, prefix)
    except (AmbiguityError, KeyError):
        names = sorted(name for app, name in loader.disk_migrations if app == app_label)
        raise CommandError(
            f"{prefix!r} names no single migration of {app_label} (use one of {', '.join(names)})",
            returncode=USAGE,
        ) from None


def require_app(loader: MigrationLoader, app_label: str) -> None:
    """A CommandError where no migration is of that app."""
    if app_label not in loader.migrated_apps:
        raise CommandError(f"the app {app_label!r} has no migrations", returncode=USAGE)


def require_alias(alias: str) -> None:
    """A CommandError where the settings have no database of that alias; it says which there are."""
    if alias not in connections:
        raise CommandError(
            f"there is no database {alias!r} (use one of {', '.join(connections)})",
            returncode=USAGE,
        )


def _aliases(options: dict[str, Any]) -> list[str]:
    if options["all_databases"]:
        return list(connections)
    alias = options["database"] or DEFAULT_DB_ALIAS
    require_alias(alias)
    return [alias]


def _refuse_contradictions(options: dict[str, Any]) -> None:
    for one, other in _ALONE:
        if options[one] and options[other]:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in (one, other))
            raise CommandError(f"{names} exclude each other", returncode=USAGE)
    for name in _OF_REPAIR:
        if options[name] and not options["repair"]:
            raise CommandError(f"--{name.replace('_', '-')} goes with --repair", returncode=USAGE)
    if options["migration_name"] and options["all_databases"]:
        raise CommandError(
            "a migration is shown for one database (use --database)", returncode=USAGE
        )


@contextmanager
def _told(alias: str) -> Iterator[None]:
    """What cannot be judged ends in words and with the exit code of its kind."""
    try:
        yield
    except DatabaseError as error:
        raise CommandError(
            f"the database {alias!r} cannot be read: {error}", returncode=UNAVAILABLE
        ) from error
    except _MISCONFIGURED as error:
        raise CommandError(str(error), returncode=CONFIGURATION) from error
