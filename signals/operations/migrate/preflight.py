"""Looks at the whole plan of `migrate` before the first statement of a run changes anything."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..convergence import require_no_stop
from ..execution.run import run_of
from ..findings import Finding
from .planned_changes import PlannedChanges
from .walk import convergent, steps


def remember(
    *, using: str, plan: Sequence[tuple[Migration, bool]], verbosity: int = 1, **_unused: Any
) -> None:
    """Receiver of pre_migrate: names the migration to each operation, keeps the plan, and how much to say.

    The plan is looked at when the first statement is about to be sent: a run that finds all in place,
    or that only records (--fake), reads nothing more than its operations do.
    """
    labels = [
        (operation, f"{migration.app_label}.{migration.name}")
        for migration, _ in plan
        for operation in convergent(migration.operations)
    ]
    forwards = [migration for migration, backwards in plan if not backwards]
    run_of(connections[using]).begin(labels, partial(_look_ahead, using, forwards), verbosity)


def forget(*, using: str, **_unused: Any) -> None:
    """Receiver of post_migrate: the plan is done."""
    run_of(connections[using]).end()


def _look_ahead(using: str, migrations: Sequence[Migration]) -> None:
    """Raises DifferentDefinition for the first component that would stop the run later on.

    Each app's migrations are judged up to the first operation that is not convergent, because what
    stands behind that cannot be known yet; nor can a column of a type that the plan is going to make,
    or a component that an earlier operation of the plan is going to change.
    """
    connection = connections[using]
    executor: Any = MigrationExecutor(connection)  # whose state has the apps without migrations too
    applied = executor.loader.applied_migrations
    state = executor._create_project_state(with_applied_migrations=True)
    opaque: set[str] = set()
    types: set[str] = set()
    changes = PlannedChanges()
    for migration in migrations:
        label = migration.app_label
        if (label, migration.name) in applied:
            continue
        for operation, before, after in steps(migration, state):
            if not isinstance(operation, Convergent):
                opaque.add(label)
            elif label not in opaque and not _uses(operation, types, connection):
                for finding in _findings_by_then(
                    connection, label, operation, (before, after), changes
                ):
                    if not changes.takes_in(finding):
                        require_no_stop(operation, [finding], f"{label}.{migration.name}")
                    if not finding.status.is_right:
                        changes.take_changing(connection, finding)
                        types |= {finding.name} if operation.makes_type else set()


def _findings_by_then(
    connection: BaseDatabaseWrapper,
    label: str,
    operation: Convergent,
    states: tuple[ProjectState, ProjectState],
    changes: PlannedChanges,
) -> list[Finding]:
    """The operation's findings, where the columns that the plan is going to add count as there."""
    before, after = states
    site = operation.locate(label, connection, after, before)
    if site is None:
        return []
    table = site.table if site.db_table else ""  # an enum has none
    return operation.findings(replace(site, coming=changes.columns_to_come(table)))


def _uses(operation: Convergent, types: set[str], connection: BaseDatabaseWrapper) -> bool:
    """Whether a field of the operation has one of the types."""
    declared = [getattr(operation, "field", None), *dict(getattr(operation, "fields", ())).values()]
    names = (
        field.db_type(connection) or "" for field in declared if field and not field.remote_field
    )
    return any(name.strip('"') in types for name in names)
