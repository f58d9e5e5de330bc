"""Find the operations of unapplied migrations that would block others on existing tables, for check W003."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import migrations, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import (
    AlterTogetherOptionOperation,
    IndexOperation,
)
from django.db.migrations.state import ProjectState

from ..contract import Contract
from ..conversion import Change, convert, flat
from ..conversion.atomicity import TransactionNeed
from ..conversion.source import is_installed
from ..conversion.writer import MODULE_NAME, written
from ..migrate.walk import advance, database_operations, in_plan_order, state_at
from .acceptance import acceptances_of
from .judging import faults_of
from .options import LintOptions
from .steps import Fault, Release, Step

_MAY_BLOCK = (FieldOperation, IndexOperation, AlterTogetherOptionOperation)


@dataclass(frozen=True, slots=True)
class Blocking:
    """An operation that blocks others, the reason, and the operations to write in its place."""

    operation: Operation
    reason: str
    instead: str


def may_block(loader: MigrationLoader) -> bool:
    """Return whether any of the project's own migrations has an operation that `blocking` may yield."""
    return any(
        isinstance(each, _MAY_BLOCK) and not isinstance(each, Contract)
        for migration in loader.disk_migrations.values()
        if _is_checked(migration)
        for each in database_operations(migration.operations)
    )


def blocking(
    loader: MigrationLoader, connection: BaseDatabaseWrapper
) -> Iterator[tuple[tuple[str, tuple[int, ...]], Blocking]]:
    """Yield what blocks others in the project's unapplied migrations, as ((app.name, place), Blocking).

    Consider only tables that an applied migration created, and the rules of `lint_migrations` that block.

    loader: one that knows the applied migrations of the connection's database.
    """
    applied = [key for key in loader.graph.nodes if key in loader.applied_migrations]
    pending = [key for key in in_plan_order(loader) if key not in loader.applied_migrations]
    if not applied or not any(_is_checked(loader.graph.nodes[key]) for key in pending):
        return
    state = state_at(loader, applied)
    old = set(state.models)
    off = _rules_off()
    for key in pending:
        migration = loader.graph.nodes[key]
        if _is_checked(migration):
            accepted = acceptances_of(migration)
            for place, fault, instead in _of_migration(migration, state, connection, old):
                if fault.rule.id not in off and not accepted.reason(fault.rule, place):
                    found = Blocking(fault.operation, fault.rule.reason, instead)
                    yield (".".join(key), place), found
        old |= set(_renamed(migration.operations, key[0], old))
        for operation in migration.operations:
            advance(operation, key[0], state)


def _rules_off() -> set[str]:
    """Return the ids of the rules that the settings turn off; lint_migrations tells what is wrong there."""
    try:
        return LintOptions.from_settings().turned_off()
    except ImproperlyConfigured:
        return set()


def _of_migration(
    migration: Migration,
    state: ProjectState,
    connection: BaseDatabaseWrapper,
    old: set[tuple[str, str]],
) -> Iterator[tuple[tuple[int, ...], Fault, str]]:
    """Yield the place of each operation that blocks and has a replacement, its first fault, and that."""
    app, before = migration.app_label, state.clone()
    existing = old | set(_renamed(migration.operations, app, old))
    for number, change in enumerate(convert(migration.operations, app, state, connection)):
        inner = before.clone()
        for inner_number, part in enumerate(change.parts or (change,)):
            place = (number, inner_number) if change.parts else (number,)
            release = Release(models=set(inner.models) - existing)
            step = Step(part.original, place, migration, inner, release, connection)
            faults = () if part.is_kept else (each for each in faults_of(step) if each.rule.blocks)
            named: Any = part.original
            model = str(getattr(named, "model_name", "") or getattr(named, "name", "")).lower()
            if router.allow_migrate(connection.alias, app, model_name=model):
                yield from ((place, fault, _instead(part)) for fault in list(faults)[:1])
            for operation in part.operations:
                advance(operation, app, inner)
        for operation in flat([change]):
            advance(operation, app, before)


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


def _is_checked(migration: Migration) -> bool:
    return not getattr(migration, "accept_blocking", False) and not is_installed(migration)
