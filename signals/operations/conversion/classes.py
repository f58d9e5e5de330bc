"""Which convergent operation stands in for which of Django's, and why none does for the others."""

from collections.abc import Callable
from typing import Any

from django.contrib.postgres import operations as postgres
from django.contrib.postgres.operations import CreateExtension
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import AlterOrderWithRespectTo
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, UniqueConstraint

from ..add_check import AddCheckIfMissing
from ..add_column import AddColumnIfMissing
from ..add_unique import AddUniqueIfMissing
from ..create_index import CreateIndexConcurrentlyIfMissing
from ..create_table import CreateTableIfMissing
from ..drop_index import DropIndexConcurrentlyIfPresent
from ..remove_check import RemoveCheckIfPresent
from ..remove_column import RemoveColumnIfPresent
from ..remove_unique import RemoveUniqueIfPresent
from .fields import SENT_AGAIN

_NAME = "by its names alone a database does not tell whether it is done"
_STAYS: dict[type[Operation], str] = {
    migrations.RenameModel: _NAME,
    migrations.RenameField: _NAME,
    migrations.RenameIndex: _NAME,
    migrations.AlterModelTable: _NAME,
    migrations.AlterUniqueTogether: "declare a UniqueConstraint instead, for AddUniqueIfMissing",
    migrations.AlterIndexTogether: "declare an Index instead, for CreateIndexConcurrentlyIfMissing",
    AlterOrderWithRespectTo: "no field declares its column",
    migrations.AlterModelTableComment: SENT_AGAIN,
    migrations.DeleteModel: "nothing tells whether a table of that name, with its rows, is the declared one",
    migrations.RunPython: "nobody knows what it does (BackfillInBatches fills a column)",
    migrations.RunSQL: "nobody knows what it does",
    postgres.AddConstraintNotValid: "its check is to stay NOT VALID (AddCheckIfMissing validates it too)",
    postgres.ValidateConstraint: SENT_AGAIN,
}
_UNKNOWN = "no convergent operation stands in for it"
_NO_KIND = "only checks and uniquenesses have a convergent operation"
_KEY = "it makes or undoes a primary key"


def stand_in(operation: Operation, before: ProjectState, app_label: str) -> Operation | str:
    """The convergent operation in its place, or why there is none; AlterField is that of fields.py."""
    if isinstance(operation, CreateExtension):
        return SENT_AGAIN
    maker = _MAKERS.get(type(operation))
    if maker is None:
        return _STAYS.get(type(operation), _UNKNOWN)
    try:
        return maker(operation, before.models, app_label)
    except ValueError as error:  # a name that PostgreSQL would cut off
        return str(error)


def _create_model(operation: Any, *_: Any) -> Operation:
    bases, managers = operation.bases, operation.managers
    return CreateTableIfMissing(
        operation.name, operation.fields, dict(operation.options), bases, managers
    )


def _add_field(operation: Any, *_: Any) -> Operation | str:
    if operation.field.primary_key:
        return _KEY
    return AddColumnIfMissing(
        operation.model_name, operation.name, operation.field, operation.preserve_default
    )


def _add_index(operation: Any, *_: Any) -> Operation:
    return CreateIndexConcurrentlyIfMissing(operation.model_name, operation.index)


def _add_constraint(operation: Any, *_: Any) -> Operation | str:
    stand_ins: dict[Any, Any] = {
        CheckConstraint: AddCheckIfMissing,
        UniqueConstraint: AddUniqueIfMissing,
    }
    stand_in = stand_ins.get(type(operation.constraint))
    return stand_in(operation.model_name, operation.constraint) if stand_in else _NO_KIND


def _remove_field(operation: Any, models: Any, app_label: str) -> Operation | str:
    field = models[app_label, operation.model_name_lower].fields[operation.name]
    return (
        _KEY if field.primary_key else RemoveColumnIfPresent(operation.model_name, operation.name)
    )


def _remove_index(operation: Any, *_: Any) -> Operation:
    return DropIndexConcurrentlyIfPresent(operation.model_name, operation.name)


def _remove_constraint(operation: Any, models: Any, app_label: str) -> Operation | str:
    model = models[app_label, operation.model_name_lower]
    stand_ins: dict[Any, Any] = {
        CheckConstraint: RemoveCheckIfPresent,
        UniqueConstraint: RemoveUniqueIfPresent,
    }
    stand_in = stand_ins.get(type(model.get_constraint_by_name(operation.name)))
    return stand_in(operation.model_name, operation.name) if stand_in else _NO_KIND


# By the very class: a subclass of somebody else's does something else.
_MAKERS: dict[type[Operation], Callable[..., Operation | str]] = {
    migrations.CreateModel: _create_model,
    migrations.AddField: _add_field,
    migrations.AddIndex: _add_index,
    postgres.AddIndexConcurrently: _add_index,
    migrations.AddConstraint: _add_constraint,
    migrations.RemoveField: _remove_field,
    migrations.RemoveIndex: _remove_index,
    postgres.RemoveIndexConcurrently: _remove_index,
    migrations.RemoveConstraint: _remove_constraint,
}
