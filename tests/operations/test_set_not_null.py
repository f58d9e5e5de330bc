"""What makes a column not null, and what the operation refuses to do beside."""

import pytest
from django.db import DatabaseError, connection, models

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    PART_TABLE,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


def test_not_null_does_nothing_else() -> None:
    recreate(PART_TABLE)
    marked = catalog_versions()
    operation = operations.SetNotNullIfNullable("part", "amount", models.IntegerField(unique=True))
    with pytest.raises(operations.Refused, match="makes amount unique too"):
        forwards(operation, project_state(part_model()))
    assert catalog_versions() == marked


def test_rows_that_are_null_stop_not_null_and_the_next_run_goes_on() -> None:
    recreate(PART_TABLE)
    operation = operations.SetNotNullIfNullable("part", "made_at", models.DateTimeField())
    for _ in range(2):
        with pytest.raises(operations.RowsViolate):
            forwards(operation, STATE)
    with pytest.raises(DatabaseError):
        scratch_schema.execute("INSERT INTO part (label) VALUES ('x')")
    scratch_schema.execute("UPDATE part SET made_at = '2026-01-01' WHERE made_at IS NULL")
    forwards(operation, STATE)
    made = [row for row in facts() if row[:3] == ("column", "part", "made_at")]
    assert made[0][4] == "NOT NULL"
    assert not [row for row in facts() if row[0] == "constraint" and row[3] == "c"]


def test_not_null_of_a_nullable_field_is_refused_while_coding() -> None:
    with pytest.raises(ValueError, match=r"label is declared with null=True \(remove that\)"):
        operations.SetNotNullIfNullable("part", "label", models.TextField(null=True))


def test_a_not_null_constraint_that_is_not_valid_is_unfinished() -> None:
    """PostgreSQL 18 lets attnotnull stand for rows that are NULL all the same."""
    recreate(PART_TABLE, "UPDATE part SET label = NULL WHERE id = 1")
    state = project_state(part_model())
    operation = operations.SetNotNullIfNullable("part", "label", models.TextField())
    if connection.pg_version < 180000:  # type: ignore[attr-defined]
        with pytest.raises(operations.RowsViolate):
            forwards(operation, state)
    else:
        scratch_schema.execute(
            "ALTER TABLE part ADD CONSTRAINT label_given NOT NULL label NOT VALID"
        )
        with pytest.raises(operations.RowsViolate):
            forwards(operation, state)
    scratch_schema.execute("UPDATE part SET label = 'none' WHERE label IS NULL")
    forwards(operation, state)
    given = [row for row in facts() if row[0] == "constraint" and row[3] == "n"]
    assert all(row[5] == "true" for row in given)
