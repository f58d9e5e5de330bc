"""A step that PostgreSQL refuses says so in words, changes nothing and leaves nothing that harms."""

from typing import Any

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import IntegerRangeField
from django.db import models
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.state import ModelState
from django.db.models import F, Q, UniqueConstraint
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    OTHER_SCHEMA,
    PART_TABLE,
    SCHEMA,
    SERIAL,
    backwards,
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
BOX = ModelState(
    APP, "Box", [("id", SERIAL), ("code", models.IntegerField(unique=True))], {"db_table": "box"}
)

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
        forwards(operation, project_state(part_model(), BOX))
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


def test_expressions_are_folded_where_the_server_counts_queries_too() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 1 + 1)")
    start = facts()
    scratch_schema.execute("SET compute_query_id = on")
    check = models.CheckConstraint(condition=Q(amount__gt=2), name="wanted")
    forwards(operations.AddCheckIfMissing("part", check), STATE)
    assert facts() == start


def boxes() -> tuple[Any, Any]:
    """A table with a ManyToManyField, made, and its state before and after."""
    recreate()
    before = project_state()
    lid = operations.CreateTableIfMissing("Lid", [("id", SERIAL)], {"db_table": "lid"})
    forwards(lid, before)
    lid.state_forwards(APP, before)
    fields = [("id", SERIAL), ("lids", models.ManyToManyField("bench.lid"))]
    box = operations.CreateTableIfMissing("Box", fields, {"db_table": "box"})
    forwards(box, before)
    return box, before


def test_a_many_to_many_that_was_removed_comes_back() -> None:
    box, state = boxes()
    wanted = facts()
    box.state_forwards(APP, state)
    operation = operations.RemoveColumnIfPresent("box", "lids")
    forwards(operation, state)
    assert facts() != wanted
    for _ in range(2):
        backwards(operation, state)
        assert facts() == wanted


def test_a_table_with_rows_keeps_the_table_of_its_many_to_many_on_the_way_back() -> None:
    box, state = boxes()
    scratch_schema.execute("INSERT INTO box DEFAULT VALUES")
    start = facts()
    with pytest.raises(operations.Refused, match="nothing was changed"):
        backwards(box, state)
    assert facts() == start


def test_a_column_that_comes_again_after_its_removal_can_be_squashed() -> None:
    table = operations.CreateTableIfMissing(
        "Box", [("id", SERIAL), ("a", models.IntegerField(null=True))], {"db_table": "box"}
    )
    again = operations.AddColumnIfMissing("box", "a", models.TextField(null=True))
    given = [table, operations.RemoveColumnIfPresent("box", "a"), again]
    assert MigrationOptimizer().optimize(given, APP) == given


def to_time(**options: Any) -> Any:
    return operations.AlterColumnTypeIfDifferent(
        "part", "amount", models.DateTimeField(null=True), allow_rewrite=True, **options
    )


def test_a_type_without_a_cast_is_converted_by_the_given_expression_and_kept_on_the_way_back() -> (
    None
):
    recreate(PART_TABLE)
    operation = to_time(using="to_timestamp(amount)")
    forwards(operation, STATE)
    wanted = facts()
    assert ("column", "part", "amount", "timestamp with time zone", "", "") in wanted
    for _ in range(2):
        backwards(operation, STATE)
        assert facts() == wanted


def test_a_type_without_a_cast_asks_for_an_expression() -> None:
    recreate(PART_TABLE)
    start = facts()
    with pytest.raises(operations.Refused) as caught:
        forwards(to_time(), STATE)
    assert caught.value.reason.startswith(
        "PostgreSQL cannot convert amount: cannot cast type integer"
    )
    assert caught.value.fix == "say how by using=..., an SQL expression for the new value"
    assert facts() == start


def test_an_expression_that_writes_the_table_anew_is_refused_unless_allowed() -> None:
    recreate(PART_TABLE)
    start = facts()
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", models.CharField(null=True), using="upper(label)"
    )
    with pytest.raises(operations.Refused, match="writes table"):
        forwards(operation, STATE)
    assert facts() == start


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


def test_removing_a_many_to_many_leaves_the_namesake_of_a_later_schema() -> None:
    box, state = boxes()
    box.state_forwards(APP, state)
    scratch_schema.execute("ALTER TABLE box_lids SET SCHEMA aside")
    start = facts()
    with scratch_schema.search_path(f"{SCHEMA}, {OTHER_SCHEMA}"):
        forwards(operations.RemoveColumnIfPresent("box", "lids"), state)
    assert facts() == start


