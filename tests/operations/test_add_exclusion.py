"""AddExclusionIfMissing on a table with rows: refused, or allowed after a look at the rows."""

from typing import Any

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.indexes import OpClass
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from signals import operations
from tests.operations.contract.cases.add_exclusion import APART
from tests.operations.scratch_schema import (
    EMPTY_PART_TABLE,
    PART_TABLE,
    execute,
    facts,
    forwards,
    part_model,
    printed_sql,
    project_state,
    psql,
    recreate,
    sent_changes,
    value,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
HAS_IT = "SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'part_apart')"
OVERLAPPING = "INSERT INTO part (label, amount) VALUES ('cam', 5)"


def add(**options: Any) -> operations.AddExclusionIfMissing:
    return operations.AddExclusionIfMissing("part", APART, **options)


def test_a_table_with_rows_is_refused_unless_the_migration_insists() -> None:
    recreate(PART_TABLE)
    with pytest.raises(operations.Refused) as caught:
        forwards(add(), STATE)
    assert str(caught.value) == (
        "Add exclusion part_apart to part if missing: part_apart is built while nobody can read or write, "
        'and table "part" has rows; nothing was changed. To fix: add it by hand at a quiet time and run '
        "again, or insist: allow_blocking_build=True"
    )
    forwards(add(allow_blocking_build=True), STATE)
    assert value(HAS_IT)


def test_an_empty_table_needs_no_insisting() -> None:
    recreate(PART_TABLE, EMPTY_PART_TABLE)
    forwards(add(), STATE)
    assert value(HAS_IT)


@pytest.mark.parametrize("atomic", [False, True])
def test_rows_that_exclude_each_other_are_named_before_the_table_is_locked(atomic: bool) -> None:
    recreate(PART_TABLE, OVERLAPPING)
    before = facts()
    with (
        CaptureQueriesContext(connection) as queries,
        pytest.raises(operations.RowsViolate) as caught,
    ):
        forwards(add(allow_blocking_build=True), STATE, atomic=atomic)
    assert "=([5,6)) conflicts with key " in caught.value.reason
    assert not [sql for sql in sent_changes(queries) if 'ALTER TABLE "part"' in sql]
    assert facts() == before
    execute("DELETE FROM part WHERE label = 'cam'")
    forwards(add(allow_blocking_build=True), STATE, atomic=atomic)
    assert value(HAS_IT)


def test_the_look_at_the_rows_waits_for_no_writer_and_leaves_no_copy(sessions: Any) -> None:
    recreate(PART_TABLE, OVERLAPPING)
    sessions.holding("EXCLUSIVE")
    with pytest.raises(operations.RowsViolate):
        forwards(add(allow_blocking_build=True), STATE)
    assert value("SELECT to_regclass('pg_temp.convergent_migrations_probe')") is None


def test_its_script_stops_at_a_table_with_rows_unless_the_migration_insists() -> None:
    recreate(PART_TABLE)
    stopped = psql(printed_sql(add(), STATE))
    assert stopped.returncode != 0
    assert 'part_apart is not built: table "part" has rows' in stopped.stderr
    assert not value(HAS_IT)
    for _ in range(2):
        done = psql(printed_sql(add(allow_blocking_build=True), STATE))
        assert (done.returncode, done.stderr) == (0, "")
    assert psql(printed_sql(add(), STATE)).returncode == 0
    assert value(HAS_IT)


def test_an_exclusion_of_columns_under_other_operator_classes_is_known_again() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN spot inet")
    state = project_state(part_model(("spot", models.GenericIPAddressField(null=True))))
    expressions = [(OpClass("spot", name="inet_ops"), "&&")]
    constraint = ExclusionConstraint(name="part_spot", expressions=expressions)
    operation = operations.AddExclusionIfMissing("part", constraint, allow_blocking_build=True)
    forwards(operation, state)
    with CaptureQueriesContext(connection) as queries:
        forwards(operation, state)
    assert sent_changes(queries) == []


@pytest.mark.parametrize(
    "constraint",
    [
        models.CheckConstraint(condition=models.Q(amount__gt=0), name="c"),
        models.UniqueConstraint(fields=["amount"], name="u"),
    ],
)
def test_it_takes_no_other_constraint(constraint: Any) -> None:
    with pytest.raises(TypeError, match="takes an ExclusionConstraint, not a "):
        operations.AddExclusionIfMissing("part", constraint)
