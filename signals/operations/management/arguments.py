"""Exit codes of the commands, and the look-up of the databases, apps and migrations in their arguments."""

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
    """The exit codes of the commands; 0 means that there is nothing to do or to report."""

    FINDINGS = 1
    USAGE = 2
    CONFIGURATION = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130  # as in a shell, 128 + SIGINT


def load_migrations(*, replaced: bool = False) -> MigrationLoader:
    """Return the migrations on disk; raise CommandError if they form no graph.

    replaced: whether squashed migrations take the place of those that they replace.
    """
    try:
        return MigrationLoader(None, replace_migrations=replaced)
    except (BadMigrationError, CircularDependencyError, NodeNotFoundError) as error:
        raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error


def find_migration(loader: MigrationLoader, app_label: str, prefix: str) -> Migration:
    """Return the app's one migration whose name begins with the prefix.

    Raise CommandError, with the names that there are, if there is no such migration or more than one.
    """
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
    """Raise CommandError if the app has no migrations."""
    if app_label not in loader.migrated_apps:
        raise CommandError(f"the app {app_label!r} has no migrations", returncode=ExitCode.USAGE)


def require_alias(alias: str) -> None:
    """Raise CommandError, with the aliases that there are, if no database has the alias."""
    if alias not in connections:
        raise CommandError(
            f"there is no database {alias!r} (use one of {', '.join(connections)})",
            returncode=ExitCode.USAGE,
        )


def any_postgresql() -> BaseDatabaseWrapper:
    """Return a connection to a PostgreSQL of the settings, for the types of fields; it is not opened.

    Raise CommandError if there is none.
    """
    for connection in connections.all():
        if connection.vendor == "postgresql":
            return connection
    raise CommandError(
        "none of the databases is a PostgreSQL, which convergent operations need (use --no-convergent)",
        returncode=ExitCode.CONFIGURATION,
    )