KEYS: dict[str, tuple[str, str]] = {
    "a column that is no key": (
        "CREATE TABLE box (id bigint PRIMARY KEY, code integer)",
        'would refer to "code" of "box", which is not unique there',
    ),
    "a column of a key that may wait": (
        "CREATE TABLE box (id bigint PRIMARY KEY, code integer UNIQUE DEFERRABLE)",
        'would refer to "code" of "box", which is not unique there',
    ),
    "a column that is unique where a condition holds": (
        (
            "CREATE TABLE box (id bigint PRIMARY KEY, code integer);"
            "CREATE UNIQUE INDEX ON box (code) WHERE code > 0"
        ),
        'would refer to "code" of "box", which is not unique there',
    ),
    "a view": (
        "CREATE TABLE cup (id bigint PRIMARY KEY, code integer UNIQUE); CREATE VIEW box AS TABLE cup",
        '"box" is no table',
    ),
}


@pytest.mark.parametrize("what", KEYS)
def test_a_foreign_key_that_cannot_be_leaves_no_column_behind(what: str) -> None:
    sql, reason = KEYS[what]
    recreate(PART_TABLE, sql)
    start = facts()

    def key(column: str) -> Any:
        return models.ForeignKey(
            "bench.box", models.CASCADE, to_field="code", null=True, db_column=column
        )

    for operation in (
        operations.AddColumnIfMissing("part", "box", key("box")),
        operations.AddForeignKeyIfMissing("part", "amount", key("amount")),
    ):
        with pytest.raises(operations.Refused) as caught:
            forwards(operation, project_state(part_model(), BOX))
        assert reason in caught.value.reason
        assert facts() == start


def test_a_table_makes_its_column_unique_before_it_refers_to_it() -> None:
    own = models.ForeignKey("bench.box", models.CASCADE, to_field="code", null=True)
    fields: Any = [
        ("id", SERIAL),
        ("code", models.IntegerField(unique=True)),
        ("above", own),
    ]
    operation = operations.CreateTableIfMissing("Box", fields, {"db_table": "box"})
    recreate()
    forwards(operation, project_state())
    wanted = sorted(row[4] for row in facts() if row[0] == "constraint")
    recreate(
        "CREATE TABLE box (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, code integer NOT NULL)"
    )
    forwards(operation, project_state())
    assert sorted(row[4] for row in facts() if row[0] == "constraint") == wanted
    recreate(
        "CREATE TABLE box (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, code integer NOT NULL)"
    )
    for _ in range(2):
        assert (
            scratch_schema.psql(scratch_schema.printed_sql(operation, project_state())).stderr == ""
        )
    assert sorted(row[4] for row in facts() if row[0] == "constraint") == wanted


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


HELD: dict[str, tuple[str, str]] = {
    "the replica identity": (
        (
            "ALTER TABLE part ALTER label SET NOT NULL; CREATE UNIQUE INDEX wanted ON part (label, id);"
            "ALTER TABLE part REPLICA IDENTITY USING INDEX wanted"
        ),
        "(the replica identity of its table)",
    ),
    "what foreign keys rest on": (
        "CREATE UNIQUE INDEX wanted ON part (amount); CREATE TABLE k (a integer REFERENCES part (amount))",
        "(foreign keys rest on it)",
    ),
}


@pytest.mark.parametrize("what", HELD)
def test_an_index_that_something_holds_is_not_replaced(what: str) -> None:
    sql, held = HELD[what]
    recreate(PART_TABLE, sql)
    start = facts()
    unique = UniqueConstraint(fields=["label"], include=["amount"], name="wanted")
    index = models.Index(fields=["label"], name="wanted")
    for operation in (
        operations.AddUniqueIfMissing("part", unique, on_different="replace"),
        operations.CreateIndexConcurrentlyIfMissing("part", index, on_different="replace"),
    ):
        with pytest.raises(operations.DifferentDefinition) as caught:
            forwards(operation, STATE)
        assert caught.value.found.endswith(held)
        assert facts() == start


def test_dropping_a_replica_identity_is_said(caplog: pytest.LogCaptureFixture) -> None:
    recreate(PART_TABLE, HELD["the replica identity"][0])
    index = models.Index(fields=["label", "id"], name="wanted")
    operation = operations.DropIndexConcurrentlyIfPresent("part", "wanted")
    forwards(operation, project_state(part_model(indexes=[index])))
    assert 'index wanted of "part": its table has no replica identity without it' in caplog.messages
