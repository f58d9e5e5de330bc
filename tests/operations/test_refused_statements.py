"""A statement that PostgreSQL refuses is told in its words, changes nothing and leaves nothing that harms."""

from typing import Any

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import IntegerRangeField
from django.db import models
from django.db.migrations.state import ProjectState
from django.db.models import F, Q, UniqueConstraint, Value
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    BOX_MODEL,
    PART_TABLE,
    SERIAL,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
TWICE = f"{PART_TABLE} INSERT INTO part (label, amount) VALUES ('bolt', 3)"

UNIQUE_PARTS: dict[str, tuple[str, Any]] = {
    "column": (
        PART_TABLE,
        operations.AddColumnIfMissing(
            "part", "code", models.IntegerField(unique=True, db_default=7)
        ),
    ),
    "altered column": (
        TWICE,
        operations.AlterColumnTypeIfDifferent(
            "part", "amount", models.BigIntegerField(null=True, unique=True), allow_rewrite=True
        ),
    ),
    "one to one": (
        f"{TWICE}; CREATE TABLE box (id bigint PRIMARY KEY, code integer UNIQUE)",
        operations.AddForeignKeyIfMissing(
            "part",
            "amount",
            models.OneToOneField(
                "bench.box", models.CASCADE, to_field="code", null=True, db_column="amount"
            ),
        ),
    ),
}


@pytest.mark.parametrize("what", UNIQUE_PARTS)
def test_no_invalid_index_stays_where_uniqueness_is_a_part(what: str) -> None:
    sql, operation = UNIQUE_PARTS[what]
    recreate(sql)
    with pytest.raises(operations.DuplicateRows):
        forwards(operation, project_state(part_model(), BOX_MODEL))
    assert scratch_schema.rows(INVALID) == []


def test_a_value_too_long_for_an_index_is_refused_in_words_and_leaves_no_unique_index() -> None:
    long = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n"
    recreate(PART_TABLE, f"INSERT INTO part (label) {long}")
    operation = operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], name="wanted")
    )
    with pytest.raises(operations.StatementRefused) as caught:
        forwards(operation, STATE)
    assert caught.value.sqlstate == "54000"
    assert scratch_schema.rows(INVALID) == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE part ADD CONSTRAINT theirs CHECK (amount > 0)",
        "CREATE INDEX theirs ON part (label) WHERE amount > 0",
    ],
    ids=["check", "partial index"],
)
def test_a_type_that_an_expression_on_the_column_rules_out_is_refused_in_words(sql: str) -> None:
    recreate(PART_TABLE, sql)
    start = facts()
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "amount", models.TextField(null=True), allow_rewrite=True
    )
    with pytest.raises(operations.StatementRefused):
        forwards(operation, STATE)
    assert facts() == start


def test_a_check_that_raises_on_a_row_is_told_by_postgresqls_words_alone() -> None:
    recreate(PART_TABLE)
    condition = GreaterThan(Cast("label", models.IntegerField()), 3)
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )
    with pytest.raises(operations.RowsViolate) as caught:
        forwards(operation, STATE)
    assert caught.value.rows == ""
    assert "bolt" in caught.value.reason


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        (
            "UPDATE part SET amount = 0 WHERE id = 1",
            UniqueConstraint(models.Value(100) / F("amount"), name="wanted"),
        ),
        (
            "UPDATE part SET made_at = 'infinity'",
            UniqueConstraint(fields=["made_at"], name="wanted"),
        ),
    ],
    ids=["division", "infinity"],
)
def test_a_failed_explanation_hides_neither_the_error_nor_the_leftover(
    sql: str, constraint: UniqueConstraint
) -> None:
    recreate(PART_TABLE, sql)
    with pytest.raises(operations.RowsViolate):
        forwards(operations.AddUniqueIfMissing("part", constraint), STATE)
    assert scratch_schema.rows(INVALID) == []


def test_a_check_goes_though_its_column_could_not_take_it_any_more() -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ALTER amount TYPE text;"
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > '0')",
    )
    check = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
    operation = operations.RemoveCheckIfPresent("part", "wanted")
    forwards(operation, project_state(part_model(constraints=[check])))
    assert not [row for row in facts() if row[2] == "wanted"]


def test_the_name_of_an_exclusion_that_another_table_has_is_seen_before_anything_changes() -> None:
    recreate(
        "CREATE TABLE box (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, span int4range);"
        "CREATE TABLE other (id bigint); CREATE INDEX apart ON other (id)"
    )
    start = facts()
    apart: Any = ExclusionConstraint(name="apart", expressions=[("span", "&&")])
    operation = operations.CreateTableIfMissing(
        "Box",
        [
            ("id", SERIAL),
            ("span", IntegerRangeField(null=True)),
            ("size", models.IntegerField(null=True)),
        ],
        {"db_table": "box", "constraints": [apart]},
    )
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, project_state())
    assert (caught.value.component, caught.value.found) == ("exclusion", "an index of table other")
    assert facts() == start


def test_a_default_that_does_not_fit_is_not_blamed_on_rows_where_there_are_none() -> None:
    recreate(PART_TABLE, "TRUNCATE part")
    field = models.CharField(max_length=2, default="long")
    with pytest.raises(operations.StatementRefused) as caught:
        forwards(operations.AddColumnIfMissing("part", "kind", field), project_state(part_model()))
    assert caught.value.reason == "value too long for type character varying(2)"
    assert caught.value.sqlstate == "22001"


def test_a_default_of_a_new_table_that_is_no_value_is_not_blamed_on_rows() -> None:
    recreate()
    fields: list[tuple[str, Any]] = [
        ("id", SERIAL),
        ("kind", models.IntegerField(db_default=Value("x"))),
    ]
    with pytest.raises(operations.StatementRefused) as caught:
        forwards(operations.CreateTableIfMissing("Part", fields), ProjectState())
    assert caught.value.sqlstate == "22P02"
