"""What may run inside a transaction, and what says that it may not."""

from typing import Any

import pytest
from django.db import models, transaction

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.case import Case
from tests.operations.contract.cases import CASES, case_named
from tests.operations.scratch_schema import (
    PART_TABLE,
    SCHEMA,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

NEEDS_AUTOCOMMIT = {
    "index": 'CREATE INDEX CONCURRENTLY "part_label" ON "part" ("label")',
    "unique constraint": 'CREATE UNIQUE INDEX CONCURRENTLY "part_label_key" ON "part" ("label")',
    "unique index with a condition": 'CREATE UNIQUE INDEX CONCURRENTLY "part_label_key" ON "part" '
    '("label") WHERE "amount" > 0',
    "backfill": "one short transaction for each batch",
    "dropped index": 'DROP INDEX CONCURRENTLY "bench"."part_label"',
    "column with an index": 'CREATE INDEX CONCURRENTLY "part_stock_f3bb5a63" ON "part" ("stock")',
}


@pytest.mark.parametrize("name", list(NEEDS_AUTOCOMMIT)[:5])
def test_a_step_that_needs_autocommit_names_the_fix_before_anything_is_sent(name: str) -> None:
    chosen = case_named(name)
    recreate(chosen.start)
    before = catalog_versions()
    with pytest.raises(operations.NeedsAutocommit) as caught:
        forwards(chosen.make(), project_state(*chosen.models), atomic=True)
    assert catalog_versions() == before
    sql = NEEDS_AUTOCOMMIT[name]
    assert (caught.value.operation, caught.value.sql) == (chosen.describes, sql)
    assert str(caught.value) == (
        f"{chosen.describes} cannot run inside a transaction "
        f"(set atomic = False on the migration): {sql}"
    )


@pytest.mark.parametrize("name", NEEDS_AUTOCOMMIT)
def test_what_is_done_already_is_at_home_in_a_transaction(name: str) -> None:
    chosen = case_named(name)
    state = project_state(*chosen.models)
    recreate(chosen.start)
    forwards(chosen.make(), state)
    before = catalog_versions()
    forwards(chosen.make(), state, atomic=True)
    assert catalog_versions() == before


@pytest.mark.parametrize(
    "chosen",
    [each for each in CASES if each.name not in NEEDS_AUTOCOMMIT and "unique" not in each.name],
    ids=str,
)
def test_the_others_run_in_a_transaction_and_vanish_with_it(chosen: Case) -> None:
    state = project_state(*chosen.models)
    recreate(chosen.start, chosen.done)
    wanted = facts()
    recreate(chosen.start)
    start = facts()
    try:
        forwards(chosen.make(), state, atomic=True)
    except operations.NeedsAutocommit:
        assert "foreign key" in chosen.name  # its index comes concurrently
        assert facts() == start
        return
    assert facts() == wanted
    recreate(chosen.start)
    with transaction.atomic():
        forwards(chosen.make(), state)
        transaction.set_rollback(True)
    scratch_schema.execute(f"SET search_path TO {SCHEMA}")
    assert facts() == start


def test_the_probe_leaves_nothing_behind_in_a_transaction_that_goes_on() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN state text DEFAULT 'new' NOT NULL")
    operation: Any = operations.AddColumnIfMissing(
        "part", "state", models.TextField(db_default="new")
    )
    with transaction.atomic():
        for _ in range(3):
            forwards(operation, project_state(part_model()))
        found = scratch_schema.value(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'signals_operations%'"
        )
        assert found == 0
        scratch_schema.execute("INSERT INTO part (label) VALUES ('kept')")
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'kept'") == 1


def test_the_failure_of_a_probe_leaves_the_transaction_usable() -> None:
    """What is declared refers to a column that the table has not: the probe itself fails."""
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)")
    scratch_schema.execute("ALTER TABLE part RENAME COLUMN label TO title")
    condition = models.Q(label="x")
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )
    with transaction.atomic():
        with pytest.raises(Exception, match="label"):
            forwards(operation, project_state(part_model()))
        assert scratch_schema.value("SELECT count(*) FROM part") == 3
