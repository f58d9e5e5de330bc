"""System checks: what would stop a migration, known from the settings alone."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader

from signals.operations.report import convergent


@register("signals_operations", Tags.database)
def check_servers(*, databases: Sequence[str] | None = None, **_unused: Any) -> list[CheckMessage]:
    """E001 for each database that is no PostgreSQL and is to get convergent operations.

    Asked for the databases that `check --database` or `migrate` names; opens no connection.
    """
    others = [alias for alias in databases or () if connections[alias].vendor != "postgresql"]
    return [
        Error(
            f"the database {alias!r} is {connections[alias].display_name}, and {first} needs PostgreSQL",
            hint="Keep its app away from that database by a router's allow_migrate(), or use PostgreSQL.",
            obj=alias,
            id="signals_operations.E001",
        )
        for alias in others
        for first in list(_allowed(alias))[:1]
    ]


def _allowed(alias: str) -> Iterator[str]:
    """The convergent operations that the routers let into the database, in words."""
    for (app_label, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        for operation in convergent(migration.operations):
            is_managed = getattr(operation, "options", {}).get("managed", True)
            if is_managed and router.allow_migrate(alias, app_label, **operation.hints):
                yield f"{type(operation).__name__} of {app_label}.{name}"
