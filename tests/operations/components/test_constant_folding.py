"""When two expressions fold to the same constant, and when a cast makes another one of them."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value

from signals import operations
from tests.operations import scratch_schema
from tests.operations.components.assertions import assert_different, assert_unchanged
from tests.operations.scratch_schema import (
    PART_TABLE,
    Json,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


@pytest.mark.parametrize(
    ("field", "sql"),
    [
        (
            models.TextField(null=True, db_default="candidate"),
            "text DEFAULT 'candidate'::varchar(4)",
        ),
        (models.TextField(null=True, db_default="7.0"), "text DEFAULT 7.0::numeric(3,2)"),
        (models.TextField(null=True, db_default="ab  "), "text DEFAULT 'ab  '::char(4)"),
        (
            models.DecimalField(
                max_digits=6, decimal_places=2, null=True, db_default=Decimal("1.5")
            ),
            "numeric(6,2) DEFAULT (1.5)::integer",
        ),
    ],
    ids=["cut", "more digits", "blanks", "rounded"],
)
def test_a_default_that_a_cast_changes_is_another(field: Any, sql: str) -> None:
    recreate(PART_TABLE, f"ALTER TABLE part ADD COLUMN c {sql}")
    assert_different(operations.AddColumnIfMissing("part", "c", field), project_state(part_model()))


@pytest.mark.parametrize(
    ("field", "sql"),
    [
        (
            ArrayField(models.TextField(), null=True, db_default=["a", "b"]),
            "text[] DEFAULT ARRAY['a', 'b']",
        ),
        (models.IntegerField(null=True, db_default=5), "integer DEFAULT 5 + 0"),
        (models.BooleanField(null=True, db_default=True), "boolean DEFAULT (1 = 1)"),
    ],
    ids=["array", "sum", "boolean"],
)
def test_a_default_that_folds_to_the_declared_one_is_the_same(field: Any, sql: str) -> None:
    recreate(PART_TABLE, f"ALTER TABLE part ADD COLUMN c {sql}")
    assert_unchanged(operations.AddColumnIfMissing("part", "c", field), project_state(part_model()))


def test_expressions_are_folded_where_the_server_counts_queries_too() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 1 + 1)")
    start = facts()
    scratch_schema.execute("SET compute_query_id = on")
    check = models.CheckConstraint(condition=Q(amount__gt=2), name="wanted")
    forwards(operations.AddCheckIfMissing("part", check), STATE)
    assert facts() == start


@pytest.mark.parametrize(
    ("column", "field"),
    [
        (
            "extra varchar(2); ALTER TABLE part ALTER extra SET DEFAULT 'abc'",
            models.CharField(max_length=2, null=True, db_default="ab"),
        ),
        (
            "extra jsonb DEFAULT '0.10000000000000000001'",
            models.JSONField(null=True, db_default=Value(0.1, models.JSONField())),
        ),
        (
            """extra json DEFAULT '{"b": 1, "a": 2}'""",
            Json(null=True, db_default=Value({"a": 2, "b": 1}, Json())),
        ),
    ],
)
def test_a_default_that_only_looks_the_same_is_another(column: str, field: Any) -> None:
    recreate(PART_TABLE, f"ALTER TABLE part ADD {column}")
    with pytest.raises(operations.DifferentDefinition):
        forwards(operations.AddColumnIfMissing("part", "extra", field), STATE)
