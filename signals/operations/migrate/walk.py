"""The operations of migrations in their order, each with the state before and after it."""

from collections.abc import Iterator, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..findings import Finding


def in_plan_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    """The migrations of the graph as `migrate` would apply them to nothing."""
    leaves = loader.graph.leaf_nodes()
    return list(dict.fromkeys(key for leaf in leaves for key in loader.graph.forwards_plan(leaf)))


def convergent(operations: Sequence[Operation]) -> Iterator[Convergent]:
    """The convergent operations among them, inside SeparateDatabaseAndState too."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from convergent(operation.database_operations)
        elif isinstance(operation, Convergent):
            yield operation


def steps(
    migration: Migration, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState, ProjectState]]:
    """The migration's operations on the database, each with the state before and after it.

    The state is the caller's, and is left as it is after the migration.
    """
    yield from _walk(migration.operations, migration.app_label, state)


def operation_findings(
    connection: BaseDatabaseWrapper,
    app_label: str,
    operation: Convergent,
    before: ProjectState,
    after: ProjectState,
) -> list[Finding]:
    """The operation's findings; none where routers or the model's options keep this database out."""
    site = operation.locate(app_label, connection, after, before)
    return operation.findings(site) if site else []


def _walk(
    operations: Sequence[Operation], app_label: str, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState, ProjectState]]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _walk(operation.database_operations, app_label, state.clone())
            operation.state_forwards(app_label, state)
            continue
        before = state.clone()
        operation.state_forwards(app_label, state)
        yield operation, before, state
