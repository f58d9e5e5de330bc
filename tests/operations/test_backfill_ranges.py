"""The ranges of keys that a backfill walks: how large they are, of which keys, and by which index."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import F, Value
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations import backfill
from signals.operations.catalog.contents import KeyRange, next_range
from signals.operations.catalog.questions import find_table
from signals.operations.execution.policy import batch_time, shortest_timeout
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
UNLABELLED = f"{PART_TABLE} UPDATE part SET label = NULL; "


def fill(**options: Any) -> Any:
    return operations.BackfillInBatches("part", "label", Value("none"), **options)


def versions(where: str = "true") -> list[tuple[Any, ...]]:
    """The number of rows by the transaction that wrote them, from the first on."""
    return scratch_schema.rows(
        f"SELECT count(*) FROM part WHERE {where} GROUP BY xmin::text ORDER BY min(xmin::text::bigint)"
    )


@pytest.mark.parametrize(
    ("target_time", "sizes"),
    [(3600, [2, 4, 8, 6]), (1e-9, [2, *[1] * 18])],
    ids=["grow to twice as many", "shrink at once"],
)
def test_batches_follow_the_time_that_they_are_to_take(
    target_time: float, sizes: list[int], settings: Any
) -> None:
    """The operation's own goes before the setting."""
    for given, of_setting in (({"target_time": target_time}, 1), ({}, target_time)):
        settings.CONVERGENT_MIGRATIONS = {"BATCH_TIME": of_setting}
        recreate(UNLABELLED, "INSERT INTO part (amount) SELECT n FROM generate_series(1, 17) n")
        forwards(fill(batch_size=2, **given), STATE)
        assert versions() == [(size,) for size in sizes]


@pytest.mark.parametrize(
    ("size", "written", "took", "following"),
    [
        (1000, 1000, 1.0, 1000),
        (1000, 1000, 0.8, 1250),
        (1000, 1000, 0.0, 2000),
        (1000, 1000, 4.0, 250),
        (1000, 1000, 600.0, 2),
        (1000, 1000, 9999.0, 1),
        (1, 1, 0.1, 2),
        (1000, 10, 0.01, 1000),
        (1000, 10, 2.0, 500),
        (900_000, 900_000, 0.1, 1_000_000),
    ],
)
def test_the_size_of_the_next_batch_follows_from_the_last_one(
    size: int, written: int, took: float, following: int
) -> None:
    """One that found few rows to write does not say that more of them would fit."""
    assert backfill._next_size(size, written, took) == following


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("0", 0.5), ("100ms", 0.05), ("2min", 0.5)], ids=str
)
def test_a_batch_keeps_well_below_a_statement_timeout_of_the_role(
    timeout: str, seconds: float
) -> None:
    recreate(PART_TABLE)
    scratch_schema.execute(f"SET statement_timeout = '{timeout}'")
    assert batch_time(shortest_timeout(connection)) == seconds


def counted(queries: CaptureQueriesContext) -> tuple[int, int]:
    """How many questions for a range, how many updates."""
    texts = [query["sql"] for query in queries.captured_queries]
    return sum("row_number" in text for text in texts), sum(
        text.startswith("UPDATE") for text in texts
    )


