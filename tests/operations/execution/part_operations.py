"""Operations that add a column, a check, an index and a uniqueness to the table part."""

from typing import Any

from django.db import models

from signals import operations


def add_column() -> Any:
    return operations.AddColumnIfMissing("part", "state", models.TextField(db_default="new"))


def add_check(least: int = 0) -> Any:
    condition = models.Q(amount__gte=least)
    return operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )


def add_index(*expressions: Any) -> Any:
    """Return an operation that builds an index on the expressions; without one, on the column label."""
    fields = [] if expressions else ["label"]
    return operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(*expressions, fields=fields, name="wanted")
    )


def add_unique() -> Any:
    return operations.AddUniqueIfMissing(
        "part", models.UniqueConstraint(fields=["label"], name="wanted")
    )
