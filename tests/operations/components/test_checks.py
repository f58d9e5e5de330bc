"""When a check that exists is the declared one; and rows that stand against it."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, models
from django.db.models import Q

from signals import operations
from tests.operations import scratch_schema
from tests.operations.components.assertions import assert_stops, assert_unchanged
from tests.operations.components.definition_pairs.checks import OTHER_CHECKS, SAME_CHECKS
from tests.operations.scratch_schema import (
    PART_TABLE,
    SERIAL,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

CODE = ("code", models.CharField(max_length=9, null=True))
START = f"{PART_TABLE} ALTER TABLE part ADD COLUMN code varchar(9);"


def add(condition: Q) -> Any:
    return operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )


@pytest.mark.parametrize("what", SAME_CHECKS)
def test_another_spelling_is_the_same_check(what: str) -> None:
    condition, sql = SAME_CHECKS[what]
    recreate(START, f"ALTER TABLE part ADD CONSTRAINT wanted CHECK ({sql})")
    before = catalog_versions()
    forwards(add(condition), project_state(part_model(CODE)))
    assert catalog_versions() == before


@pytest.mark.parametrize("what", SAME_CHECKS)
def test_what_the_operation_made_is_what_hand_written_sql_makes(what: str) -> None:
    condition, sql = SAME_CHECKS[what]
    recreate(START, f"ALTER TABLE part ADD CONSTRAINT wanted CHECK ({sql})")
    wanted = facts()
    recreate(START)
    forwards(add(condition), project_state(part_model(CODE)))
    assert facts() == wanted
    before = catalog_versions()
    forwards(add(condition), project_state(part_model(CODE)))
    assert catalog_versions() == before


@pytest.mark.parametrize("what", OTHER_CHECKS)
def test_another_expression_is_seen(what: str) -> None:
    condition, sql = OTHER_CHECKS[what]
    recreate(START, f"ALTER TABLE part ADD CONSTRAINT wanted CHECK ({sql})")
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition):
        forwards(add(condition), project_state(part_model(CODE)))
    assert catalog_versions() == before


def test_a_percent_sign_means_itself() -> None:
    recreate(PART_TABLE)
    forwards(add(Q(label__in=("bolt", "nut", "cog", "100%"))), project_state(part_model()))
    scratch_schema.execute("INSERT INTO part (label) VALUES ('100%')")
    with pytest.raises(IntegrityError):
        scratch_schema.execute("INSERT INTO part (label) VALUES ('100%%')")


def test_rows_that_violate_are_reported_new_ones_are_refused_and_the_next_run_goes_on() -> None:
    recreate(PART_TABLE)
    state = project_state(part_model())
    for _ in range(2):
        with pytest.raises(operations.RowsViolateCheck) as caught:
            forwards(add(Q(amount__gt=3)), state)
    assert caught.value.sql == 'ALTER TABLE "part" VALIDATE CONSTRAINT "wanted"'
    assert "wanted" in caught.value.reason
    assert str(caught.value) == (
        'existing rows violate: ALTER TABLE "part" VALIDATE CONSTRAINT "wanted"\n'
        f"  because: {caught.value.reason}\n  rows:    1, the first with id 1\n"
        "  to fix: correct those rows, and run again; the next run continues from here"
    )
    with pytest.raises(IntegrityError):
        scratch_schema.execute("INSERT INTO part (amount) VALUES (1)")
    scratch_schema.execute("UPDATE part SET amount = 4 WHERE amount = 3")
    forwards(add(Q(amount__gt=3)), state)
    assert ("constraint", "part", "wanted", "c", "CHECK ((amount > 3))", "true") in facts()


def test_a_name_that_a_not_null_constraint_holds_is_different() -> None:
    """PostgreSQL 18 keeps NOT NULL as a constraint of that table, with a name."""
    recreate(
        PART_TABLE, "ALTER TABLE part ADD COLUMN size integer CONSTRAINT wanted NOT NULL DEFAULT 0"
    )
    before = catalog_versions()
    if connection.pg_version < 180000:  # type: ignore[attr-defined]
        forwards(add(Q(amount__gt=0)), project_state(part_model()))
        return
    with pytest.raises(operations.DifferentDefinition):
        forwards(add(Q(amount__gt=0)), project_state(part_model()))
    assert catalog_versions() == before
    backwards(add(Q(amount__gt=0)), project_state(part_model()))
    assert catalog_versions() == before


def test_back_leaves_a_constraint_of_that_name_that_is_no_check() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount)")
    before = catalog_versions()
    backwards(add(Q(amount__gt=0)), project_state(part_model()))
    assert catalog_versions() == before


def test_a_unique_constraint_is_refused_while_coding() -> None:
    unique = models.UniqueConstraint(fields=["label"], name="wanted")
    with pytest.raises(TypeError, match="add a UniqueConstraint with AddUniqueIfMissing"):
        operations.AddCheckIfMissing("part", unique)  # type: ignore[arg-type]


def test_a_check_that_lived_through_a_change_of_the_type_is_no_difference() -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD COLUMN code varchar(9)",
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK (code IN ('x', 'y'))",
        "ALTER TABLE part ALTER COLUMN code TYPE text",
    )
    assert_unchanged(
        add(Q(code__in=("x", "y"))),
        project_state(part_model(("code", models.TextField(null=True)))),
    )


def test_a_check_that_the_column_cannot_take_any_more_is_different() -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ALTER amount TYPE text;"
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > '0')",
    )
    assert_stops(add(Q(amount__gt=0)), project_state(part_model()))


def test_a_condition_on_pk_is_one_on_the_key() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (id > 0)")
    assert_unchanged(add(Q(pk__gt=0)), project_state(part_model()))


def test_what_is_there_is_known_though_transactions_are_read_only_by_default() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)")
    scratch_schema.execute("SET default_transaction_read_only = on")
    assert_unchanged(add(Q(amount__gt=0)), project_state(part_model()))


def test_a_check_of_long_names_is_called_as_postgresql_calls_it() -> None:
    table, column = "t" * 40, "c" * 40
    operation = operations.CreateTableIfMissing(
        "Long", [("id", SERIAL), (column, models.PositiveIntegerField())], {"db_table": table}
    )
    recreate()
    forwards(operation, project_state())
    wanted = facts()
    for start in (
        "",
        f"CREATE TABLE {table} (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)",
    ):
        recreate(start)
        for _ in range(2):
            assert (
                scratch_schema.psql(scratch_schema.printed_sql(operation, project_state())).stderr
                == ""
            )
        assert facts() == wanted
        recreate(start)
        forwards(operation, project_state())
        assert facts() == wanted


def test_a_check_of_a_positive_number_is_one_whatever_the_numbers_type_was() -> None:
    recreate("""CREATE TABLE box (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        n numeric NOT NULL CHECK (n >= 0)); ALTER TABLE box ALTER n TYPE integer""")
    operation = operations.CreateTableIfMissing(
        "Box", [("id", SERIAL), ("n", models.PositiveIntegerField())], {"db_table": "box"}
    )
    start = facts()
    forwards(operation, project_state())
    assert facts() == start


FALSE_EQUALS: dict[str, tuple[str, Any]] = {
    "a function's body": (
        (
            "CREATE FUNCTION ok(i integer) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN i > 0;"
            "ALTER TABLE part ADD CONSTRAINT wanted CHECK (ok(amount))"
        ),
        Q(amount__gt=0),
    ),
    "a collation within a function": (
        (
            "CREATE FUNCTION low(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT t COLLATE \"C\"';"
            "ALTER TABLE part ADD CONSTRAINT wanted CHECK (low(label) < 'z')"
        ),
        Q(label__lt="z"),
    ),
    "a double that is printed rounded": (
        (
            "ALTER TABLE part ADD ratio float8;"
            "ALTER TABLE part ADD CONSTRAINT wanted CHECK (ratio > 0.1::float8 + 0.2::float8);"
            "SET extra_float_digits = 0"
        ),
        Q(ratio__gt=0.3),
    ),
    "a double that is stored rounded": (
        (
            "ALTER TABLE part ADD ratio float8;"
            "ALTER TABLE part ADD CONSTRAINT wanted CHECK (ratio > '0.30000000000000004'::float8);"
            "SET extra_float_digits = 0"
        ),
        Q(ratio__gt=0.3),
    ),
}


@pytest.mark.parametrize("what", FALSE_EQUALS)
def test_a_check_that_only_looks_the_same_is_another(what: str) -> None:
    sql, condition = FALSE_EQUALS[what]
    recreate(PART_TABLE, sql)
    check = models.CheckConstraint(condition=condition, name="wanted")
    state = project_state(part_model(("ratio", models.FloatField(null=True))))
    with pytest.raises(operations.DifferentDefinition):
        forwards(operations.AddCheckIfMissing("part", check), state)
    assert scratch_schema.value("SHOW extra_float_digits") == ("0" if "double" in what else "1")
