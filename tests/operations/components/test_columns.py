"""When a column that exists is the declared one, and when it is another."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import connection, models
from django.db.models.functions import Upper

from signals import operations
from tests.operations import scratch_schema
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

NOW = models.Func(function="now", output_field=models.DateTimeField())
TWICE: Any = {"expression": models.F("amount") * 2, "output_field": models.IntegerField()}

SAME: dict[str, tuple[Any, str]] = {
    "now() as CURRENT_TIMESTAMP": (
        models.DateTimeField(db_default=NOW),
        "timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL",
    ),
    "now() as transaction_timestamp()": (
        models.DateTimeField(db_default=NOW),
        "timestamptz DEFAULT transaction_timestamp() NOT NULL",
    ),
    "0 as 0.0": (models.FloatField(db_default=0), "double precision DEFAULT 0.0 NOT NULL"),
    "0 as a text": (models.FloatField(db_default=0), "double precision DEFAULT '0' NOT NULL"),
    "1000 as 1e3": (models.FloatField(db_default=1000), "double precision DEFAULT 1e3 NOT NULL"),
    "a fraction with more zeros": (
        models.DecimalField(max_digits=6, decimal_places=2, db_default=Decimal("0.5")),
        "numeric(6,2) DEFAULT 0.500 NOT NULL",
    ),
    "-1": (models.IntegerField(db_default=-1), "integer DEFAULT -1 NOT NULL"),
    "-1 as a text": (models.IntegerField(db_default=-1), "integer DEFAULT '-1' NOT NULL"),
    "not a number": (
        models.FloatField(db_default=float("nan")),
        "double precision DEFAULT 'NaN' NOT NULL",
    ),
    "a text cast to text": (
        models.CharField(max_length=9, db_default="a"),
        "varchar(9) DEFAULT 'a'::text NOT NULL",
    ),
    "a quote and a percent sign": (
        models.TextField(db_default="it's 100%"),
        "text DEFAULT 'it''s 100%' NOT NULL",
    ),
    "true": (models.BooleanField(db_default=True), "boolean DEFAULT 't' NOT NULL"),
    "NULL": (models.TextField(null=True), "text DEFAULT NULL"),
    "NULL with a cast": (models.TextField(null=True), "text DEFAULT NULL::text"),
    "an empty array as ARRAY[]": (
        ArrayField(models.TextField(), db_default=[]),
        "text[] DEFAULT ARRAY[]::text[] NOT NULL",
    ),
    "an empty array as {}": (
        ArrayField(models.TextField(), db_default=[]),
        "text[] DEFAULT '{}' NOT NULL",
    ),
    "an empty object": (models.JSONField(db_default={}), "jsonb DEFAULT '{}' NOT NULL"),
    "an object with its keys in another order": (
        models.JSONField(db_default={"a": 1, "b": [2]}),
        """jsonb DEFAULT '{"b": [2],   "a": 1}' NOT NULL""",
    ),
    "a collation": (models.TextField(null=True, db_collation="C"), 'text COLLATE "C"'),
    "an array of limited texts": (
        ArrayField(models.CharField(max_length=5), null=True),
        "character varying(5)[]",
    ),
    "a generated column": (
        models.GeneratedField(**TWICE, db_persist=True),
        "integer GENERATED ALWAYS AS (amount * 2) STORED",
    ),
    "a function": (
        models.TextField(db_default=Upper(models.Value("x"))),
        "text DEFAULT upper('x') NOT NULL",
    ),
}

ANOTHER: dict[str, tuple[Any, str]] = {
    "a shorter varchar": (models.CharField(max_length=9, null=True), "varchar(8)"),
    "a varchar without a limit": (models.CharField(max_length=9, null=True), "varchar"),
    "a text": (models.CharField(max_length=9, null=True), "text"),
    "another scale": (
        models.DecimalField(max_digits=6, decimal_places=2, null=True),
        "numeric(6,3)",
    ),
    "a smaller integer": (models.IntegerField(null=True), "smallint"),
    "a coarser timestamp": (models.DateTimeField(null=True), "timestamptz(3)"),
    "a timestamp without time zone": (models.DateTimeField(null=True), "timestamp"),
    "json": (models.JSONField(null=True), "json"),
    "an array of longer texts": (
        ArrayField(models.CharField(max_length=5), null=True),
        "varchar(6)[]",
    ),
    "no array": (ArrayField(models.TextField(), null=True), "text"),
    "another collation": (models.TextField(null=True, db_collation="C"), 'text COLLATE "POSIX"'),
    "the default collation": (models.TextField(null=True, db_collation="C"), "text"),
    "another number": (models.FloatField(null=True, db_default=0), "float8 DEFAULT 0.1"),
    "a default where none is declared": (models.TextField(null=True), "text DEFAULT ''"),
    "an object with another value": (
        models.JSONField(null=True, db_default={"a": 1}),
        """jsonb DEFAULT '{"a": 2}'""",
    ),
    "an array with an element": (
        ArrayField(models.TextField(), null=True, db_default=[]),
        "text[] DEFAULT ARRAY['x']",
    ),
    "text that reads like another number": (
        models.TextField(null=True, db_default="1"),
        "text DEFAULT '1.0'",
    ),
    "the function in place of the text that reads like it": (
        models.TextField(null=True, db_default="now()"),
        "text DEFAULT now()",
    ),
    "the time of the clock": (
        models.DateTimeField(null=True, db_default=NOW),
        "timestamptz DEFAULT clock_timestamp()",
    ),
    "a sequence": (models.IntegerField(db_default=0), "serial"),
    "an identity": (models.IntegerField(), "integer GENERATED ALWAYS AS IDENTITY"),
    "generated otherwise": (
        models.GeneratedField(**TWICE, db_persist=True),
        "integer GENERATED ALWAYS AS (amount * 3) STORED",
    ),
    "not generated": (models.GeneratedField(**TWICE, db_persist=True), "integer DEFAULT 2"),
}


def table(**options: Any) -> str:
    return f"{PART_TABLE} TRUNCATE part; ALTER TABLE part ADD COLUMN c {options['c']};"


@pytest.mark.parametrize("what", SAME)
def test_another_spelling_is_the_same_column(what: str) -> None:
    field, sql = SAME[what]
    recreate(table(c=sql))
    before = catalog_versions()
    forwards(
        operations.AddColumnIfMissing("part", "c", field),
        project_state(part_model()),
    )
    assert catalog_versions() == before


@pytest.mark.parametrize("what", [*SAME, *ANOTHER])
def test_what_the_operation_made_is_the_declared_column(what: str) -> None:
    field, _ = {**SAME, **ANOTHER}[what]
    recreate(PART_TABLE, "TRUNCATE part")
    for _ in range(2):
        before = catalog_versions()
        forwards(
            operations.AddColumnIfMissing("part", "c", field),
            project_state(part_model()),
        )
    assert catalog_versions() == before


@pytest.mark.parametrize("what", ANOTHER)
def test_a_column_that_differs_is_seen_and_the_advice_reconciles(what: str) -> None:
    field, sql = ANOTHER[what]
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
        assert caught.value.fix == 'rename or drop column "c" of "part", and run again'


def test_a_sequence_is_as_good_as_an_identity() -> None:
    recreate("CREATE TABLE piece (id bigserial PRIMARY KEY)")
    before = catalog_versions()
    operation = operations.CreateTableIfMissing("Piece", [("id", SERIAL)], {"db_table": "piece"})
    forwards(operation, project_state())
    assert catalog_versions() == before


def test_a_key_that_nothing_numbers_is_different() -> None:
    recreate("CREATE TABLE piece (id bigint PRIMARY KEY)")
    operation = operations.CreateTableIfMissing("Piece", [("id", SERIAL)], {"db_table": "piece"})
    with pytest.raises(operations.DifferentDefinition, match="numbered by a sequence"):
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
        'Add column c to part if missing: the default of c writes table "part" anew while nobody '
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