@pytest.mark.parametrize("size", [3, 30])
def test_a_batch_takes_one_question_and_one_update(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one more question says that there is no further one."""
    monkeypatch.setattr(backfill, "_next_size", lambda size, *_: size)
    recreate(UNLABELLED, f"INSERT INTO part (amount) SELECT n FROM generate_series(4, {size}) n")
    with CaptureQueriesContext(connection) as queries:
        forwards(fill(batch_size=3), STATE)
    assert counted(queries) == (size // 3 + 1, size // 3)
    others = [query for query in queries.captured_queries if "row_number" not in query["sql"]]
    # A transaction has its begin, its isolation level, the UPDATE and its end.
    assert len(others) == 4 * (size // 3) + 5


@dataclass(frozen=True)
class Keys:
    """A table of 30 rows or more that has `label` to fill, by a key of some kind."""

    table: str
    rows: str
    fields: tuple[tuple[str, Any], ...]

    def state(self) -> ProjectState:
        fields = [*self.fields, ("label", models.TextField(null=True))]
        return project_state(
            ModelState(
                APP, "Box", [("id", models.BigAutoField(primary_key=True))], {"db_table": "box"}
            ),
            ModelState(APP, "Part", fields, {"db_table": "part"}),
        )


BOXES = "CREATE TABLE box (id bigint PRIMARY KEY); INSERT INTO box SELECT generate_series(1, 4); "
KINDS = {
    "uuid": Keys(
        "id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
        "SELECT gen_random_uuid() FROM generate_series(1, 30)",
        (("id", models.UUIDField(primary_key=True)),),
    ),
    "numeric": Keys(
        "id numeric(6, 3) PRIMARY KEY",
        "SELECT n / 8.0 - 1 FROM generate_series(1, 30) n",
        (("id", models.DecimalField(max_digits=6, decimal_places=3, primary_key=True)),),
    ),
    "double precision": Keys(
        "id float8 PRIMARY KEY",
        "SELECT 1 + n / 3e15 FROM generate_series(1, 30) n",
        (("id", models.FloatField(primary_key=True)),),
    ),
    "time, infinity too": Keys(
        "id timestamptz PRIMARY KEY",
        "SELECT now() + n * interval '1 us' FROM generate_series(1, 30) n "
        "UNION ALL VALUES ('infinity'::timestamptz), ('-infinity')",
        (("id", models.DateTimeField(primary_key=True)),),
    ),
    "text of fixed length": Keys(
        "id character(9) PRIMARY KEY",
        "SELECT n::text FROM generate_series(1, 30) n",
        (("id", models.CharField(max_length=9, primary_key=True)),),
    ),
    "text of a collation": Keys(
        'id text COLLATE "C" PRIMARY KEY',
        "SELECT chr(64 + n) || chr(97 + n % 7) FROM generate_series(1, 60) n",
        (("id", models.TextField(primary_key=True, db_collation="C")),),
    ),
    "columns, few rows by the first": Keys(
        "a integer, b integer, PRIMARY KEY (a, b)",
        "SELECT n / 4, n FROM generate_series(1, 30) n",
        (
            ("pk", models.CompositePrimaryKey("a", "b")),
            ("a", models.IntegerField()),
            ("b", models.IntegerField()),
        ),
    ),
    "columns, many rows by the first": Keys(
        "a integer, b text, c integer, PRIMARY KEY (a, b, c)",
        "SELECT n / 20, (n / 9)::text, -n FROM generate_series(1, 40) n",
        (
            ("pk", models.CompositePrimaryKey("a", "b", "c")),
            ("a", models.IntegerField()),
            ("b", models.TextField()),
            ("c", models.IntegerField()),
        ),
    ),
    "columns, a foreign key": Keys(
        "box_id bigint REFERENCES box, place integer, PRIMARY KEY (box_id, place)",
        "SELECT 1 + n % 4, n FROM generate_series(1, 30) n",
        (
            ("pk", models.CompositePrimaryKey("box_id", "place")),
            ("box", models.ForeignKey("bench.box", models.CASCADE)),
            ("place", models.IntegerField()),
        ),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 7])
def test_keys_of_every_kind_are_walked(
    kind: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_next_size", lambda size, *_: size)
    keys = KINDS[kind]
    recreate(
        f"{BOXES} CREATE TABLE part ({keys.table})",
        f"INSERT INTO part {keys.rows}",
        "ALTER TABLE part ADD label text",
    )
    with CaptureQueriesContext(connection) as queries:
        forwards(fill(batch_size=size), keys.state())
    assert scratch_schema.rows("SELECT DISTINCT label FROM part") == [("none",)]
    count = scratch_schema.value("SELECT count(*) FROM part")
    assert counted(queries)[1] == -(-count // size)
    assert {rows for (rows,) in versions()} <= {size, count % size}


def test_a_table_of_an_inherited_model_is_walked_by_its_link_to_the_parent() -> None:
    recreate(
        "CREATE TABLE box (id bigint PRIMARY KEY, label text)",
        "CREATE TABLE part (box_ptr_id bigint PRIMARY KEY REFERENCES box, size integer)",
        "INSERT INTO box SELECT generate_series(1, 9); INSERT INTO part SELECT generate_series(2, 9)",
    )
    text = ("label", models.TextField(null=True))
    parent = ModelState(
        APP, "Box", [("id", models.BigAutoField(primary_key=True)), text], {"db_table": "box"}
    )
    link = models.OneToOneField("bench.box", models.CASCADE, parent_link=True, primary_key=True)
    fields = [("box_ptr", link), ("size", models.IntegerField(null=True))]
    child = ModelState(APP, "Part", fields, {"db_table": "part"}, bases=("bench.box",))
    operation = operations.BackfillInBatches("part", "size", F("box_ptr") * 10, batch_size=3)
    with CaptureQueriesContext(connection) as queries:
        forwards(operation, project_state(parent, child))
    assert scratch_schema.rows("SELECT DISTINCT size - box_ptr_id * 10 FROM part") == [(0,)]
    assert counted(queries)[1] == 2


def test_rows_that_have_a_value_are_passed_between_two_batches_and_bound_them() -> None:
    """A walk begins at the first row that is NULL; a range has at most twenty rows for each."""
    recreate(PART_TABLE, "INSERT INTO part (label) SELECT n FROM generate_series(4, 200) n")
    scratch_schema.execute("UPDATE part SET label = NULL WHERE id IN (50, 99, 100, 101, 180)")
    (table,) = [find_table(connection, "part")]
    assert table is not None
    ask = partial(next_range, connection, table, "label", ["id"], most=2)
    assert ask(after=None) == KeyRange(("50",), ("50",), 1)
    assert ask(after=("50",)) == KeyRange(("99",), ("100",), 2)
    assert ask(after=("100",)) == KeyRange(("101",), ("101",), 1)
    assert ask(after=("101",)) == KeyRange(("180",), ("180",), 1)
    assert ask(after=("180",)) is None
    scratch_schema.execute("UPDATE part SET label = '' WHERE label IS NULL")
    assert ask(after=None) is None


def plan_of(sql: str) -> str:
    """How PostgreSQL would run the last statement of the text that is a SELECT or an UPDATE."""
    explained = re.sub(r"(?s)(.*)\n?\b((?:SELECT f\.|UPDATE ).*)", r"\1EXPLAIN \2", sql)
    with connection.cursor() as cursor:
        cursor.execute(explained)
        while cursor.description is None:
            assert cursor.nextset()
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("key", ["id", "a, b"])
def test_both_statements_of_a_batch_go_by_the_index_of_the_key(key: str) -> None:
    """Although statistics know nothing of the column, and an index on it has all rows as NULL."""
    recreate(
        "CREATE TABLE part (id integer, a integer, b integer, CONSTRAINT part_key "
        f"PRIMARY KEY ({key})); INSERT INTO part SELECT n, n / 2500, n FROM generate_series(1, 5000) n "
        "ORDER BY n % 71",
        "ANALYZE part; ALTER TABLE part ADD label text; CREATE INDEX part_label ON part (label)",
    )
    names = [(name, models.IntegerField()) for name in ("a", "b")]
    by_id = [("id", models.IntegerField(primary_key=True)), *names]
    by_two = [("pk", models.CompositePrimaryKey("a", "b")), ("id", models.IntegerField()), *names]
    fields = [*(by_id if key == "id" else by_two), ("label", models.TextField(null=True))]
    state = project_state(ModelState(APP, "Part", fields, {"db_table": "part"}))
    with CaptureQueriesContext(connection) as queries:
        forwards(fill(batch_size=2000, target_time=3600), state)
    texts = [query["sql"] for query in queries.captured_queries]
    scratch_schema.execute("SET random_page_cost = 1000")  # as if the table were a large one
    plans = [plan_of(text) for text in texts if "row_number" in text]
    scratch_schema.execute("SET enable_seqscan = off")
    plans += [plan_of(text) for text in texts if text.startswith("UPDATE")]
    assert len(plans) == 5
    assert any("enable_seqscan" in text for text in texts) == (key != "id")
    for plan in plans:
        assert "part_key" in plan, plan
        assert "Sort" not in plan, plan
        assert "part_label" not in plan, plan
