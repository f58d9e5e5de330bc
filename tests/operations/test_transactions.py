"""What may run inside a transaction, and what says that it may not."""

import pytest
from django.db import transaction

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.case import Case
from tests.operations.contract.cases import CASES, case_named
from tests.operations.scratch_schema import (
    SCHEMA,
    catalog_versions,
    facts,
    forwards,
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
    "index together": 'CREATE INDEX CONCURRENTLY "part_label_amount_61b6985a_idx" '
    'ON "part" ("label", "amount")',
    "index together no longer": 'DROP INDEX CONCURRENTLY "bench"."part_label_amount_61b6985a_idx"',
}


@pytest.mark.parametrize("name", [name for name in NEEDS_AUTOCOMMIT if "column" not in name])
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
