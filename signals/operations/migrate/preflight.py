"""Read the catalog for several operations of a plan at once, and check the plan before its first change."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations import (
    AddField,
    AddIndex,
    AlterField,
    CreateModel,
    RemoveField,
    RemoveIndex,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..components.columns import type_of
from ..components.snapshots import read_all
from ..convergence import require_no_stop
from ..errors import ConvergenceError
from ..execution.run import ANSWERS_LAST, run_of
from ..execution.waiting import retry_without_timeouts
from ..findings import Finding
from ..site import Site
from .planned_changes import PlannedChanges
from .table_names import IndexNames
from .walk import convergent, in_database, state_of_applied, steps

_PLAIN = Convergent.database_forwards

_OF_A_LOOK_AHEAD = 60.0  # seconds for which its answers are used at most


def remember(
    *, using: str, plan: Sequence[tuple[Migration, bool]], verbosity: int = 1, **_unused: Any
) -> None:
    """Handle pre_migrate: begin the run of a plan.

    Read nothing yet, so that a run that only records migrations (--fake) reads nothing at all.
    """
    run_of(connections[using]).begin(MigratePlan(connections[using], plan), verbosity)


def forget(*, using: str, **_unused: Any) -> None:
    """Handle post_migrate: end the run of the plan."""
    run_of(connections[using]).end()


class MigratePlan:
    """The plan of a run of `migrate` on a connection."""

    def __init__(
        self, connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
    ) -> None:
        self._connection = connection
        self._forwards = [migration for migration, backwards in plan if not backwards]
        # A migration keeps its operations alive, and so their ids.
        self._migrations = {
            id(operation): migration
            for migration, _ in plan
            for operation in convergent(migration.operations)
        }
        self._knowing: dict[int, Any] = {}
        self._of_apps: dict[str, list[Operation]] = defaultdict(list)
        self._places: dict[int, int] = {}
        for migration in self._forwards:
            operations = self._of_apps[migration.app_label]
            for operation in in_database(migration.operations):
                self._places[id(operation)] = len(operations)
                operations.append(operation)

    def knowing(self, operation: Any) -> Any:
        """Return the operation, or a copy with `altered_later` set if its migration alters its field later.

        A migration that died after it altered the field begins again with the operation.
        """
        own = self._migrations.get(id(operation))
        if own is None or operation.altered_later is None:
            return operation
        known = self._knowing.get(id(operation))
        if known is None:
            known = operation.knowing_altered(altered_after(operation, own.operations))
            self._knowing[id(operation)] = known
            self._migrations[id(known)] = own
            if id(operation) in self._places:  # a part of another class's operation has no place
                self._places[id(known)] = self._places[id(operation)]
        return known

    def migration_of(self, operation: Any) -> str:
        """Return the label of the operation's migration; empty if the operation is not in the plan."""
        migration = self._migrations.get(id(operation))
        return f"{migration.app_label}.{migration.name}" if migration else ""

    def declares_again(self, operation: Any) -> bool:
        """Return whether the plan declares later what has the name of what the operation removes."""
        return any(_declares_again(each, operation) for each in self._around(operation)[1])

    def creates_model_of(self, operation: Any) -> bool:
        """Return whether the plan creates the model before the operation, maybe under another name."""
        created: set[str] = set()
        for each in self._around(operation)[0]:
            if isinstance(each, CreateModel):
                created.add(each.name_lower)
            elif isinstance(each, RenameModel) and each.old_name_lower in created:
                created.add(each.new_name_lower)
        is_renaming = isinstance(operation, RenameModel)
        return (operation.old_name_lower if is_renaming else operation.model_key) in created

    def makes_not_null(self, operation: Any) -> bool:
        """Return whether the plan makes the operation's field NOT NULL later."""
        key = (operation.model_key, operation.name.lower())
        return any(
            isinstance(each, AlterField)
            and (each.model_name_lower, each.name_lower) == key
            and not each.field.null
            for each in self._around(operation)[1]
        )

    def _around(self, operation: Any) -> tuple[list[Operation], list[Operation]]:
        """Return the operations of the operation's app in the plan before it, and those after it."""
        migration, place = self._migrations.get(id(operation)), self._places.get(id(operation))
        operations = self._of_apps[migration.app_label] if migration else []
        place = len(operations) if place is None else place
        return operations[:place], operations[place + 1 :]

    def read_ahead(self, operation: Any, before: ProjectState) -> None:
        """Read the catalog for the operation and the convergent ones right after it, in a few round trips.

        Do so once for each unbroken row of such operations. An operation in no such row reads by itself,
        because others may change the database before it.
        """
        answers = run_of(self._connection).answers
        migration = self._migrations.get(id(operation))
        row = _row_of(operation, migration.operations) if migration else []
        if row[:1] != [operation]:
            if not any(each is operation for each in row):
                answers.forget()
            return
        if len(row) == 1 or migration is None:
            answers.begin()
            return
        located = _foreseeable(self._connection, before.clone(), [(migration, row)], self.knowing)
        _read_at_once(self._connection, ((each.operation, each.site) for each in located))

    def look_ahead(self, operation: Any, before: ProjectState) -> None:
        """Raise DifferentDefinition for the first component that would stop the run later on."""

        def look() -> None:
            state, rest = self._rest(operation, before)
            _require_no_stops(self._connection, state, rest, self.knowing)

        retry_without_timeouts(self._connection, look)

    def _rest(
        self, operation: Any, before: ProjectState
    ) -> tuple[ProjectState, list[tuple[Migration, Sequence[Operation]]]]:
        """Return the rest of the plan, beginning with the operation, and the state before the operation."""
        for number, migration in enumerate(self._forwards):
            for place, each in enumerate(migration.operations):
                if _begins_with(each, operation):
                    later = [(other, other.operations) for other in self._forwards[number + 1 :]]
                    rest = (migration, migration.operations[place:])
                    return before.clone(), [rest, *later]
        # The operation is a part of another one, whose state is not that of the plan.
        loader = MigrationLoader(self._connection)
        applied = loader.applied_migrations
        return state_of_applied(loader), [
            (each, each.operations)
            for each in self._forwards
            if (each.app_label, each.name) not in applied
        ]


