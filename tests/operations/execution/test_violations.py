"""Rows that stand against a declaration: which they are, how many, and what stays of the attempt."""

from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.migrations.state import ModelState
from django.db.models import F, Q, UniqueConstraint
from django.db.models.functions import Lower
from django.db.utils import IntegrityError

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


def add(condition: Q) -> Any:
    return operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )


def unique(*expressions: Any, **options: Any) -> Any:
    return operations.AddUniqueIfMissing(
        "part", UniqueConstraint(*expressions, **options, name="wanted")
    )


def stopped(operation: Any, state: Any = STATE, **options: Any) -> Any:
    with pytest.raises(operations.RowsViolate) as caught:
        forwards(operation, state, **options)
    return caught.value


def test_a_check_says_how_many_rows_fail_it_and_which_are_the_first() -> None:
    recreate(PART_TABLE, "INSERT INTO part (amount) SELECT -n FROM generate_series(1, 7) n")
    error = stopped(add(Q(amount__gte=0)))
    assert type(error) is operations.RowsViolateCheck
    assert (error.table, error.count, error.key) == ('"part"', 7, ("id",))
    assert error.first == ((4,), (5,), (6,), (7,), (8,))
    assert error.rows == "7, the first with id 4, 5, 6, 7, 8"


def test_a_row_for_which_the_check_is_unknown_does_not_fail_it() -> None:
    recreate(PART_TABLE, "INSERT INTO part (amount) VALUES (NULL), (-1)")
    assert stopped(add(Q(amount__gte=0))).first == ((5,),)


def test_more_than_a_thousand_rows_are_not_counted() -> None:
    recreate(PART_TABLE, "INSERT INTO part (amount) SELECT -n FROM generate_series(1, 1500) n")
    error = stopped(add(Q(amount__gte=0)))
    assert error.count == 1000
    assert error.rows.startswith("1,000 or more, the first with id 4, 5, ")


def test_the_rows_of_a_table_without_a_key_are_counted() -> None:
    recreate("CREATE TABLE part (label text, amount integer); INSERT INTO part VALUES ('x', -1)")
    error = stopped(add(Q(amount__gte=0)))
    assert (error.count, error.key, error.first, error.rows) == (1, (), (), "1")


def test_the_rows_of_a_key_of_two_columns_are_named_by_both() -> None:
    recreate("CREATE TABLE part (label text, id int, amount int, PRIMARY KEY (label, id));")
    scratch_schema.execute("INSERT INTO part VALUES ('b', 1, -1), ('a', 2, -1)")
    error = stopped(add(Q(amount__gte=0)))
    assert error.first == (("a", 2), ("b", 1))
    assert error.rows == "2, the first with (label, id) ('a', 2), ('b', 1)"


def test_a_percent_sign_and_a_quote_in_the_check_mean_themselves() -> None:
    recreate(PART_TABLE, "INSERT INTO part (label) VALUES ('100%'), ('it''s')")
    assert stopped(add(~Q(label__in=["100%", "it's"]))).first == ((4,), (5,))


def test_in_a_transaction_the_rows_are_named_too_and_it_goes_on() -> None:
    recreate(PART_TABLE)
    with transaction.atomic():
        assert stopped(add(Q(amount__gt=3))).first == ((1,),)
        assert scratch_schema.value("SELECT count(*) FROM part") == 3
        transaction.set_rollback(True)


def test_a_statement_timeout_of_the_session_does_not_keep_them_from_being_counted() -> None:
    recreate(PART_TABLE)
    scratch_schema.execute("SET statement_timeout = '1h'")
    assert stopped(add(Q(amount__gt=3))).count == 1
    assert scratch_schema.value("SHOW statement_timeout") == "1h"


def test_rows_that_are_null_stand_against_not_null() -> None:
    recreate(PART_TABLE)
    operation = operations.SetNotNullIfNullable("part", "made_at", models.DateTimeField())
    error = stopped(operation)
    assert type(error) is operations.RowsViolateCheck
    assert error.rows == "1, the first with id 3"


def test_duplicates_are_named_by_their_largest_groups() -> None:
    recreate(
        PART_TABLE, "INSERT INTO part (label) VALUES ('bolt'), ('bolt'), ('nut'), (NULL), (NULL)"
    )
    start = catalog_versions()
    error = stopped(unique(fields=["label"]))
    assert type(error) is operations.DuplicateRows
    assert (error.table, error.key) == ("bench.part", ("label",))
    assert error.first == (("bolt", 3), ("nut", 2))
    assert error.rows == "label 'bolt' in 3, 'nut' in 2"
    assert {mark for mark in start if mark[0] == "pg_index"} <= catalog_versions()
    assert not scratch_schema.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid")


