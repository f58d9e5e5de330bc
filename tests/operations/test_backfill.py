"""Fill a column in batches: which rows, in which order, and what a refused batch says."""

from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.state import ModelState
from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Now, Upper
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations import backfill
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    REPEATABLE_READ,
    backwards,
    catalog_versions,
    forwards,
    part_model,
    project_state,
    recreate,
)
from tests.postgres.polling import wait_for_rows

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
PARTS = STATE.apps.get_model(APP, "part")._base_manager
UNLABELLED = f"{PART_TABLE} UPDATE part SET label = NULL; "
WAITING_UPDATE = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%'
"""


def fill(value: Any = None, **options: Any) -> Any:
    return operations.BackfillInBatches("part", "label", value or Value("none"), **options)


def test_each_batch_is_a_transaction_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "_next_size", lambda size, *_: size)
    recreate(UNLABELLED, "INSERT INTO part (amount) SELECT n FROM generate_series(1, 7) n")
    forwards(fill(batch_size=4), STATE)
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'none'") == 10
    assert scratch_schema.rows("SELECT count(*) FROM part GROUP BY xmin::text ORDER BY 1") == [
        (2,),
        (4,),
        (4,),
    ]


def test_a_row_that_has_a_value_is_not_touched() -> None:
    recreate(UNLABELLED, "UPDATE part SET label = 'mine' WHERE id = 2")
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
    keys = [
        "b",
        "A",
        "a",
        "Z",
        "ä",
        "10",
        "9",
        "_",
        "",
        "%s",
        "100%",
        "it''s",
        "\\",
        '"',
        " ",
        "<from>",
    ]
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
    recreate(UNLABELLED)
    pauses: list[float] = []
    monkeypatch.setattr(backfill.time, "sleep", pauses.append)
    with caplog.at_level("INFO", logger="convergent_migrations"):
        forwards(fill(batch_size=2, pause=0.5), STATE)
    assert pauses
    assert set(pauses) == {0.5}
    told = [line for line in caplog.messages if "rows filled" in line]
    assert told == [
        "Fill label of part in batches where it is null: 2 rows filled, up to key 2",
        "Fill label of part in batches where it is null: 3 rows filled, up to key 3",
    ]


def test_a_value_that_is_null_for_a_row_does_not_count_as_done() -> None:
    recreate(UNLABELLED)
    with pytest.raises(operations.ConvergenceError):
        forwards(fill(Coalesce(F("label"), F("label"))), STATE)


def test_a_not_null_column_is_known_to_be_done_without_looking_at_a_row() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ALTER COLUMN label SET NOT NULL")
    with CaptureQueriesContext(connection) as queries:
        forwards(fill(), STATE)
    assert not [query for query in queries.captured_queries if '"label" IS NULL' in query["sql"]]
    assert queries.captured_queries


def test_back_leaves_the_values() -> None:
    recreate(UNLABELLED)
    forwards(fill(), STATE)
    before = catalog_versions()
    backwards(fill(), STATE)
    assert catalog_versions() == before
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'none'") == 3


@pytest.mark.parametrize(
    ("option", "wrong"),
    [("batch_size", 0), ("pause", -1), ("target_time", 0), ("target_time", True)],
)
def test_a_wrong_argument_of_the_backfill_is_refused_while_coding(option: str, wrong: int) -> None:
    with pytest.raises(ValueError, match=f"{option} is {wrong} .use"):
        fill(**{option: wrong})


FILLINGS: dict[str, tuple[str, Any, type[Exception]]] = {
    "a check refuses it": (
        "ALTER TABLE part ADD CONSTRAINT small CHECK (size < 3)",
        Value(7),
        operations.RowsViolate,
    ),
    "it raises on a row": ("SELECT", 1 / (F("amount") - 3), operations.RowsViolate),
    "a trigger refuses it": (
        (
            "CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'closed'; END $$;"
            "CREATE TRIGGER closed BEFORE UPDATE ON part FOR EACH ROW EXECUTE FUNCTION closed()"
        ),
        Value(7),
        operations.StatementRefused,
    ),
}


@pytest.mark.parametrize("what", FILLINGS)
def test_a_batch_that_is_refused_says_so_in_words(what: str) -> None:
    sql, value, error = FILLINGS[what]
    recreate(PART_TABLE, "ALTER TABLE part ADD size integer", sql)
    operation = operations.BackfillInBatches("part", "size", value)
    with pytest.raises(error):
        forwards(operation, project_state(part_model(("size", models.IntegerField(null=True)))))


def test_a_batch_waits_for_the_row_locks_of_others_whatever_the_roles_lock_timeout(
    sessions: Any, background: Any
) -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD size integer")
    writer, watcher = sessions(autocommit=False), sessions()
    writer.execute("UPDATE part SET label = 'mine' WHERE id = 1")
    operation = operations.BackfillInBatches("part", "size", Value(7))

    def run() -> None:
        scratch_schema.execute(f"SET lock_timeout = '50ms'; {REPEATABLE_READ}")
        forwards(operation, project_state(part_model(("size", models.IntegerField(null=True)))))

    running = background(run)
    wait_for_rows(watcher, WAITING_UPDATE)
    writer.commit()
    running.result(DEADLINE)
    assert scratch_schema.rows("SELECT DISTINCT size FROM part") == [(7,)]


def test_a_value_that_somebody_writes_meanwhile_stays(sessions: Any, background: Any) -> None:
    recreate(UNLABELLED)
    writer, watcher = sessions(autocommit=False), sessions()
    writer.execute("UPDATE part SET label = 'mine' WHERE id = 2")
    running = background(forwards, fill(), STATE)
    wait_for_rows(watcher, WAITING_UPDATE)
    writer.commit()
    running.result(DEADLINE)
    assert scratch_schema.rows("SELECT label FROM part ORDER BY id") == [
        ("none",),
        ("mine",),
        ("none",),
    ]


def test_rows_that_come_behind_the_walk_are_filled_by_a_second_one(
    monkeypatch: pytest.MonkeyPatch, sessions: Any
) -> None:
    recreate(UNLABELLED)
    other = sessions()
    rows = iter(["INSERT INTO part (id) VALUES (-7), (-8)"])
    monkeypatch.setattr(
        backfill.time, "sleep", lambda _: other.execute(next(rows, "SELECT").encode())
    )
    forwards(fill(batch_size=2), STATE)
    assert scratch_schema.rows("SELECT id, label FROM part WHERE id < 0 ORDER BY id") == [
        (-8, "none"),
        (-7, "none"),
    ]


VALUES: dict[str, tuple[Any, str]] = {
    "a value of a type": (Value("x", output_field=models.TextField()), "label = 'x'"),
    "a field": (F("amount"), "label = amount::text"),
    "a function": (Upper(Value("x")), "label = 'X'"),
    "the time": (Now(), "label::timestamptz BETWEEN now() - interval '1 h' AND now()"),
    "a row of a table": (
        Subquery(PARTS.filter(pk=OuterRef("pk")).values("amount")[:1]),
        "label = amount::text",
    ),
}


@pytest.mark.parametrize("what", VALUES)
def test_the_value_may_be_any_expression(what: str) -> None:
    value, condition = VALUES[what]
    recreate(UNLABELLED)
    forwards(fill(value, batch_size=2), STATE)
    assert scratch_schema.value(f"SELECT bool_and({condition}) FROM part")


def test_a_table_without_the_column_of_the_key_is_refused() -> None:
    recreate("CREATE TABLE part (label text, amount integer); INSERT INTO part DEFAULT VALUES")
    with pytest.raises(operations.Refused, match="has no column id"):
        forwards(fill(), STATE)
