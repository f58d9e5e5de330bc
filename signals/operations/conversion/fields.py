"""Convert an AlterField into the convergent operations that make its changes, in order."""

import datetime
import decimal
import uuid
from collections.abc import Iterator
from enum import Enum
from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.models import Expression, Value
from django.db.models.functions import Now
from django.utils import timezone

from .. import OPERATIONS
from ..alteration import Alteration, FieldFacts
from ..components.foreign_keys import has_db_constraint
from ..contract import OF_A_KEY
from ..site import AnyField

_MANY_TO_MANY = "it changes the table behind a ManyToManyField"
_COLUMN = "it renames, adds or removes the column"
_NUMBERING = "it adds, changes or removes an identity, a sequence or a generated column"
_GONE = "it removes {} of the column"
_REFERENCE = "it removes a foreign key, or changes its target"
_FUNCTION = "a function computes the value for its NULLs (fill them by BackfillInBatches before)"

# Values that psycopg adapts without being told the type; a list or a dict may be an array or JSON.
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


def is_same_declaration(before: AnyField, after: AnyField) -> bool:
    """Return whether two fields of one name are the same to Django's schema editor."""

    def arguments(field: AnyField) -> Any:
        _, path, args, kwargs = field.deconstruct()
        return (
            path,
            args,
            {name: value for name, value in kwargs.items() if name not in field.non_db_attrs},
        )

    return bool(before.db_column == after.db_column and arguments(before) == arguments(after))


def alter_field(
    operation: migrations.AlterField,
    before: AnyField,
    after: AnyField,
    connection: BaseDatabaseWrapper,
) -> tuple[list[Operation], str]:
    """Return the operations that take the place of an AlterField, or none and the reason.

    The last one takes the arguments of the AlterField. An empty list without a reason means that the
    database has nothing to change.

    before, after: the fields of the models.
    """
    if before.many_to_many or after.many_to_many:
        own = [_has_own_table(field) for field in (before, after)]
        return [], _MANY_TO_MANY if any(own) else ""
    old, new = _facts(before, connection), _facts(after, connection)
    reason = _obstacle(old, new)
    if reason or old == new:
        return [], reason
    is_closed = old.is_null and not new.is_null
    value = _fill_value(operation.field, after, connection) if is_closed else None
    if value is _UNKNOWN:
        return [], _FUNCTION
    return list(_steps(Alteration(operation, before, old, new, value))), ""


def _has_own_table(field: Any) -> bool:
    return not field.many_to_many or bool(field.remote_field.through._meta.auto_created)


def _obstacle(old: FieldFacts, new: FieldFacts) -> str:
    """Return why no convergent operation makes the change, or an empty string."""
    if old.column != new.column or old.column is None:
        return _COLUMN
    if old.is_key != new.is_key:
        return OF_A_KEY
    if old.numbering != new.numbering:
        return _NUMBERING
    if old.reference is not None and old.reference != new.reference:
        return _REFERENCE
    lost = old.parts - new.parts
    return _GONE.format(" and ".join(sorted(lost))) if lost else ""


def _steps(alteration: Alteration) -> Iterator[Operation]:
    """Yield one operation for each change that needs its own, with the state that it leaves."""
    for each in sorted(OPERATIONS, key=lambda each: each.alteration_turn):
        made = each.from_alteration(alteration)
        if made is not None:
            yield made


def _facts(field: AnyField, connection: BaseDatabaseWrapper) -> FieldFacts:
    """Return the properties of a model's field that the database stores; open no connection."""
    kind = field.db_parameters(connection)
    asked: Any = field
    parts = {
        "the uniqueness": field.unique,
        "the index": getattr(field, "db_index", False) and not field.unique,
        "the check": bool(kind["check"]),
    }
    is_reference = has_db_constraint(field)
    remote = asked.target_field if is_reference else None
    return FieldFacts(
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


_UNKNOWN = object()


def _fill_value(declared: AnyField, field: AnyField, connection: BaseDatabaseWrapper) -> Any:
    """Return the value that Django puts in the place of NULL.

    Return None if there is none, and _UNKNOWN if a function would compute it.

    declared: the field of the operation, which has the default. field: that of the model.
    """
    if declared.has_db_default():
        default: Any = declared.db_default
        is_expression = isinstance(default, Expression)
        return default if is_expression else _value(default, field, connection)
    if not declared.has_default():
        return None
    default = declared.default
    if default is timezone.now and field.get_internal_type() == "DateTimeField":
        return Now()
    if callable(default) and default not in _CONSTANT_MAKERS:
        return _UNKNOWN
    return _value(default() if callable(default) else default, field, connection)


def _value(default: Any, field: Any, connection: BaseDatabaseWrapper) -> Value | None:
    """Return the value, with the field if it is what makes of the value what the column gets."""
    if default is None:
        return None
    while field.is_relation:  # a foreign key prepares a value as the field that it refers to
        field = field.target_field
    plain = default.value if isinstance(default, Enum) else default
    try:
        stored = field.get_db_prep_save(default, connection)
    except Exception:  # noqa: BLE001 - what a project's field raises is raised again when it fills
        stored = None
    is_stored = isinstance(plain, _PLAIN) and isinstance(stored, type(plain)) and stored == plain
    return Value(plain) if is_stored else Value(default, output_field=field.clone())
