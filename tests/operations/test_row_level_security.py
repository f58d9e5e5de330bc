"""Rows that row level security hides are not taken for none."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.db.models.functions import Now

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    PART_TABLE,
    backwards,
    catalog_versions,
    forwards,
    part_model,
    project_state,
    recreate,
    role_name,
)

pytestmark = pytest.mark.usefixtures("committing_connection")


@pytest.fixture
def hidden_rows(committing_connection: None) -> Iterator[None]:
    """The owner of the table sees none of its rows."""
    role = role_name("keeper")
    scratch_schema.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role}")
    recreate(
        PART_TABLE,
        "ALTER TABLE part ENABLE ROW LEVEL SECURITY; ALTER TABLE part FORCE ROW LEVEL SECURITY",
        f"GRANT ALL ON SCHEMA bench TO {role}; ALTER TABLE part OWNER TO {role}; SET ROLE {role}",
    )
    yield
    scratch_schema.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("make", "back"),
    [
        (
            lambda: operations.CreateTableIfMissing(
                "Part", list(part_model().fields.items()), {"db_table": "part"}
            ),
            True,
        ),
        (
            lambda: operations.AlterColumnTypeIfDifferent(
                "part", "label", models.CharField(max_length=2, null=True)
            ),
            False,
        ),
        (lambda: operations.BackfillInBatches("part", "made_at", Now()), False),
    ],
    ids=["table, backwards", "type", "backfill"],
)
def test_rows_that_row_level_security_hides_are_not_taken_for_none(
    make: Any, back: bool, hidden_rows: None
) -> None:
    before, operation = catalog_versions(), make()
    with pytest.raises(operations.ConvergenceError, match="row level security"):
        (backwards if back else forwards)(
            operation, project_state() if back else project_state(part_model())
        )
    assert catalog_versions() == before
    scratch_schema.execute("RESET ROLE")
    assert scratch_schema.rows("SELECT label FROM part ORDER BY id") == [
        ("bolt",),
        ("nut",),
        ("cog",),
    ]