def altered_after(operation: Operation, operations: Sequence[Operation]) -> set[tuple[str, str]]:
    """Return the lower-cased names of the models and fields that the operations behind this one alter."""
    found: set[tuple[str, str]] = set()
    for each in reversed(list(in_database(operations))):
        if each is operation:
            return found
        if isinstance(each, AlterField):
            found.add((each.model_name_lower, each.name_lower))
    return set()


def _row_of(operation: Operation, operations: Sequence[Operation]) -> list[Operation]:
    """Return the unbroken row of convergent operations that the operation is in; empty if it is in none.

    An operation that does more on the database than these do is in no row.
    """
    row: list[Operation] = []
    for each in [*operations, None]:
        if isinstance(each, Convergent) and type(each).database_forwards is _PLAIN:
            row.append(each)
            continue
        if any(other is operation for other in row):
            return row
        row = []
        if isinstance(each, SeparateDatabaseAndState):
            inner = _row_of(operation, each.database_operations)
            if inner:
                return inner
    return []


def _declares_again(later: Operation, removal: Any) -> bool:
    """Return whether the operation adds an index or a field of the name of the one that is removed."""
    if isinstance(later, AddIndex) and isinstance(removal, RemoveIndex):
        return bool(later.index.name == removal.name)
    if isinstance(later, AddField) and isinstance(removal, RemoveField):
        names = (later.model_name_lower, later.name_lower)
        return names == (removal.model_name_lower, removal.name_lower)
    return False


def _begins_with(operation: Operation, first: Operation) -> bool:
    """Return whether the operation is `first`, or a SeparateDatabaseAndState that begins with it."""
    if isinstance(operation, SeparateDatabaseAndState):
        return any(_begins_with(each, first) for each in operation.database_operations[:1])
    return operation is first


