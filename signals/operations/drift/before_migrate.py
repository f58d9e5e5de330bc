"""Find the drift in the tables that a plan of `migrate` touches, before its first statement."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field

from ..catalog.query import quoted
from ..findings import Status
from ..migrate.walk import state_of_applied
from .history import ModelKey, table_of
from .reading import read_survey
from .records import NothingRecorded
from .rows import Row

_NAMES = ("model_name", "name", "old_name", "new_name")  # the attributes that may name a model


def drift_of(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
) -> tuple[list[Row], list[str]]:
    """Return the rows in which a table that the plan touches has drifted, and why others are not judged.

    What nobody declares is no drift here: an earlier run of the plan may have left it, and the next one
    continues from there. A database without recorded migrations has none.

    Raise Unreadable for an error of the server or of the migrations.
    """
    try:
        found = read_survey(connection)
    except NothingRecorded:
        return [], []
    touched = _touched(connection, plan)
    rows = [row for row in found.rows if row.finding.table in touched]
    unjudged = [row for row in rows if row.finding.status is Status.UNJUDGED]
    drifted = [
        row for row in rows if row.is_wrong() and row.finding.status is not Status.UNDECLARED
    ]
    return drifted, [f"{row.finding.label}: {row.finding.note}" for row in unjudged]


def _touched(connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]) -> set[str]:
    """Return the quoted names of the tables that exist by the recorded migrations and that the plan touches.

    These are the tables of each model that an operation names or refers to, with those of its
    ManyToManyFields. RunSQL and RunPython may touch all tables of their app.
    """
    state = state_of_applied(MigrationLoader(connection))
    keys: set[ModelKey] = set()
    for migration, _ in plan:
        label = migration.app_label
        for operation in _flat(migration.operations):
            if isinstance(operation, RunPython | RunSQL):
                keys |= {key for key in state.models if key[0] == label}
            else:
                keys |= set(_named(operation, label))
    return {
        quoted(name) if '"' not in name else name
        for key in keys & state.models.keys()
        for name in _tables(connection, state, key)
    }


def _flat(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
            yield from _flat(operation.state_operations)
        else:
            yield operation


def _named(operation: Operation, label: str) -> Iterator[ModelKey]:
    """Yield the models that the operation names, and those that its fields refer to."""
    for attribute in _NAMES:
        name = getattr(operation, attribute, None)
        if isinstance(name, str):
            yield label, name.lower()
    fields = [each for _, each in getattr(operation, "fields", ()) if isinstance(each, Field)]
    for field in (*fields, getattr(operation, "field", None)):
        target = getattr(getattr(field, "remote_field", None), "model", None)
        if isinstance(target, str):
            app, _, name = target.rpartition(".")
            yield app or label, name.lower()


def _tables(connection: BaseDatabaseWrapper, state: ProjectState, key: ModelKey) -> Iterator[str]:
    """Yield the names of the tables of a model."""
    yield table_of(state.models[key], connection)
    model: Any = state.apps.get_model(*key)
    for field in model._meta.local_many_to_many:
        yield field.remote_field.through._meta.db_table
