"""Find the operations of unapplied migrations that would block others on existing tables."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from django.conf import settings
from django.db import migrations, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import IndexOperation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint

from ..components.foreign_keys import has_db_constraint
from ..contract import Contract
from ..migrate.walk import advance, in_plan_order, state_at
from . import Change, convert, flat
from .atomicity import TransactionNeed
from .source import is_installed
from .writer import MODULE_NAME, written

_BUILT = "writers wait while the index is built"
_CHECKED = "nobody reads or writes while the rows are scanned"
_UNIQUE = "nobody reads or writes while the index is built"
_REFERS = "nobody reads or writes while its foreign key is checked and its index built"
_ALTERED = "nobody reads or writes while the rows are scanned or rewritten"
_QUEUED = "while it waits for its lock, every other session queues behind it"
# Arguments of a field whose change takes an instant.
_AT_ONCE = {"default", "db_default", "db_comment"}
# Arguments whose growth takes an instant, because the stored values fit.
_GROW_AT_ONCE = {"max_length", "max_digits"}


@dataclass(frozen=True, slots=True)
class Blocking:
    """An operation that blocks others, the reason, and the operations to write in its place."""

    operation: Operation
    reason: str
    instead: str


def may_block(loader: MigrationLoader) -> bool:
    """Return whether any of the project's own migrations has an operation that `blocking` may yield."""
    return any(
        isinstance(each, FieldOperation | IndexOperation) and not isinstance(each, Contract)
        for migration in loader.disk_migrations.values()
        if _is_checked(migration)
        for each in _database_operations(migration.operations)
    )


def blocking(
    loader: MigrationLoader, connection: BaseDatabaseWrapper
) -> Iterator[tuple[tuple[str, int], Blocking]]:
    """Yield what blocks others in the project's unapplied migrations, as ((app.name, place), Blocking).

    Consider only tables that an applied migration created.

    loader: one that knows the applied migrations of the connection's database.
    """
    applied = [key for key in loader.graph.nodes if key in loader.applied_migrations]
    pending = [key for key in in_plan_order(loader) if key not in loader.applied_migrations]
    if not applied or not any(_is_checked(loader.graph.nodes[key]) for key in pending):
        return
    state = state_at(loader, applied)
    old = set(state.models)
    for key in pending:
        migration = loader.graph.nodes[key]
        if _is_checked(migration):
            for place, each in enumerate(_of_migration(migration, state, connection, old)):
                yield (".".join(key), place), each
        old |= set(_renamed(migration.operations, key[0], old))
        for operation in migration.operations:
            advance(operation, key[0], state)


def _database_operations(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from _database_operations(operation.database_operations)
        else:
            yield operation


def _of_migration(
    migration: Migration,
    state: ProjectState,
    connection: BaseDatabaseWrapper,
    old: set[tuple[str, str]],
) -> Iterator[Blocking]:
    app, before = migration.app_label, state.clone()
    existing = old | set(_renamed(migration.operations, app, old))
    for change in convert(migration.operations, app, state, connection):
        inner = before.clone()
        for part in change.parts or (change,):
            model: Any = str(getattr(part.original, "model_name", "")).lower()
            reason = "" if part.is_kept else _reason(part.original, inner, app)
            is_allowed = router.allow_migrate(connection.alias, app, model_name=model)
            if (
                reason
                and is_allowed
                and (app, model) in existing
                and _has_table(inner.models[app, model])
            ):
                yield Blocking(part.original, reason, _instead(part))
            for operation in part.operations:
                advance(operation, app, inner)
        for operation in flat([change]):
            advance(operation, app, before)


def _has_table(model: ModelState) -> bool:
    """Return whether migrations manage the table of the model."""
    options = model.options
    own = f"{model.app_label}.{model.name_lower}"
    chosen = getattr(settings, options.get("swappable") or "", None) or own
    is_swapped = chosen.lower() != own
    return options.get("managed", True) and not options.get("proxy") and not is_swapped


def _renamed(
    operations: Iterable[Operation], app: str, old: Collection[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield the new names of the existing models that the operations rename."""
    known = set(old)
    for operation in operations:
        if (
            isinstance(operation, migrations.RenameModel)
            and (app, operation.old_name_lower) in known
        ):
            known.add((app, operation.new_name_lower))
            yield app, operation.new_name_lower


def _reason(operation: Any, before: ProjectState, app: str) -> str:
    """Return why the operation blocks others, or an empty string if it does not for long."""
    if type(operation) is migrations.AddIndex:
        return _BUILT
    if type(operation) is migrations.AddConstraint:
        return _CHECKED if isinstance(operation.constraint, CheckConstraint) else _UNIQUE
    if isinstance(operation, migrations.AddField):
        field = operation.field
        has_index = field.unique or getattr(field, "db_index", False)
        if has_db_constraint(field):
            return _REFERS
        return _UNIQUE if has_index else "" if field.many_to_many else _QUEUED
    if isinstance(operation, migrations.AlterField):
        former = before.models[app, operation.model_name_lower].fields[operation.name]
        return _ALTERED if _differences(former, operation.field) - _AT_ONCE else ""
    is_removal = type(operation) in (migrations.RemoveField, migrations.RemoveIndex)
    return _QUEUED if is_removal else ""


def _differences(before: Any, after: Any) -> set[str]:
    """Return the names of the arguments in which the fields differ, unless only more is allowed."""
    (_, path, args, old), (_, new_path, new_args, new) = before.deconstruct(), after.deconstruct()
    names = {name for name in old | new if old.get(name) != new.get(name)}
    names -= set(before.non_db_attrs) | ({"null"} if after.null else set())
    names -= {name for name in _GROW_AT_ONCE & old.keys() if (new.get(name) or inf) >= old[name]}
    return names if (path, args) == (new_path, new_args) else {*names, "class"}


def _instead(change: Change) -> str:
    text = ", ".join(map(_written, change.operations))
    return (
        f"Write {text}{', and atomic = False' if change.need is TransactionNeed.AUTOCOMMIT else ''}"
    )


def _written(operation: Operation) -> str:
    """Return the operation on one line, or its class alone if the migration writer cannot write it."""
    try:
        text = " ".join(line.strip() for line in written(operation, MODULE_NAME)[0])
    except ValueError:
        return f"{MODULE_NAME}.{type(operation).__name__}"
    return text.rstrip(",").replace("( ", "(").replace(", )", ")")


def _is_checked(migration: Any) -> bool:
    return not getattr(migration, "accept_blocking", False) and not is_installed(migration)
