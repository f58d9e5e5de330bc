"""manage.py verify_schema: which components of a migration the database has."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from signals.operations.report import report

USAGE, UNAVAILABLE = 2, 4


class Command(BaseCommand):
    help = "Shows each component that a migration declares and whether the database has it."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", help="the application, for example signals")
        parser.add_argument(
            "migration_name", help="the migration or a unique beginning, as in 0012"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="alias of the database")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["database"]
        if alias not in connections:
            raise CommandError(
                f"there is no database {alias!r} (use one of {', '.join(connections)})",
                returncode=USAGE,
            )
        connection = connections[alias]
        loader = MigrationLoader(None, replace_migrations=False)
        migration = find(loader, options["app_label"], options["migration_name"])
        try:
            findings = report(connection, loader, migration)
        except DatabaseError as error:
            raise CommandError(
                f"the database {alias!r} cannot be read: {error}", returncode=UNAVAILABLE
            ) from error
        self.stdout.write(
            findings.as_json()
            if options["json"]
            else findings.as_table(getattr(self.stdout, "encoding", None) or "utf-8")
        )
        if not findings.is_clean:
            raise SystemExit(1)


def find(loader: MigrationLoader, app_label: str, prefix: str) -> Migration:
    """The one migration of the app whose name begins so; a CommandError says which there are."""
    if app_label not in loader.migrated_apps:
        raise CommandError(f"the app {app_label!r} has no migrations", returncode=USAGE)
    try:
        return loader.get_migration_by_prefix(app_label, prefix)
    except (AmbiguityError, KeyError):
        names = sorted(name for app, name in loader.disk_migrations if app == app_label)
        raise CommandError(
            f"{prefix!r} names no single migration of {app_label} (use one of {', '.join(names)})",
            returncode=USAGE,
        ) from None
