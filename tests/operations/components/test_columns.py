"""When a column that exists is the declared one, and when it is another."""

from typing import Any

import pytest
from django.contrib.postgres.functions import RandomUUID
from django.db import connection, models
from django.db.models import F

from signals import operations
from tests.operations import scratch_schema
from tests.operations.components.assertions import assert_different
from tests.operations.components.definition_pairs.columns import OTHER_COLUMNS, SAME_COLUMNS
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


def table(**options: Any) -> str:
    return f"{PART_TABLE} TRUNCATE part; ALTER TABLE part ADD COLUMN c {options['c']};"


@pytest.mark.parametrize("what", SAME_COLUMNS)
def test_another_spelling_is_the_same_column(what: str) -> None:
    field, sql = SAME_COLUMNS[what]
    recreate(table(c=sql))
    before = catalog_versions()
    forwards(
        operations.AddColumnIfMissing("part", "c", field),
        project_state(part_model()),
    )
    assert catalog_versions() == before


@pytest.mark.parametrize("what", [*SAME_COLUMNS, *OTHER_COLUMNS])
def test_what_the_operation_made_is_the_declared_column(what: str) -> None:
    field, _ = {**SAME_COLUMNS, **OTHER_COLUMNS}[what]
    recreate(PART_TABLE, "TRUNCATE part")
    for _ in range(2):
        before = catalog_versions()
        forwards(
            operations.AddColumnIfMissing("part", "c", field),
            project_state(part_model()),
        )
    assert catalog_versions() == before


@pytest.mark.parametrize("what", OTHER_COLUMNS)
def test_a_column_that_differs_is_seen_and_the_advice_reconciles(what: str) -> None:
    field, sql = OTHER_COLUMNS[what]
    recreate(table(c=sql))
    state, before = project_state(part_model()), catalog_versions()
    operation = operations.AddColumnIfMissing("part", "c", field)
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, state)
    assert catalog_versions() == before
    assert caught.value.found != caught.value.wanted
    if caught.value.fix.startswith("ALTER"):
        scratch_schema.execute(caught.value.fix)
        forwards(operation, state)
    else:
        assert caught.value.fix == (
            'rename column "c" of "part", and run again, which adds the declared one beside it; drop the '
            "renamed one when nobody needs its values any more"
        )


def test_a_sequence_is_as_good_as_an_identity() -> None:
    recreate("CREATE TABLE piece (id bigserial PRIMARY KEY)")
    before = catalog_versions()
    operation = operations.CreateTableIfMissing("Piece", [("id", SERIAL)], {"db_table": "piece"})
    forwards(operation, project_state())
    assert catalog_versions() == before


def test_a_key_that_nothing_numbers_is_different() -> None:
    recreate("CREATE TABLE piece (id bigint PRIMARY KEY)")
    operation = operations.CreateTableIfMissing("Piece", [("id", SERIAL)], {"db_table": "piece"})
    with pytest.raises(operations.DifferentDefinition, match="GENERATED AS IDENTITY"):
        forwards(operation, project_state())


def test_the_existence_of_a_column_that_a_later_migration_alters_is_enough() -> None:
    recreate(table(c="integer"))
    before = catalog_versions()
    operation = operations.AddColumnIfMissing(
        "part", "c", models.TextField(null=True), altered_later=True
    )
    forwards(operation, project_state(part_model()))
    assert catalog_versions() == before


def test_rows_that_exist_stay_null_if_told_so_and_new_ones_get_the_default() -> None:
    recreate(PART_TABLE)
    operation = operations.AddColumnIfMissing(
        "part", "c", models.TextField(null=True, db_default="new"), leave_existing_null=True
    )
    forwards(operation, project_state(part_model()))
    scratch_schema.execute("INSERT INTO part (label) VALUES ('washer')")
    assert scratch_schema.rows("SELECT label, c FROM part ORDER BY id") == [
        ("bolt", None),
        ("nut", None),
        ("cog", None),
        ("washer", "new"),
    ]
    before = catalog_versions()
    forwards(operation, project_state(part_model()))
    assert catalog_versions() == before


