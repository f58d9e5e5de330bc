"""Walk through migrations with the state before each operation, and yield the faults of those selected."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..contract import Contract
from ..conversion.atomicity import is_of_state_alone
from ..migrate.walk import advance, in_plan_order
from . import code, judging, sql
from . import rules as rule
from .steps import Fault, Release, Step

BROKEN_STATE = (LookupError, ValueError, FieldDoesNotExist)


class Unplayable(Exception):
    """The operations of a migration do not fit the state that those before it leave."""

    def __init__(self, migration: Migration, error: BaseException) -> None:
        super().__init__(
            f"{migration} cannot be replayed on the migrations that it depends on: "
            f"{type(error).__name__}: {error} (add to its dependencies the one that brings this)"
        )


@dataclass(frozen=True, slots=True)
class PlacedFault:
    """A fault, the migration, and the place of the operation in its list."""

    fault: Fault
    migration: Migration
    place: tuple[int, ...]


def walk(
    loader: MigrationLoader,
    selected: Collection[tuple[str, str]],
    connection: BaseDatabaseWrapper,
    *,
    is_one_release: bool,
) -> Iterator[PlacedFault]:
    """Yield the faults of the selected migrations; those of a squash are told where they stood before.

    Raise Unplayable if the operations do not fit together.

    is_one_release: whether the selected migrations are deployed together; otherwise each is taken for a
        release of its own, but the initial ones of an app for one.
    """
    state = ProjectState(real_apps=loader.unmigrated_apps)
    release = Release()
    for key in in_plan_order(loader):
        migration = loader.graph.nodes[key]
        if key in selected and not migration.replaces:
            if not is_one_release:
                own = {each for each in state.models if migration.initial and each[0] == key[0]}
                release = Release(models=own)
            yield from _of_migration(migration, state, release, connection)
            continue
        for operation in migration.operations:
            _advanced(operation, migration, state)


def _of_migration(
    migration: Migration, state: ProjectState, release: Release, connection: BaseDatabaseWrapper
) -> Iterator[PlacedFault]:
    sending = [place for place, each in enumerate(migration.operations) if changes_database(each)]
    last = sending[-1] if sending else -1
    added: frozenset[tuple[str, str]] = frozenset()
    schema: list[tuple[int, ...]] = []
    data: list[Step] = []
    for place, operation in enumerate(migration.operations):
        step = Step(operation, (place,), migration, state, release, connection, place < last, added)
        try:
            for each in within(step):
                for fault in judging.faults_of(each):
                    yield PlacedFault(fault, migration, each.place)
                schema += [each.place] if judging.locks_existing_table(each) else []
                data += [each] if _changes_rows(each.operation) else []
                added |= judging.added_constraint(each.operation)
                _learn(each)
        except BROKEN_STATE as error:
            raise Unplayable(migration, error) from error
        _advanced(operation, migration, state)
    for each in data if migration.atomic else ():
        if any(place != each.place for place in schema):
            yield PlacedFault(each.fault(rule.DATA_IN_SCHEMA_TRANSACTION), migration, each.place)


def within(step: Step) -> Iterator[Step]:
    """Yield the step and, for a SeparateDatabaseAndState, those of its operations on the database."""
    yield step
    if not isinstance(step.operation, migrations.SeparateDatabaseAndState):
        return
    inner = step.state.clone()
    operations = step.operation.database_operations
    for number, operation in enumerate(operations):
        is_followed = step.is_followed or any(map(changes_database, operations[number + 1 :]))
        place = (*step.place, number)
        yield from within(
            replace(step, operation=operation, place=place, state=inner, is_followed=is_followed)
        )
        with suppress(*BROKEN_STATE):  # where the state has been told before
            advance(operation, step.app_label, inner)


def changes_database(operation: Operation) -> bool:
    """Return whether the operation may change something in the database."""
    if isinstance(operation, migrations.RunPython):
        return operation.code is not migrations.RunPython.noop
    if isinstance(operation, migrations.RunSQL):
        return bool(operation.sql)
    return not is_of_state_alone(operation)


def _changes_rows(operation: Any) -> bool:
    if isinstance(operation, migrations.RunSQL):
        return sql.parsed_script(operation).changes_rows()
    return code.changes_rows(operation)


def _learn(step: Step) -> None:
    """Note in the release what the operation makes, renames and takes from the state."""
    operation, release = step.operation, step.release
    match operation:
        case migrations.CreateModel():
            release.models.add(step.key(operation.name))
        case migrations.AddField():
            release.columns.add((step.key(operation.model_name), operation.name))
        case migrations.RenameModel():
            old, new = step.key(operation.old_name), step.key(operation.new_name)
            release.models |= {new} if old in release.models else set()
            release.columns |= {(new, name) for key, name in release.columns if key == old}
        case migrations.RenameField():
            key = step.key(operation.model_name)
            if (key, operation.old_name) in release.columns:
                release.columns.add((key, operation.new_name))
        case Contract() if operation.fills_rows:
            release.filled.add((step.key(operation.model_key), str(getattr(operation, "name", ""))))
        case migrations.RunSQL():
            release.tables |= sql.parsed_script(operation).created()
            _learn_from_state(step, operation.state_operations, has_database=True)
        case migrations.SeparateDatabaseAndState():
            has_database = any(map(changes_database, operation.database_operations))
            _learn_from_state(step, operation.state_operations, has_database=has_database)
    release.removed |= judging.unknown_to_state(step, operation)


def _learn_from_state(step: Step, operations: Sequence[Any], *, has_database: bool) -> None:
    """Note what the state alone is told; a field that the database gets beside it is a new one."""
    for each in operations:
        step.release.removed.update(judging.unknown_to_state(step, each))
        if has_database and isinstance(each, migrations.AddField):
            step.release.columns.add((step.key(each.model_name), each.name))


def _advanced(operation: Operation, migration: Migration, state: ProjectState) -> None:
    try:
        advance(operation, migration.app_label, state)
    except BROKEN_STATE as error:
        raise Unplayable(migration, error) from error