def _require_no_stops(
    connection: BaseDatabaseWrapper,
    state: ProjectState,
    rest: Sequence[tuple[Migration, Sequence[Operation]]],
    knowing: Callable[[Any], Any],
) -> None:
    """Raise DifferentDefinition for the first component at which the rest of the plan would stop.

    Leave out columns of a type that the plan creates, and components that an earlier operation of the plan
    changes.
    """
    planned = list(_foreseeable(connection, state, rest, knowing))
    _read_at_once(connection, ((each.operation, each.site) for each in planned), _OF_A_LOOK_AHEAD)
    changes = PlannedChanges()
    for step in planned:
        operation = step.operation
        label = f"{step.migration.app_label}.{step.migration.name}"
        require_no_stop(operation, step.names.in_the_way(operation, step.site), label)
        for finding in _findings_by_then(step, changes):
            if not changes.takes_in(finding):
                require_no_stop(operation, [finding], label)
            if not finding.status.is_right:
                changes.take_changing(connection, finding)
                changes.new_types |= {finding.name} if operation.makes_type else set()


@dataclass(frozen=True, slots=True)
class _Step:
    """A convergent operation of a plan.

    names: the index names that the steps of the app before it leave.
    is_opaque: whether an operation that is not convergent comes before it in its app, whose effect on what
        it finds is unknown.
    """

    migration: Migration
    operation: Convergent
    site: Site
    names: IndexNames
    is_opaque: bool


def _foreseeable(
    connection: BaseDatabaseWrapper,
    state: ProjectState,
    rest: Sequence[tuple[Migration, Sequence[Operation]]],
    knowing: Callable[[Any], Any],
) -> Iterator[_Step]:
    """Yield the convergent operations of the plan, as far as they can be judged by now.

    knowing: gives an operation as it runs in its migration.

    Of each app those are the operations up to the first one that is not convergent, and the later ones that
    create tables, for their names alone.
    """
    opaque: set[str] = set()
    names = defaultdict[str, IndexNames](IndexNames)
    for migration, operations in rest:
        label = migration.app_label
        for walked in steps(operations, label, state):
            operation, before, after = walked
            if not isinstance(operation, Convergent):
                opaque.add(label)
                names[label].take_stock(connection, label, walked)
                continue
            if label in opaque and not isinstance(operation, CreateModel):
                names[label].pass_over(operation)
                continue
            site = operation.locate(label, connection, after, before)
            if site is not None:
                known = deepcopy(names[label])
                yield _Step(migration, knowing(operation), site, known, label in opaque)
                names[label].take(operation, site)
                if isinstance(operation, RenameModel):
                    names[label].take_stock(connection, label, walked)


def _findings_by_then(step: _Step, changes: PlannedChanges) -> list[Finding]:
    """Return the operation's findings; none if a field of it has a type that the plan creates.

    Columns that the plan will add count as existing.
    """
    operation, site = step.operation, step.site
    if step.is_opaque or _uses(operation, site, changes.new_types):
        return []
    table = site.table if site.db_table else ""  # an enum has none
    return operation.findings(replace(site, coming=changes.columns_to_come(table)))


def _read_at_once(
    connection: BaseDatabaseWrapper,
    located: Iterable[tuple[Convergent, Site]],
    lasting: float = ANSWERS_LAST,
) -> None:
    """Read the catalog for the operations in a few round trips, and keep the answers for so many seconds."""
    answers = run_of(connection).answers
    answers.begin(lasting)
    try:
        targets = [each for operation, site in located for each in operation.targets(site)]
        read_all(connection, [(each, site) for each, site in targets if each.reads_table])
    except (ConvergenceError, DatabaseError):
        # The operation in question will raise the error itself, unless one before it removes the cause.
        answers.forget()
        if connection.needs_rollback:
            raise


def _uses(operation: Convergent, site: Site, types: set[str]) -> bool:
    """Return whether a field of the operation has one of the types, or is an array of it."""
    names = (type_of(site, field) for field in operation.declared(site)) if types else ()
    return any(name.removesuffix("[]").strip('"') in types for name in names)
