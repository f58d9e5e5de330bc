"""Walk through migrations and their operations in order, with the state before and after each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RenameField, RunSQL, SeparateDatabaseAndState
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


def state_at(
    loader: MigrationLoader, keys: Sequence[tuple[str, str]], *, at_end: bool = True
) -> ProjectState:
    """Return the state after the migrations and all that they need; at_end=False leaves out themselves."""
    plan = dict.fromkeys(each for key in keys for each in loader.graph.forwards_plan(key))
    return _state_after(loader, [key for key in plan if at_end or key not in keys])


def state_of_applied(loader: MigrationLoader) -> ProjectState:
    """Return the state after the applied migrations."""
    applied = loader.applied_migrations
    return _state_after(loader, [key for key in in_plan_order(loader) if key in applied])


def _state_after(loader: MigrationLoader, keys: Iterable[tuple[str, str]]) -> ProjectState:
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for key in keys:
        for operation in loader.graph.nodes[key].operations:
            advance(operation, key[0], state)
    return state


def advance(operation: Operation, app_label: str, state: ProjectState) -> None:
    """Apply the operation to the state, and change no field of another state or of an operation.

    Django renames a field by writing into the fields that refer to it. States share these with their
    clones, and with the operations that declare them.
    """
    if isinstance(operation, SeparateDatabaseAndState | RunSQL):
        for each in operation.state_operations:
            advance(each, app_label, state)
        return
    if isinstance(operation, RenameField):
        for model in state.models.values():
            model.fields = {name: field.clone() for name, field in model.fields.items()}
    operation.state_forwards(app_label, state)


def in_database(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield the operations that may send statements, also those within SeparateDatabaseAndState.

    An operation of a class derived from that may send more than its parts do, so it is yielded itself.
    """
    for operation in operations:
        if type(operation) is SeparateDatabaseAndState:
            yield from in_database(operation.database_operations)
        else:
            yield operation


def database_operations(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield the operations, in the place of each SeparateDatabaseAndState those for the database."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from database_operations(operation.database_operations)
        else:
            yield operation


def convergent(operations: Iterable[Operation]) -> Iterator[Convergent]:
    """Yield the convergent operations, also those inside SeparateDatabaseAndState."""
    return (each for each in database_operations(operations) if isinstance(each, Convergent))


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
            advance(operation, app_label, state)
            continue
        before = state.clone()
        advance(operation, app_label, state)
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
