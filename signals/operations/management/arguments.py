"""What the commands share: exit codes, and the databases, apps and migrations that are named to them."""

from enum import IntEnum

from django.core.management.base import CommandError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    AmbiguityError,
    BadMigrationError,
    CircularDependencyError,
    NodeNotFoundError,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration


class ExitCode(IntEnum):
    """What a command's exit code says; 0 says that there is nothing to do or to report."""

    FINDINGS = 1
    USAGE = 2
    CONFIGURATION = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130  # as a shell says it


def load_migrations() -> MigrationLoader:
    """Return the migrations on disk; raise CommandError if they make no graph."""
    try:
        return MigrationLoader(None, replace_migrations=False)
    except (BadMigrationError, CircularDependencyError, NodeNotFoundError) as error:
        raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error


def find_migration(loader: MigrationLoader, app_label: str, prefix: str) -> Migration:
    """Return the one migration of the app whose name begins so; a CommandError says which there are."""
    require_app(loader, app_label)
    try:
        return loader.get_migration_by_prefix(app_label, prefix)
    except (AmbiguityError, KeyError):
        names = sorted(name for app, name in loader.disk_migrations if app == app_label)
        raise CommandError(
            f"{prefix!r} names no single migration of {app_label} (use one of {', '.join(names)})",
            returncode=ExitCode.USAGE,
        ) from None


def require_app(loader: MigrationLoader, app_label: str) -> None:
    """Raise CommandError if no migration is of that app."""
    if app_label not in loader.migrated_apps:
        raise CommandError(f"the app {app_label!r} has no migrations", returncode=ExitCode.USAGE)


def require_alias(alias: str) -> None:
    """Raise CommandError if the settings have no database of that alias; it says which there are."""
    if alias not in connections:
        raise CommandError(
            f"there is no database {alias!r} (use one of {', '.join(connections)})",
            returncode=ExitCode.USAGE,
        )


def any_postgresql() -> BaseDatabaseWrapper:
    """Return an unopened connection to a PostgreSQL of the settings, which knows the types of fields."""
    for connection in connections.all():
        if connection.vendor == "postgresql":
            return connection
    raise CommandError(
        "none of the databases is a PostgreSQL, for which convergent operations are (--no-convergent)",
        returncode=ExitCode.CONFIGURATION,
    )
