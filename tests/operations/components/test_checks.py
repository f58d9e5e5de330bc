"""When a check that exists is the declared one; and rows that stand against it."""

import pytest
from django.db import IntegrityError, connection, models
from django.db.models import F, Q
from django.db.models.functions import Length, Upper
from django.db.models.lookups import GreaterThan

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
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

CODE = ("code", models.CharField(max_length=9, null=True))
START = f"{PART_TABLE} ALTER TABLE part ADD COLUMN code varchar(9);"

SAME: dict[str, tuple[Q, str]] = {
    "IN": (Q(label__in=("bolt", "nut", "cog")), "label IN ('bolt', 'nut', 'cog')"),
    "IN as = ANY": (
        Q(label__in=("bolt", "nut", "cog")),
        "label = ANY (ARRAY['bolt', 'nut', 'cog'])",
    ),
    "IN of a varchar": (Q(code__in=("a", "b")), "code IN ('a', 'b')"),
    "IN of numbers": (Q(amount__in=(3, 5, 8)), "amount = ANY (ARRAY[3, 5, 8])"),
    "BETWEEN": (Q(amount__range=(1, 9)), "amount BETWEEN 1 AND 9"),
    "BETWEEN as two": (Q(amount__range=(1, 9)), "(amount >= 1) AND (amount <= (9))"),
    "two conditions": (Q(amount__gt=0) | Q(label="x"), "amount > 0 OR label = 'x'"),
    "not": (~Q(label=""), "NOT (label = '' AND label IS NOT NULL)"),
    "a text cast": (Q(label="x") | Q(amount__gt=0), "label = 'x'::text OR amount > 0"),
    "a function": (Q(GreaterThan(Length(Upper("label")), 1)), "length(upper(label)) > 1"),
    "two columns": (Q(amount__lte=F("id") + 9), "amount <= id + 9"),
    "a quote": (~Q(label="it's"), "NOT (label = 'it''s' AND label IS NOT NULL)"),
    "a percent sign": (~Q(label="100%"), "NOT (label = '100%' AND label IS NOT NULL)"),
    "a pattern": (Q(label__startswith="b") | Q(amount__gt=0), "label LIKE 'b%' OR amount > 0"),
    "a backslash": (~Q(label="a\\b"), "NOT (label = 'a\\b' AND label IS NOT NULL)"),
    "is null": (Q(code__isnull=True), "code IS NULL"),
}

ANOTHER: dict[str, tuple[Q, str]] = {
    "a value less": (Q(label__in=("bolt", "nut", "cog", "x")), "label IN ('bolt', 'nut', 'cog')"),
    "a value more": (Q(label__in=("bolt", "nut", "cog")), "label IN ('bolt','nut','cog','x')"),
    "another bound": (Q(amount__range=(1, 9)), "amount BETWEEN 1 AND 10"),
    "another operator": (Q(amount__gt=0), "amount >= 0"),
    "another column": (Q(amount__gt=0), "id > 0"),
    "another function": (Q(GreaterThan(Length("label"), 1)), "octet_length(label) > 1"),
    "or in place of and": (
        Q(amount__gt=0) & Q(id__gt=0),
        "amount > 0 OR id > 0",
    ),
    "a doubled percent sign": (
        ~Q(label="100%"),
        "NOT (label = '100%%' AND label IS NOT NULL)",
    ),
}


def add(condition: Q) -> operations.AddCheckIfMissing:
    return operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )


@pytest.mark.parametrize("what", SAME)
def test_another_spelling_is_the_same_check(what: str) -> None:
    condition, sql = SAME[what]
    recreate(START, f"ALTER TABLE part ADD CONSTRAINT wanted CHECK ({sql})")
    before = catalog_versions()
    forwards(add(condition), project_state(part_model(CODE)))
    assert catalog_versions() == before


@pytest.mark.parametrize("what", SAME)
def test_what_the_operation_made_is_what_hand_written_sql_makes(what: str) -> None:
    condition, sql = SAME[what]
    recreate(START, f"ALTER TABLE part ADD CONSTRAINT wanted CHECK ({sql})")
    wanted = facts()
    recreate(START)
    forwards(add(condition), project_state(part_model(CODE)))
    assert facts() == wanted
    before = catalog_versions()
    forwards(add(condition), project_state(part_model(CODE)))
    assert catalog_versions() == before


@pytest.mark.parametrize("what", ANOTHER)
def test_another_expression_is_seen(what: str) -> None:
    condition, sql = ANOTHER[what]
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
        'existing rows stand against: ALTER TABLE "part" VALIDATE CONSTRAINT "wanted"\n'
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
