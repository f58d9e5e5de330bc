"""System checks that find, before `migrate` runs, the migrations that would fail or block others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DatabaseError, connections, router
from django.db.migrations import Migration, RemoveConstraint, RemoveIndex
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from .catalog.schemas import recorded_migrations
from .conversion.atomicity import needs_autocommit
from .lint.blocking import Blocking, blocking, may_block
from .migrate.walk import LoaderOfRecorded, convergent, state_at, steps
from .names import IN_COLUMNS, IN_NAMES, NAME, why_unusable

# Raised by operations on models or fields that do not exist; `migrate` reports them itself.
_BROKEN_STATE = (LookupError, ValueError, FieldDoesNotExist)


@register(NAME, Tags.database)
def check_servers(*, databases: Sequence[str] | None = None, **_unused: Any) -> list[CheckMessage]:
    """Return E001 for each database that is not PostgreSQL and is to get convergent operations.

    databases: those that `check --database` or `migrate` names; no connection is opened.
    """
    others = [alias for alias in databases or () if connections[alias].vendor != "postgresql"]
    return [
        Error(
            f"the database {alias!r} is {connections[alias].display_name}, and {first} needs PostgreSQL",
            hint="Keep its app away from that database by a router's allow_migrate(), or use PostgreSQL.",
            obj=alias,
            id=f"{NAME}.E001",
        )
        for alias in others
        for first in list(_allowed(alias))[:1]
    ]


@register(NAME)
def check_atomicity(**_unused: Any) -> list[CheckMessage]:
    """Return E002 for each atomic migration whose first run would end with NeedsAutocommit.

    No database is asked.
    """
    loader = _loaded(partial(MigrationLoader, None, replace_migrations=False))
    if loader is None:
        return []
    return [
        Error(
            f"{app_label}.{name} is atomic, and {first} cannot run in a transaction",
            hint="Set atomic = False on the migration.",
            obj=f"{app_label}.{name}",
            id=f"{NAME}.E002",
        )
        for (app_label, name), migration in sorted(loader.disk_migrations.items())
        for first in list(_needing_autocommit(loader, migration))[:1]
    ]


@register(NAME)
def check_names(**_unused: Any) -> list[CheckMessage]:
    """Return E004 for each name in a convergent operation at which Django breaks; no database is asked.

    Names of indexes, constraints and types that are to be made are refused by the operations themselves.
    """
    loader = _loaded(partial(MigrationLoader, None, replace_migrations=False))
    return [
        Error(
            f"{app_label}.{name}: the {what} {text!r} {reason}",
            hint="Rename it in the database, then in the migration; or remove it by Django's own operation.",
            obj=f"{app_label}.{name}",
            id=f"{NAME}.E004",
        )
        for (app_label, name), migration in sorted(loader.disk_migrations.items() if loader else ())
        for operation in convergent(migration.operations)
        for what, text, forbidden in _stored_names(operation)
        if (reason := why_unusable(text, forbidden))
    ]


@register(NAME, Tags.database)
def check_blocking(*, databases: Sequence[str] | None = None, **_unused: Any) -> list[CheckMessage]:
    """Return W003 for each unapplied operation that blocks others on an existing table, with a replacement.

    Only the project's own migrations are looked at, as far as the named databases have not applied them; a
    database without applied migrations gets no warning. A migration with `accept_blocking = True` is left
    out.
    """
    found: dict[tuple[str, tuple[int, ...]], Blocking] = {}
    on_disk = _loaded(partial(MigrationLoader, None)) if databases else None
    for alias in databases or () if on_disk and may_block(on_disk) else ():
        connection = connections[alias]
        if connection.vendor == "postgresql":
            # The command reports these.
            with suppress(DatabaseError, ImproperlyConfigured, *_BROKEN_STATE):
                loader = _loaded(partial(LoaderOfRecorded, recorded_migrations(connection)))
                found.update(blocking(loader, connection) if loader else ())
    return [
        checks.Warning(
            f"{each.operation.describe()}: {each.reason}",
            hint=f"{each.instead} (`manage.py convergent_migration {label.replace('.', ' ')}` writes it; "
            "accept_blocking = True on the migration keeps it).",
            obj=label,
            id=f"{NAME}.W003",
        )
        for (label, _), each in found.items()
    ]


def _stored_names(operation: Any) -> Iterator[tuple[str, str, str]]:
    """Yield names that the operation declares or removes: what each is, and what it may not contain.

    A db_table may contain a schema, as `"schema"."table"` or as `schema"."table`.
    """
    if isinstance(operation, RemoveConstraint | RemoveIndex):
        yield "constraint or index", str(operation.name), IN_NAMES
    table = getattr(operation, "options", {}).get("db_table") or ""
    parts = table.strip('"').split('"."') if '"."' in table else [table]
    yield from (("table", part, IN_COLUMNS) for part in parts)
    declared = [getattr(operation, "field", None), *dict(getattr(operation, "fields", ())).values()]
    columns = [each.db_column for each in declared if each and each.db_column]
    yield from (("column", column, IN_COLUMNS) for column in columns)


def _needing_autocommit(loader: MigrationLoader, migration: Migration) -> Iterator[str]:
    """Yield a description of each operation that an atomic migration cannot run."""
    app, found = migration.app_label, list(convergent(migration.operations))
    if not migration.atomic or not found:
        return
    states: list[tuple[Any, ProjectState]] = [(each, ProjectState()) for each in found]
    with suppress(*_BROKEN_STATE):
        if any(operation.needs_state for operation in found):
            state = state_at(loader, [(app, migration.name)], at_end=False)
            states = [(each, before) for each, before, _ in steps(migration.operations, app, state)]
        for operation, before in states:
            if needs_autocommit(operation, app, before):
                yield f"{type(operation).__name__} ({operation.describe()})"


def _loaded(load: Callable[[], MigrationLoader]) -> MigrationLoader | None:
    """Return the migrations; None if they cannot be loaded, which a command that needs them reports."""
    try:
        return load()
    except Exception:  # noqa: BLE001 - a module of migrations runs, and may raise anything
        return None


def _allowed(alias: str) -> Iterator[str]:
    """Yield a description of each convergent operation that the routers allow on the database."""
    loader = _loaded(partial(MigrationLoader, None))
    for (app_label, name), migration in sorted(loader.disk_migrations.items() if loader else ()):
        for operation in convergent(migration.operations):
            is_managed = getattr(operation, "options", {}).get("managed", True)
            if is_managed and router.allow_migrate(alias, app_label, **operation.hints):
                yield f"{type(operation).__name__} of {app_label}.{name}"
