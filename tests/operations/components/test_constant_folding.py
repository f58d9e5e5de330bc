"""When two expressions fold to the same constant, and when a cast makes another one of them."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Func, Q, Value, When
from django.db.models.functions import Collate, JSONObject
from django.db.models.lookups import In

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
        (
            models.JSONField(null=True, db_default=JSONObject(a=Value(1))),
            "jsonb DEFAULT jsonb_build_object('a'::text, 2)",
        ),
    ],
    ids=["cut", "more digits", "blanks", "rounded", "json of an older server"],
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
        (
            models.JSONField(null=True, db_default=JSONObject(a=Value(1))),
            "jsonb DEFAULT jsonb_build_object('a'::text, 1)",
        ),
    ],
    ids=["array", "sum", "boolean", "json of an older server"],
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


CODE = "ALTER TABLE part ADD COLUMN code varchar(9)"
CODED = project_state(part_model(("code", models.CharField(max_length=9, null=True))))
RESTORED = "ARRAY[('x'::varchar)::text, ('y'::varchar)::text]"


def generated(expression: Any) -> operations.AddColumnIfMissing:
    field = models.GeneratedField(
        expression=expression, output_field=models.IntegerField(), db_persist=True
    )
    return operations.AddColumnIfMissing("part", "g", field)


@pytest.mark.parametrize(
    ("sql", "is_same"),
    [
        (f"CASE WHEN code::text = ANY ({RESTORED}) THEN 1 ELSE 1 - 1 END", True),
        (f"CASE WHEN code::text = ANY ({RESTORED}) THEN 1 ELSE 2 END", False),
        ("CASE WHEN code = 'x' THEN 1 ELSE 0 END", False),
    ],
)
def test_the_expression_of_a_generated_column_is_folded(sql: str, is_same: bool) -> None:
    recreate(
        PART_TABLE, CODE, f"ALTER TABLE part ADD COLUMN g int GENERATED ALWAYS AS ({sql}) STORED"
    )
    operation = generated(Case(When(code__in=["x", "y"], then=Value(1)), default=Value(0)))
    (assert_unchanged if is_same else assert_different)(operation, CODED)


@pytest.mark.parametrize(
    ("sql", "is_same"),
    [
        (f"""code COLLATE "C" = ANY ({RESTORED})""", True),
        (f"""code COLLATE "POSIX" = ANY ({RESTORED})""", False),
        (f"""code::text = ANY ({RESTORED})""", False),
        ("""code COLLATE "C" = ANY (ARRAY['x'::text, 'z'::text])""", False),
    ],
)
def test_a_collation_is_compared_though_a_plan_does_not_show_it(sql: str, is_same: bool) -> None:
    recreate(PART_TABLE, CODE, f"ALTER TABLE part ADD CONSTRAINT wanted CHECK ({sql})")
    condition = Q(In(Collate("code", "C"), ["x", "y"]))
    check = models.CheckConstraint(condition=condition, name="wanted")
    operation = operations.AddCheckIfMissing("part", check)
    (assert_unchanged if is_same else assert_different)(operation, CODED)


@pytest.mark.parametrize(
    ("sql", "is_same"),
    [
        (f"(int8range(id, id) WITH &&) WHERE (code::text = ANY ({RESTORED}))", True),
        (f"(int8range(id, id) WITH =) WHERE (code::text = ANY ({RESTORED}))", False),
        (f"(int8range(id, id + 1) WITH &&) WHERE (code::text = ANY ({RESTORED}))", False),
        ("(int8range(id, id) WITH &&) WHERE (code = 'x')", False),
        ("(int8range(id, id) WITH &&)", False),
        (f"(int8range(id, id) WITH &&) WHERE (code::text = ANY ({RESTORED})) DEFERRABLE", False),
    ],
)
def test_an_exclusion_constraint_is_known_by_its_index_and_operators(
    sql: str, is_same: bool
) -> None:
    recreate(PART_TABLE, CODE, f"ALTER TABLE part ADD CONSTRAINT wanted EXCLUDE USING gist {sql}")
    wanted = ExclusionConstraint(
        name="wanted",
        expressions=[(Func("id", "id", function="int8range"), "&&")],
        condition=Q(code__in=["x", "y"]),
    )
    fields = CODED.models["bench", "part"].fields
    table = operations.CreateTableIfMissing(
        "Part", list(fields.items()), {"db_table": "part", "constraints": [wanted]}
    )
    (assert_unchanged if is_same else assert_different)(table, project_state())
