"""Two sessions that do the same at once: the later one finds it done, whatever it had planned."""

import threading
from typing import Any

import psycopg
import pytest
from django.db import models
from django.db.models import Q, UniqueConstraint

from signals import operations
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    PART_TABLE,
    backwards,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
    rows,
)
from tests.postgres.polling import wait_until

pytestmark = pytest.mark.usefixtures("committing_connection")

ON_AMOUNT = models.Index(fields=["amount"], name="wanted")
ON_LABEL = models.Index(fields=["label"], name="wanted")
CHECK = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
UNIQUE = UniqueConstraint(fields=["amount"], name="wanted")
INDEXED = f"{PART_TABLE} CREATE INDEX wanted ON part (amount)"
CHECKED = f"{PART_TABLE} ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)"
STATE = project_state(part_model())

CASES: dict[str, tuple[str, Any, Any, Any]] = {
    "add a column": (
        PART_TABLE,
        forwards,
        lambda: operations.AddColumnIfMissing("part", "size", models.IntegerField(null=True)),
        STATE,
    ),
    "drop a column": (
        PART_TABLE,
        forwards,
        lambda: operations.RemoveColumnIfPresent("part", "amount"),
        STATE,
    ),
    "add a check": (
        PART_TABLE,
        forwards,
        lambda: operations.AddCheckIfMissing("part", CHECK),
        STATE,
    ),
    "drop a check": (
        CHECKED,
        forwards,
        lambda: operations.RemoveCheckIfPresent("part", "wanted"),
        project_state(part_model(constraints=[CHECK])),
    ),
    "build an index": (
        PART_TABLE,
        forwards,
        lambda: operations.CreateIndexConcurrentlyIfMissing("part", ON_AMOUNT),
        STATE,
    ),
    "replace an index": (
        INDEXED,
        forwards,
        lambda: operations.CreateIndexConcurrentlyIfMissing(
            "part", ON_LABEL, on_different="replace"
        ),
        STATE,
    ),
    "drop an index": (
        INDEXED,
        forwards,
        lambda: operations.DropIndexConcurrentlyIfPresent("part", "wanted"),
        project_state(part_model(indexes=[ON_AMOUNT])),
    ),
    "take an index back": (
        INDEXED,
        backwards,
        lambda: operations.CreateIndexConcurrentlyIfMissing("part", ON_AMOUNT),
        STATE,
    ),
    "make a column unique": (
        PART_TABLE,
        forwards,
        lambda: operations.AddUniqueIfMissing("part", UNIQUE),
        STATE,
    ),
}


def waiting(holder: psycopg.Connection[Any], sessions: int) -> None:
    """Until so many sessions wait for the holder, or for one that does."""
    question = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0 AND pid <> %s"""
    pid = holder.info.backend_pid
    wait_until(lambda: rows(question, [pid])[0][0] >= sessions, f"{sessions} wait for {pid}")


@pytest.mark.parametrize("case", CASES)
def test_two_sessions_that_do_the_same_both_end_well(
    case: str, sessions: Any, background: Any, settings: Any
) -> None:
    start, direction, operation, state = CASES[case]
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 20.0, "LOCK_WAIT": 20.0}
    recreate(start)
    direction(operation(), state)
    wanted = facts()
    recreate(start)
    holder = sessions.holding("ROW EXCLUSIVE")
    first = background(direction, operation(), state)
    waiting(holder, 1)
    second = background(direction, operation(), state)
    if case not in ("build an index", "make a column unique", "replace an index"):
        waiting(holder, 2)  # the second one waits without a lock for a build in progress
    holder.rollback()
    first.result(DEADLINE)
    second.result(DEADLINE)
    assert facts() == wanted


def test_what_is_really_missing_is_refused_after_one_more_reading() -> None:
    recreate(PART_TABLE)
    condition = models.expressions.RawSQL("no_such_column > 0", (), models.BooleanField())
    check = models.CheckConstraint(condition=condition, name="wanted")
    before = facts()
    with pytest.raises(operations.StatementRefused) as caught:
        forwards(operations.AddCheckIfMissing("part", check), STATE)
    assert caught.value.sqlstate == "42703"
    assert facts() == before


def test_two_sessions_make_one_table_and_one_enum(background: Any) -> None:
    recreate()

    def make() -> None:
        forwards(operations.CreateEnumIfMissing("mood", ["ok", "sad"]), project_state())
        table = operations.CreateTableIfMissing(
            "Box", [("id", scratch_schema.SERIAL)], {"db_table": "box"}
        )
        forwards(table, project_state())

    for done in [background(make) for _ in range(4)]:
        done.result(DEADLINE)
    assert [row[2] for row in facts() if row[0] in ("enum", "constraint") and row[2]] == [
        "box_pkey",
        "mood",
    ]


@pytest.mark.parametrize("attempt", range(3))
def test_three_sessions_make_one_uniqueness(attempt: int, background: Any) -> None:
    recreate(PART_TABLE)
    barrier = threading.Barrier(3)
    unique = models.UniqueConstraint(fields=["label"], name="wanted")

    def make() -> None:
        barrier.wait(DEADLINE)
        forwards(operations.AddUniqueIfMissing("part", unique), STATE)

    for running in [background(make) for _ in range(3)]:
        running.result(DEADLINE)
    assert [row[3:5] for row in facts() if row[2] == "wanted" and row[0] == "constraint"] == [
        ("u", "UNIQUE (label)")
    ], attempt
