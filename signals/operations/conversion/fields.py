"""What becomes of an altered field: the convergent operations that make its changes, in their order."""

import datetime
import decimal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.models import Expression, Value
from django.db.models.functions import Now
from django.utils import timezone

from ..add_foreign_key import AddForeignKeyIfMissing
from ..alter_column_type import AlterColumnTypeIfDifferent
from ..backfill import BackfillInBatches
from ..components.foreign_keys import has_db_constraint
from ..set_not_null import SetNotNullIfNullable
from ..site import AnyField

SENT_AGAIN = "it is one short statement, which may be sent again"
_MANY_TO_MANY = "it changes the table behind a ManyToManyField"
_COLUMN = "it gives the column another name, or makes or undoes one"
_KEY = "it makes or undoes a primary key"
_NUMBERING = "it makes or undoes a numbering or a generated column"
_GONE = "it undoes {} of the column"
_REFERENCE = "it undoes a foreign key, or leads it elsewhere"
_FUNCTION = "a function makes the value of its NULLs (fill them by BackfillInBatches before)"

# What PostgreSQL's driver takes without being told the type; a list or a dict may be an array or JSON.
_PLAIN = (
    bool,
    int,
    float,
    str,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
)
_CONSTANT_MAKERS = (bool, int, float, str, list, dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a field the database has, as Django declares it."""

    column: str | None
    kind: tuple[str | None, str | None]  # type and collation
    default: Any
    is_null: bool
    is_key: bool
    numbering: tuple[Any, ...]
    reference: tuple[str, str] | None
    parts: frozenset[str]  # uniqueness, index, check
    comment: str | None

    @classmethod
    def of(cls, field: AnyField, connection: BaseDatabaseWrapper) -> "Facts":
        """Those of a model's field; opens no connection."""
        kind = field.db_parameters(connection)
        asked: Any = field
        parts = {
            "the uniqueness": field.unique,
            "the index": getattr(field, "db_index", False) and not field.unique,
            "the check": bool(field.db_check(connection)),
        }
        is_reference = has_db_constraint(field)
        remote = asked.target_field if is_reference else None
        return cls(
            column=field.column,
            kind=(kind["type"], kind.get("collation")),
            default=asked._db_default_expression if field.has_db_default() else None,
            is_null=field.null,
            is_key=field.primary_key,
            numbering=(
                bool(field.db_type_suffix(connection)),
                (asked.expression, asked.db_persist) if field.generated else None,
            ),
            reference=(remote.model._meta.db_table, remote.column) if remote else None,
            parts=frozenset(name for name, has in parts.items() if has),
            comment=field.db_comment,
        )


def is_same_declaration(before: AnyField, after: AnyField) -> bool:
    """Whether the fields, of one name, differ in nothing that Django's schema editor looks at."""

    def told(field: AnyField) -> Any:
        _, path, args, kwargs = field.deconstruct()
        return (
            path,
            args,
            {name: value for name, value in kwargs.items() if name not in field.non_db_attrs},
        )

    return bool(before.db_column == after.db_column and told(before) == told(after))


def alter_field(
    operation: migrations.AlterField,
    before: AnyField,
    after: AnyField,
    connection: BaseDatabaseWrapper,
) -> tuple[list[Operation], str]:
    """The operations in its place, or none and why there are none; the last one takes its arguments.

    An empty list without a reason: the database has nothing to change. before, after: of the models.
    """
    if before.many_to_many or after.many_to_many:
        own = [_has_own_table(field) for field in (before, after)]
        return [], _MANY_TO_MANY if any(own) else ""
    old, new = Facts.of(before, connection), Facts.of(after, connection)
    reason = _obstacle(old, new)
    if reason or old == new:
        return [], reason
    if replace(old, comment=new.comment) == new:
        return [], SENT_AGAIN
    value = _filling(operation.field) if old.is_null and not new.is_null else None
    if value is _UNKNOWN:
        return [], _FUNCTION
    return list(_steps(operation, before, old, new, value)), ""


def _has_own_table(field: Any) -> bool:
    return not field.many_to_many or bool(field.remote_field.through._meta.auto_created)


def _obstacle(old: Facts, new: Facts) -> str:
    """Why no convergent operation makes the change; empty where some do."""
    if old.column != new.column or old.column is None:
        return _COLUMN
    if old.is_key != new.is_key:
        return _KEY
    if old.numbering != new.numbering:
        return _NUMBERING
    if old.reference is not None and old.reference != new.reference:
        return _REFERENCE
    lost = old.parts - new.parts
    return _GONE.format(" and ".join(sorted(lost))) if lost else ""


def _steps(
    operation: migrations.AlterField, before: AnyField, old: Facts, new: Facts, value: Any
) -> Iterator[Operation]:
    """One operation for each change that needs one of its own, with the state that it leaves."""

    def make(kind: Any, is_last: bool, **changes: Any) -> Operation:
        field = operation.field if is_last else _altered(operation.field, **changes)
        made: Operation = kind(
            operation.model_name, operation.name, field, operation.preserve_default
        )
        return made

    closes = old.is_null and not new.is_null
    refers = new.reference is not None and old.reference is None
    retypes = (old.kind, old.default) != (new.kind, new.default) or new.is_null > old.is_null
    retypes = retypes or (old.parts != new.parts and not refers)
    if old.comment != new.comment:
        commented = _altered(before, db_comment=new.comment)
        yield migrations.AlterField(operation.model_name, operation.name, commented)
    still_null = {"null": True} if closes else {}
    if retypes:
        without = {"db_constraint": False} if refers else {}
        is_last = not (refers or closes)
        yield make(AlterColumnTypeIfDifferent, is_last, **still_null, **without)
    if refers:
        yield make(AddForeignKeyIfMissing, not closes, **still_null)
    if closes:
        if value is not None:
            yield BackfillInBatches(operation.model_name, operation.name, value)
        yield make(SetNotNullIfNullable, True)


def _altered(field: AnyField, **changes: Any) -> AnyField:
    copied = field.clone()
    for name, value in changes.items():
        setattr(copied, name, value)
    return copied


_UNKNOWN = object()


def _filling(field: AnyField) -> Any:
    """What Django puts in the place of NULL; None for nothing, _UNKNOWN where a function decides."""
    if field.has_db_default():
        default: Any = field.db_default
        return default if isinstance(default, Expression) else _value(default, field)
    if not field.has_default():
        return None
    default = field.default
    if default is timezone.now:
        return Now()
    if callable(default) and default not in _CONSTANT_MAKERS:
        return _UNKNOWN
    return _value(default() if callable(default) else default, field)


def _value(default: Any, field: AnyField) -> Value | None:
    if default is None:
        return None
    plain = default.value if isinstance(default, Enum) else default
    return Value(plain) if isinstance(plain, _PLAIN) else Value(plain, output_field=field.clone())