@pytest.mark.parametrize(
    ("constraint", "rows", "first"),
    [
        (UniqueConstraint(Lower("label"), name="wanted"), "('BOLT', 1)", (("bolt", 2),)),
        (
            UniqueConstraint(fields=["label"], condition=Q(amount__gt=0), name="wanted"),
            "('bolt', 1), ('nut', -1)",
            (("bolt", 2),),
        ),
        (
            UniqueConstraint(fields=["label", "amount"], name="wanted"),
            "('bolt', 3), ('nut', 6)",
            (("bolt", 3, 2),),
        ),
        (
            UniqueConstraint(fields=["label"], include=["amount"], name="wanted"),
            "('nut', 9)",
            (("nut", 2),),
        ),
    ],
    ids=["expression", "condition", "two columns", "include"],
)
def test_duplicates_of(constraint: Any, rows: str, first: Any) -> None:
    recreate(PART_TABLE, f"INSERT INTO part (label, amount) VALUES {rows}")
    assert stopped(operations.AddUniqueIfMissing("part", constraint)).first == first


def test_null_counts_as_a_value_where_nulls_are_not_distinct() -> None:
    constraint = UniqueConstraint(fields=["label"], nulls_distinct=False, name="wanted")
    operation = operations.AddUniqueIfMissing("part", constraint)
    recreate(PART_TABLE, "INSERT INTO part (label) VALUES (NULL), (NULL)")
    if connection.features.supports_nulls_distinct_unique_constraints:
        assert stopped(operation).first == ((None, 2),)
    else:
        with pytest.raises(operations.Refused, match="came with PostgreSQL 15"):
            forwards(operation, STATE)


def test_duplicates_of_a_replacement_leave_the_one_that_is_replaced() -> None:
    recreate(PART_TABLE, "INSERT INTO part (label) VALUES ('bolt')")
    scratch_schema.execute("ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (id)")
    start = facts()
    constraint = UniqueConstraint(fields=["label"], name="wanted")
    operation = operations.AddUniqueIfMissing("part", constraint, on_different="replace")
    assert stopped(operation).first == (("bolt", 2),)
    assert facts() == start


def test_rows_against_a_replacing_check_are_guarded_by_both() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)")
    check = models.CheckConstraint(condition=Q(amount__lt=8), name="wanted")
    operation = operations.AddCheckIfMissing("part", check, on_different="replace")
    assert stopped(operation).first == ((3,),)
    for amount in (-1, 9):
        with pytest.raises(IntegrityError):
            scratch_schema.execute(f"INSERT INTO part (amount) VALUES ({amount})")
    scratch_schema.execute("UPDATE part SET amount = 7 WHERE amount = 8")
    forwards(operation, STATE)
    checks = [row for row in facts() if row[0] == "constraint" and row[3] == "c"]
    assert checks == [("constraint", "part", "wanted", "c", "CHECK ((amount < 8))", "true")]


def test_rows_that_refer_to_nothing_are_named() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN parent_id bigint")
    scratch_schema.execute("UPDATE part SET parent_id = id + 1")
    loose = models.ForeignKey("bench.part", models.CASCADE, null=True, db_constraint=False)
    tight = models.ForeignKey("bench.part", models.CASCADE, null=True)
    state = project_state(part_model(("parent", loose)))
    operation = operations.AddForeignKeyIfMissing("part", "parent", tight)
    error = stopped(operation, state)
    assert type(error) is operations.RowsViolate
    assert error.rows == "1, the first with id 3"
    scratch_schema.execute("UPDATE part SET parent_id = NULL WHERE id = 3")
    forwards(operation, state)
    assert scratch_schema.value("SELECT convalidated FROM pg_constraint WHERE contype = 'f'")


@pytest.mark.parametrize("back", [False, True], ids=["column", "column of an adopted table"])
def test_a_column_that_the_rows_have_no_value_for_is_refused_before_it_starts(back: bool) -> None:
    recreate(PART_TABLE)
    before = catalog_versions()
    field = models.IntegerField()
    operation: Any = operations.AddColumnIfMissing("part", "size", field)
    state = STATE
    if back:
        fields = [*part_model().fields.items(), ("size", field)]
        operation = operations.CreateTableIfMissing("Part", fields, {"db_table": "part"})
        state = project_state()
    with pytest.raises(operations.Refused) as caught:
        forwards(operation, state)
    assert caught.value.reason == 'size is NOT NULL and has no default, and table "part" has rows'
    assert caught.value.fix == (
        "give it db_default=..., or null=True, then BackfillInBatches and SetNotNullIfNullable"
    )
    assert catalog_versions() == before
    scratch_schema.execute("DELETE FROM part")
    forwards(operation, state)
    assert ("column", "part", "size", "integer", "NOT NULL", "") in facts()


def test_a_column_that_counts_or_is_computed_needs_no_value() -> None:
    recreate("CREATE TABLE part (label text, amount int); INSERT INTO part VALUES ('x', 1)")
    state = project_state(
        ModelState(
            APP,
            "Part",
            [("amount", models.IntegerField(primary_key=True))],
            {"db_table": "part"},
        )
    )
    field = models.GeneratedField(
        expression=F("amount") * 2, output_field=models.IntegerField(), db_persist=True
    )
    operation = operations.AddColumnIfMissing("part", "twice", field, allow_rewrite=True)
    forwards(operation, state)
    assert scratch_schema.rows("SELECT twice FROM part") == [(2,)]
    backwards(operation, state)
    assert connection.in_atomic_block is False