def test_a_default_that_differs_from_row_to_row_is_refused_on_a_table_with_rows() -> None:
    field = models.UUIDField(db_default=RandomUUID())
    operation = operations.AddColumnIfMissing("part", "c", field)
    recreate(PART_TABLE)
    before = catalog_versions()
    with pytest.raises(operations.Refused) as caught:
        forwards(operation, project_state(part_model()))
    assert str(caught.value) == (
        'Add column c to part if missing: the default of c rewrites table "part" while nobody '
        "can read it; nothing was changed. To fix: leave_existing_null=True and BackfillInBatches, "
        "or insist: allow_rewrite=True"
    )
    assert catalog_versions() == before
    insisting = operations.AddColumnIfMissing("part", "c", field, allow_rewrite=True)
    forwards(insisting, project_state(part_model()))
    assert scratch_schema.value("SELECT count(DISTINCT c) FROM part") == 3
    recreate(PART_TABLE, "DELETE FROM part")
    forwards(operation, project_state(part_model()))


def test_a_default_of_python_fills_the_rows_and_leaves_no_default_in_the_database() -> None:
    recreate(PART_TABLE)
    operation = operations.AddColumnIfMissing(
        "part", "c", models.IntegerField(default=7), preserve_default=False
    )
    forwards(operation, project_state(part_model()))
    assert scratch_schema.rows("SELECT DISTINCT c FROM part") == [(7,)]
    column = next(row for row in facts() if row[:3] == ("column", "part", "c"))
    assert column[4] == "NOT NULL"
    before = catalog_versions()
    forwards(operation, project_state(part_model()))
    assert catalog_versions() == before


def test_the_column_of_the_field_is_the_one_that_db_column_names() -> None:
    recreate(PART_TABLE)
    field = models.IntegerField(null=True, db_column="Stock Level")
    operation = operations.AddColumnIfMissing("part", "stock", field)
    forwards(operation, project_state(part_model()))
    assert ("column", "part", "Stock Level", "integer", "", "") in facts()
    backwards(operation, project_state(part_model()))
    assert not [row for row in facts() if row[2] == "Stock Level"]


def test_back_keeps_a_column_of_another_type(caplog: pytest.LogCaptureFixture) -> None:
    recreate(table(c="text"))
    before = facts()
    operation = operations.AddColumnIfMissing("part", "c", models.IntegerField(null=True))
    for _ in range(2):
        backwards(operation, project_state(part_model()))
    assert facts() == before
    assert (
        "Add column c to part if missing, backwards: column c stays: it is text, "
        "not the declared integer"
    ) in caplog.messages


def test_back_keeps_the_column_if_told_so() -> None:
    recreate(table(c="integer"))
    before = catalog_versions()
    operation = operations.AddColumnIfMissing(
        "part", "c", models.IntegerField(null=True), keep_on_reverse=True
    )
    backwards(operation, project_state(part_model()))
    assert catalog_versions() == before


def test_a_collation_of_the_same_name_in_another_schema_is_another() -> None:
    recreate(
        'CREATE COLLATION aside."C" FROM "POSIX"',
        PART_TABLE,
        'ALTER TABLE part ADD COLUMN c text COLLATE aside."C"',
    )
    assert_different(
        operations.AddColumnIfMissing("part", "c", models.TextField(null=True, db_collation="C")),
        project_state(part_model()),
    )


class Grade(models.TextField):  # type: ignore[type-arg]
    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
        return '"grade"'


def test_a_column_whose_declared_type_does_not_exist_is_different() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN c text")
    assert_different(
        operations.AddColumnIfMissing("part", "c", Grade(null=True)), project_state(part_model())
    )


def test_a_virtual_column_is_told_from_a_stored_one() -> None:
    if connection.pg_version < 180000:
        return
    recreate(
        PART_TABLE, "ALTER TABLE part ADD COLUMN c integer GENERATED ALWAYS AS (amount * 2) VIRTUAL"
    )
    field = models.GeneratedField(
        expression=F("amount") * 2, output_field=models.IntegerField(), db_persist=True
    )
    error = assert_different(
        operations.AddColumnIfMissing("part", "c", field), project_state(part_model())
    )
    assert error.found != error.wanted
