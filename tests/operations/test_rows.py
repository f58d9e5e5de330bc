"""What happens to the rows: filled in batches, converted, kept, and reasons to refuse."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, models
from django.db.migrations.state import ModelState
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations import backfill
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
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

STATE = project_state(part_model())
EMPTY = f"{PART_TABLE} UPDATE part SET label = NULL; "


def fill(value: Any = None, **options: Any) -> Any:
    return operations.BackfillInBatches("part", "label", value or Value("none"), **options)


def bigger(**options: Any) -> Any:
    return operations.AlterColumnTypeIfDifferent(
        "part", "amount", models.BigIntegerField(null=True), **options
    )


def amounts() -> str:
    return str(
        scratch_schema.value(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'part'::regclass AND attname = 'amount'"
        )
    )


def test_each_batch_is_a_transaction_of_its_own() -> None:
    recreate(EMPTY, "INSERT INTO part (amount) SELECT n FROM generate_series(1, 7) n")
    forwards(fill(batch_size=4), STATE)
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'none'") == 10
    assert scratch_schema.rows("SELECT count(*) FROM part GROUP BY xmin::text ORDER BY 1") == [
        (2,),
        (4,),
        (4,),
    ]


def test_a_row_that_has_a_value_is_not_touched() -> None:
    recreate(EMPTY, "UPDATE part SET label = 'mine' WHERE id = 2")
    before = scratch_schema.rows("SELECT xmin::text FROM part WHERE id = 2")
    forwards(fill(), STATE)
    assert scratch_schema.rows("SELECT label FROM part ORDER BY id") == [
        ("none",),
        ("mine",),
        ("none",),
    ]
    assert scratch_schema.rows("SELECT xmin::text FROM part WHERE id = 2") == before


def test_the_value_may_be_made_of_other_columns() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN size integer")
    state = project_state(part_model(("size", models.IntegerField(null=True))))
    operation = operations.BackfillInBatches("part", "size", F("amount") * 10, batch_size=2)
    forwards(operation, state)
    assert scratch_schema.rows("SELECT size FROM part ORDER BY id") == [(30,), (50,), (80,)]


def test_keys_of_text_are_walked_in_their_own_order() -> None:
    keys = ["b", "A", "a", "Z", "ä", "10", "9", "_"]
    recreate("CREATE TABLE part (code text PRIMARY KEY, label text)")
    for key in keys:
        scratch_schema.execute(f"INSERT INTO part VALUES ('{key}', NULL)")
    fields = [("code", models.TextField(primary_key=True)), ("label", models.TextField(null=True))]
    state = project_state(ModelState(APP, "Part", fields, {"db_table": "part"}))
    forwards(fill(batch_size=3), state)
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'none'") == len(keys)


def test_it_pauses_between_two_batches_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recreate(EMPTY)
    pauses: list[float] = []
    monkeypatch.setattr(backfill.time, "sleep", pauses.append)
    with caplog.at_level("INFO", logger="signals.operations"):
        forwards(fill(batch_size=2, pause=0.5), STATE)
    assert pauses
    assert set(pauses) == {0.5}
    told = [line for line in caplog.messages if "rows filled" in line]
    assert told == [
        "Fill label of part in batches where it is null: 2 rows filled, up to key 2",
        "Fill label of part in batches where it is null: 3 rows filled, up to key 3",
    ]


def test_a_value_that_is_null_for_a_row_does_not_count_as_done() -> None:
    recreate(EMPTY)
    with pytest.raises(operations.ConvergenceError):
        forwards(fill(Coalesce(F("label"), F("label"))), STATE)


def test_a_not_null_column_is_known_to_be_done_without_looking_at_a_row() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ALTER COLUMN label SET NOT NULL")
    with CaptureQueriesContext(connection) as queries:
        forwards(fill(), STATE)
    assert not [query for query in queries.captured_queries if '"label" IS NULL' in query["sql"]]
    assert queries.captured_queries


def test_back_leaves_the_values() -> None:
    recreate(EMPTY)
    forwards(fill(), STATE)
    before = catalog_versions()
    backwards(fill(), STATE)
    assert catalog_versions() == before
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'none'") == 3


@pytest.mark.parametrize(("option", "wrong"), [("batch_size", 0), ("pause", -1)])
def test_a_wrong_argument_of_the_backfill_is_refused_while_coding(option: str, wrong: int) -> None:
    with pytest.raises(ValueError, match=f"{option} is {wrong} .use"):
        fill(**{option: wrong})


def test_a_rewrite_of_a_table_with_rows_is_refused_unless_allowed() -> None:
    recreate(PART_TABLE)
    before = catalog_versions()
    with pytest.raises(operations.Refused) as caught:
        forwards(bigger(), STATE)
    assert catalog_versions() == before
    assert (caught.value.reason, caught.value.fix) == (
        'the new type of amount writes table "part" anew while nobody can read it',
        "add a new column and fill it with BackfillInBatches, or insist: allow_rewrite=True",
    )
    forwards(bigger(allow_rewrite=True), STATE)
    assert amounts() == "bigint"


def test_an_empty_table_is_converted_without_asking() -> None:
    recreate(PART_TABLE, "TRUNCATE part")
    forwards(bigger(), STATE)
    assert amounts() == "bigint"
    backwards(bigger(), STATE)
    assert amounts() == "integer"


@pytest.mark.parametrize(
    "field",
    [models.CharField(max_length=20, null=True), models.TextField(null=True)],
    ids=["longer", "without a limit"],
)
def test_a_change_in_the_catalog_alone_comes_at_once(field: Any) -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN code varchar(9); UPDATE part SET code = 'x'")
    state = project_state(part_model(("code", models.CharField(max_length=9, null=True))))
    file = scratch_schema.value("SELECT pg_relation_filenode('part')")
    operation = operations.AlterColumnTypeIfDifferent("part", "code", field)
    forwards(operation, state)
    backwards(operation, state)
    forwards(operation, state)
    assert scratch_schema.value("SELECT pg_relation_filenode('part')") == file


def test_back_keeps_the_type_of_a_table_with_rows_where_that_would_rewrite_it() -> None:
    recreate(PART_TABLE)
    forwards(bigger(allow_rewrite=True), STATE)
    before = catalog_versions()
    for options in ({}, {"allow_rewrite": True, "keep_on_reverse": True}):
        backwards(bigger(**options), STATE)
        assert catalog_versions() == before
    backwards(bigger(allow_rewrite=True), STATE)
    assert amounts() == "integer"


def test_a_value_that_does_not_survive_the_conversion_stops_it() -> None:
    recreate(
        PART_TABLE, "ALTER TABLE part ADD COLUMN rate double precision; UPDATE part SET rate = 1.5"
    )
    state = project_state(part_model(("rate", models.FloatField(null=True))))
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "rate", models.IntegerField(null=True), allow_rewrite=True
    )
    before = catalog_versions()
    with pytest.raises(operations.RowsViolate):
        forwards(operation, state)
    assert catalog_versions() == before
    insisting = operations.AlterColumnTypeIfDifferent(
        "part", "rate", models.IntegerField(null=True), using="floor(rate)", allow_rewrite=True
    )
    forwards(insisting, state)
    assert scratch_schema.rows("SELECT DISTINCT rate FROM part") == [(1,)]


def test_a_text_becomes_a_column_of_an_enum_and_back() -> None:
    recreate(PART_TABLE, "CREATE TYPE kind AS ENUM ('bolt', 'nut', 'cog')")

    class Kind(models.TextField):  # type: ignore[type-arg]
        def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
            return '"kind"'

    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", Kind(null=True), allow_rewrite=True
    )
    start = facts()
    forwards(operation, STATE)
    assert ("column", "part", "label", "kind", "", "") in facts()
    before = catalog_versions()
    forwards(operation, STATE)
    assert catalog_versions() == before
    backwards(operation, STATE)
    assert facts() == start
    scratch_schema.execute("UPDATE part SET label = 'spring' WHERE id = 1")
    before = catalog_versions()
    with pytest.raises(operations.RowsViolate, match="spring"):
        forwards(operation, STATE)
    assert catalog_versions() == before


def test_a_column_with_a_default_changes_its_type_and_keeps_the_default() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN size integer DEFAULT 7 NOT NULL")
    state = project_state(part_model(("size", models.IntegerField(db_default=7))))
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "size", models.BigIntegerField(db_default=7), allow_rewrite=True
    )
    start = facts()
    forwards(operation, state)
    assert ("column", "part", "size", "bigint", "NOT NULL DEFAULT 7", "") in facts()
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert facts() == start


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
    with pytest.raises(ValueError, match=r"label is declared with null=True \(take it out\)"):
        operations.SetNotNullIfNullable("part", "label", models.TextField(null=True))


def test_back_refuses_to_drop_a_table_with_rows_and_drops_an_empty_one() -> None:
    operation = operations.CreateTableIfMissing(
        "Piece", [("id", SERIAL), ("size", models.IntegerField())], {"db_table": "piece"}
    )
    recreate()
    start = facts()
    forwards(operation, project_state())
    scratch_schema.execute("INSERT INTO piece (size) VALUES (1)")
    before = catalog_versions()
    with pytest.raises(operations.Refused) as caught:
        backwards(operation, project_state())
    assert catalog_versions() == before
    assert caught.value.reason == 'table "piece" has rows, and going back would drop them'
    scratch_schema.execute("DELETE FROM piece")
    for _ in range(2):
        backwards(operation, project_state())
        assert facts() == start


def test_what_a_table_has_beyond_the_declaration_stays() -> None:
    operation = operations.CreateTableIfMissing("Piece", [("id", SERIAL)], {"db_table": "piece"})
    recreate(
        "CREATE TABLE piece (id bigserial PRIMARY KEY, note text CHECK (note <> ''));"
        "CREATE INDEX theirs ON piece (note); INSERT INTO piece (note) VALUES ('kept')"
    )
    before = catalog_versions()
    forwards(operation, project_state())
    assert catalog_versions() == before


@pytest.mark.parametrize("options", [{}, {"later_values": ["high"]}], ids=["plain", "later"])
def test_an_enum_that_something_uses_is_kept_on_the_way_back(options: Any) -> None:
    operation = operations.CreateEnumIfMissing("grade", ["low", "mid"], **options)
    recreate()
    forwards(operation, project_state())
    scratch_schema.execute("CREATE TABLE graded (grades grade[])")
    before = catalog_versions()
    for _ in range(2):
        backwards(operation, project_state())
        assert catalog_versions() == before


def test_a_later_value_is_tolerated_wherever_it_stands() -> None:
    operation = operations.CreateEnumIfMissing("grade", ["low", "high"], later_values=["mid"])
    recreate("CREATE TYPE grade AS ENUM ('low', 'mid', 'high')")
    before = catalog_versions()
    forwards(operation, project_state())
    assert catalog_versions() == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE grade ()",
        "CREATE DOMAIN grade AS text",
        "CREATE TYPE grade AS (a int)",
        "CREATE TYPE grade AS RANGE (subtype = int)",
    ],
    ids=["table", "domain", "composite", "range"],
)
def test_a_type_of_that_name_that_is_no_enum_stops_the_run_and_is_kept(sql: str) -> None:
    operation = operations.CreateEnumIfMissing("grade", ["low", "high"])
    recreate(sql)
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, project_state())
    assert (caught.value.component, caught.value.name) == ("enum", "grade")
    for _ in range(2):
        backwards(operation, project_state())
    assert catalog_versions() == before
    assert scratch_schema.value("SELECT to_regtype('grade') IS NOT NULL")
