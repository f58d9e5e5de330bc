"""Values for rows of any model, which are the same each time."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib.postgres.fields import ArrayField, DateRangeField, IntegerRangeField
from django.db import models

_DAY = dt.date(2026, 1, 1)

# By class, the first that fits; texts are digits, so that they can become numbers.
_VALUES: list[tuple[type[Any], Callable[[int], Any]]] = [
    (models.BooleanField, lambda number: number % 2 == 1),
    (models.DecimalField, lambda number: decimal.Decimal(number) / 4),
    (models.FloatField, lambda number: number / 4),
    (models.IntegerField, lambda number: number),
    (models.DateTimeField, lambda number: dt.datetime(2026, 1, 1, number % 24, tzinfo=dt.UTC)),
    (models.DateField, lambda number: _DAY + dt.timedelta(number)),
    (models.TimeField, lambda number: dt.time(number % 24)),
    (models.DurationField, dt.timedelta),
    (models.JSONField, lambda number: {"a": number}),
    (models.UUIDField, lambda number: uuid.UUID(int=number)),
    (models.GenericIPAddressField, lambda number: f"10.0.0.{number % 256}"),
    (models.BinaryField, lambda number: bytes([number % 256])),
    (IntegerRangeField, lambda number: (number, number + 1)),
    (DateRangeField, lambda number: (_DAY, _DAY + dt.timedelta(number))),
]


def value_of(field: Any, number: int) -> Any:
    """Return a value for the field, another one for each number."""
    if field.choices:
        return field.flatchoices[number % len(field.flatchoices)][0]
    if isinstance(field, ArrayField):
        return [value_of(field.base_field, each) for each in (number, number + 1)]
    made = (value for kind, value in _VALUES if isinstance(field, kind))
    return next(made, str)(number)


def row_of(model: Any, alias: str, count: int, number: int) -> dict[str, Any] | None:
    """Return the values of the model's next row, or None if it refers to a row that is not there.

    Every third row is NULL where it may be, and every other one has the defaults.

    count: the rows that the table has. number: of the migration.
    """
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        has_default = field.has_default() or field.has_db_default()
        if field.generated or isinstance(field, models.AutoField):
            continue
        if field.remote_field:
            targets = field.related_model._base_manager.using(alias).order_by("pk")
            known = list(targets.values_list(field.target_field.attname, flat=True))
            if count < len(known):
                values[field.attname] = known[count]
            elif not field.null:
                return None
        elif field.null and count % 3 == 1:
            values[field.attname] = None
        elif not (has_default and count % 2) or field.unique:
            values[field.attname] = value_of(field, 10 * number + count + 1)
    return values
