"""Walk through migrations and their operations in order, with the state before and after each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..findings import Finding


class LoaderOfRecorded(MigrationLoader):
    """A migration loader that is given the applied migrations and queries no database."""

    def __init__(self, applied: Iterable[tuple[str, str]]) -> None:
        self._applied = dict.fromkeys(applied)
        super().__init__(None)

    @property
    def applied_migrations(self) -> dict[tuple[str, str], Any]:
        return self._applied

    @applied_migrations.setter
    def applied_migrations(self, value: object) -> None:
        """Ignore the assignment: `build_graph` sets {} if the loader has no connection."""


def in_plan_order(loader: MigrationLoader) -> list[tuple[str, str]]:
    """Return the keys of all migrations in the order in which `migrate` applies them to an empty database."""
    leaves = loader.graph.leaf_nodes()
    return list(dict.fromkeys(key for leaf in leaves for key in loader.graph.forwards_plan(leaf)))


def convergent(operations: Sequence[Operation]) -> Iterator[Convergent]:
    """Yield the convergent operations, also those inside SeparateDatabaseAndState."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from convergent(operation.database_operations)
        elif isinstance(operation, Convergent):
            yield operation


def steps(
    operations: Sequence[Operation], app_label: str, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState, ProjectState]]:
    """Yield each operation that works on the database, with the state before and after it.

    The state after it is changed in place by the next step, so clone it to keep it. In the end `state` is
    the state after the operations.
    """
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from steps(operation.database_operations, app_label, state.clone())
            operation.state_forwards(app_label, state)
            continue
        before = state.clone()
        operation.state_forwards(app_label, state)
        yield operation, before, state


def operation_findings(
    connection: BaseDatabaseWrapper,
    app_label: str,
    operation: Convergent,
    before: ProjectState,
    after: ProjectState,
) -> list[Finding]:
    """Return the operation's findings; none if the routers or the model's options exclude this database."""
    site = operation.locate(app_label, connection, after, before)
    return operation.findings(site) if site else []
