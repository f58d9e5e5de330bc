"""Convert the operations of a migration into convergent ones, as far as there are any."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from django.contrib.postgres import operations as postgres
from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..migrate.walk import advance
from .atomicity import TransactionNeed, is_of_state_alone, transaction_need
from .classes import SENT_AGAIN, stand_in
from .fields import alter_field, is_same_declaration

_PART_STAYS = "one of its operations on the database stays as it is: {}"


@dataclass(frozen=True, slots=True)
class Change:
    """The result of converting one operation.

    operations: those that take its place, the last of them with its arguments; none if those of an earlier
        change do its work.
    reason: why it stays as it is although it changes the database; otherwise empty.
    need: the transaction that the operations are best run in, if it matters.
    parts: the changes within a SeparateDatabaseAndState.
    """

    original: Operation
    operations: tuple[Operation, ...]
    reason: str = ""
    need: TransactionNeed = TransactionNeed.NONE
    parts: "tuple[Change, ...]" = ()

    @property
    def is_kept(self) -> bool:
        """Return whether the operation stays as it is."""
        return self.operations == (self.original,)

    def describe(self) -> str:
        """Return a line that names the operation and says why it stays as it is."""
        return f"{self.original.describe()}: stays as it is, {self.reason}"


def convert(
    operations: Sequence[Operation],
    app_label: str,
    before: ProjectState,
    connection: BaseDatabaseWrapper,
) -> list[Change]:
    """Return the change of each operation, in order; together they leave the same state as the operations.

    The operations themselves are not modified.

    before: the state before the first operation; it is not modified.
    connection: to a PostgreSQL, for the types of fields; it is not opened.
    """
    state, made = before.clone(), []
    for operation in operations:
        after = state.clone()
        advance(operation, app_label, after)
        made.append(_change(operation, app_label, state, after, connection))
        state = after
    made = _with_validations(made, app_label, before)
    made = [_flagged(change, _altered(made[place:])) for place, change in enumerate(made, 1)]
    return list(_with_needs(made, app_label, before.clone()))


def flat(changes: Iterable[Change]) -> list[Operation]:
    """Return the operations that take the place of the originals."""
    return [operation for change in changes for operation in change.operations]


def is_same_state(one: ProjectState, other: ProjectState) -> bool:
    """Return whether two states declare the same models; fields within fields are compared too.

    Functions and classes are the same by their names, because those of a module that was loaded anew are
    other objects.
    """
    deep = MigrationAutodetector(ProjectState(), ProjectState()).deep_deconstruct

    def declarations(state: ProjectState) -> dict[Any, Any]:
        return {
            key: (
                _by_name(deep([model.fields, model.options, list(model.bases)])),
                model.managers,
            )
            for key, model in state.models.items()
        }

    return one == other or declarations(one) == declarations(other)


def _by_name(value: Any) -> Any:
    match value:
        case FunctionType() | type():
            return value.__module__, value.__qualname__
        case dict():
            return {key: _by_name(each) for key, each in value.items()}
        case list() | tuple():
            return [_by_name(each) for each in value]
    return value


def _change(
    operation: Operation,
    app_label: str,
    before: ProjectState,
    after: ProjectState,
    connection: BaseDatabaseWrapper,
) -> Change:
    if isinstance(operation, Convergent) or is_of_state_alone(operation):
        return Change(operation, (operation,))
    if type(operation) is migrations.SeparateDatabaseAndState:
        return _separate(operation, app_label, before, connection)
    if type(operation) is migrations.AlterField:
        return _alter_field(operation, app_label, before, after, connection)
    found = stand_in(operation, before, app_label)
    if isinstance(found, str):
        return Change(operation, (operation,), found)
    return Change(operation, (found,))


def _alter_field(
    operation: migrations.AlterField,
    app_label: str,
    before: ProjectState,
    after: ProjectState,
    connection: BaseDatabaseWrapper,
) -> Change:
    key = (app_label, operation.model_name_lower)
    former: Any = before.models[key].fields[operation.name]
    if is_same_declaration(former, operation.field):  # saves rendering the models, which is slow
        return Change(operation, (operation,))
    old, new = (state.apps.get_model(*key) for state in (before, after))
    fields: list[Any] = [model._meta.get_field(operation.name) for model in (old, new)]
    made, reason = alter_field(operation, fields[0], fields[1], connection)
    return Change(operation, tuple(made) or (operation,), reason)


def _separate(
    operation: migrations.SeparateDatabaseAndState,
    app_label: str,
    before: ProjectState,
    connection: BaseDatabaseWrapper,
) -> Change:
    """Return the change of a SeparateDatabaseAndState, which is converted as a whole or not at all.

    Its author had a reason to separate the database from the state.
    """
    parts = tuple(convert(operation.database_operations, app_label, before, connection))
    reasons = [each.reason for each in parts if each.reason]
    if reasons:
        return Change(operation, (operation,), _PART_STAYS.format(reasons[0]))
    if all(each.is_kept for each in parts):
        return Change(operation, (operation,))
    made = migrations.SeparateDatabaseAndState(flat(parts), list(operation.state_operations))
    return Change(operation, (made,), parts=parts)


def _with_validations(changes: list[Change], app_label: str, before: ProjectState) -> list[Change]:
    """Merge each AddConstraintNotValid and its ValidateConstraint into one AddCheckIfMissing."""
    made = list(changes)
    for place, change in enumerate(changes):
        for former in range(place):
            added: Any = changes[former].original
            if _is_validated(added, change.original):
                whole = migrations.AddConstraint(added.model_name, added.constraint)
                check = stand_in(whole, before, app_label)
                if isinstance(check, str):
                    continue
                made[former] = Change(added, (check,))
                made[place] = Change(change.original, ())
    return made


def _is_validated(added: Any, validation: Any) -> bool:
    if (type(added), type(validation)) != (
        postgres.AddConstraintNotValid,
        postgres.ValidateConstraint,
    ):
        return False
    same_model = added.model_name.lower() == validation.model_name.lower()
    return bool(same_model and added.constraint.name == validation.name)


def _altered(changes: Iterable[Change]) -> set[tuple[str, str]]:
    """Return the lower-cased names of the models and fields that the changes alter in the database."""
    return {
        (operation.model_name_lower, operation.name_lower)
        for change in changes
        for operation in change.operations
        if isinstance(operation, migrations.AlterField)
        and not (change.is_kept and not change.reason and not isinstance(operation, Convergent))
    }


def _flagged(change: Change, altered: Collection[tuple[str, str]]) -> Change:
    """Set altered_later on each operation whose field a later operation alters.

    All of the operations can then be run again on a database that has the later definition.
    """
    made: list[Operation] = []
    known = set(altered)
    for operation in reversed(change.operations):
        if isinstance(operation, Convergent):
            made.append(operation.knowing_altered(known))
        else:
            made.append(operation)
        if isinstance(operation, migrations.AlterField):
            known.add((operation.model_name_lower, operation.name_lower))
    operations = tuple(reversed(made))
    return Change(change.original, operations, change.reason, parts=change.parts)


def _with_needs(changes: Sequence[Change], app_label: str, state: ProjectState) -> Iterator[Change]:
    """Yield each change with the transaction that it needs."""
    new = _new_models(changes)
    for change in changes:
        needs = set()
        sends = not change.is_kept or change.reason or isinstance(change.original, Convergent)
        for operation in change.operations:
            if sends and change.reason != SENT_AGAIN:
                needs.add(transaction_need(operation, app_label, state, new))
            advance(operation, app_label, state)
        made = next(
            (
                each
                for each in (TransactionNeed.AUTOCOMMIT, TransactionNeed.ATOMIC)
                if each in needs
            ),
            TransactionNeed.NONE,
        )
        yield Change(change.original, change.operations, change.reason, made, change.parts)


def _new_models(changes: Iterable[Change]) -> frozenset[str]:
    tables = (each for each in flat(changes) if isinstance(each, migrations.CreateModel))
    return frozenset(table.name_lower for table in tables)
