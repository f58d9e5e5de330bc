"""A table without rows gets its parts in one transaction, and waits for nobody's old snapshot."""

import logging
from typing import Any

import psycopg
import pytest
from django.db import connection, models
from django.db.migrations.state import ModelState
from django.db.models import Q, UniqueConstraint

from signals import operations
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.contract.case import Case
from tests.operations.contract.cases import CASES
from tests.operations.scratch_schema import (
    APP,
    EMPTY_PART_TABLE,
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

STATE = project_state(part_model())
INDEX = models.Index(fields=["label"], name="wanted")

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def shape() -> list[tuple[Any, ...]]:
    return [fact for fact in facts() if fact[0] != "row"]


def sent(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def add_index() -> Any:
    return operations.CreateIndexConcurrentlyIfMissing("part", INDEX)


@each_case
def test_it_ends_as_on_a_table_with_rows_and_there_and_back_waits_for_no_snapshot(
    case: Case, sessions: Any
) -> None:
    state = project_state(*case.models)
    recreate(case.start)
    forwards(case.make(), state)
    there = shape()
    backwards(case.make(), state)
    back = shape()
    recreate(case.start, EMPTY_PART_TABLE)
    sessions.with_snapshot()
    forwards(case.make(), state)
    assert shape() == there
    backwards(case.make(), state)
    assert shape() == back


@each_case
def test_an_atomic_migration_is_refused_as_on_a_table_with_rows(case: Case) -> None:
    """What passes on the empty tables of a test passes in production too."""
    state = project_state(*case.models)
    ends = []
    for rest in ("", EMPTY_PART_TABLE):
        recreate(case.start, rest)
        try:
            forwards(case.make(), state, atomic=True)
        except operations.NeedsAutocommit:
            ends.append(None)
        else:
            ends.append(shape())
    if isinstance(case.make(), operations.BackfillInBatches):
        ends[1] = None  # without a row there is nothing to fill
    assert ends[0] == ends[1]


@pytest.mark.parametrize("half", ["invalid index", "check NOT VALID"])
def test_what_a_failed_run_left_is_finished_at_once(
    half: str, sessions: Any, caplog: pytest.LogCaptureFixture
) -> None:
    check = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
    recreate(PART_TABLE)
    if half == "invalid index":
        scratch_schema.execute("INSERT INTO part (label) VALUES ('bolt')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            sessions().execute("CREATE UNIQUE INDEX CONCURRENTLY wanted ON part (label)")
        operation: Any = operations.AddUniqueIfMissing(
            "part", UniqueConstraint(fields=["label"], name="wanted")
        )
    else:
        scratch_schema.execute(
            "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0) NOT VALID"
        )
        operation = operations.AddCheckIfMissing("part", check)
    scratch_schema.execute("TRUNCATE part")
    sessions.with_snapshot()
    forwards(operation, STATE)
    assert "healing the unfinished" in caplog.text
    assert all(finding.status.is_right for finding in found(operation))


def found(operation: Any) -> list[operations.Finding]:
    state = STATE.clone()
    operation.state_forwards(APP, state)
    findings: list[operations.Finding] = operation.findings(
        operation.locate(APP, connection, state, STATE)
    )
    return findings


def test_rows_that_come_meanwhile_are_met_concurrently(
    sessions: Any, background: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "convergent_migrations")
    recreate(PART_TABLE, "TRUNCATE part")
    writer = sessions(autocommit=False)
    writer.execute("INSERT INTO part (label) VALUES ('late')")
    running = background(forwards, add_index(), STATE)
    wait_until(
        lambda: any("SHARE MODE" in text for text in sent(caplog)) or running.done(), "it locks"
    )
    assert not running.done()
    writer.commit()
    running.result(DEADLINE)
    assert sent(caplog)[-1].startswith('CREATE INDEX CONCURRENTLY "wanted"')
    assert [row[4] for row in facts() if row[:1] == ("index",) and row[2] == "wanted"] == [
        "valid ready"
    ]
    assert rows("SELECT label FROM part") == [("late",)]


@pytest.mark.parametrize(
    ("sql", "concurrent"),
    [
        ("TRUNCATE part", False),
        ("DELETE FROM part", False),
        ("SELECT", True),
        (
            (
                "INSERT INTO part (label) SELECT repeat('x', 500) FROM generate_series(1, 4000);"
                "DELETE FROM part"
            ),
            True,
        ),
        (
            "TRUNCATE part; CREATE TABLE child () INHERITS (part); INSERT INTO child (id) VALUES (9)",
            True,
        ),
    ],
    ids=["empty", "emptied", "with rows", "of dead rows alone", "with rows in a child"],
)
def test_only_a_small_table_without_a_row_is_locked(
    sql: str, concurrent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "convergent_migrations")
    recreate(PART_TABLE, sql)
    forwards(add_index(), STATE)
    assert ["CONCURRENTLY" in text for text in sent(caplog)] == [concurrent]


def test_readers_of_an_empty_table_go_on_while_it_is_indexed(sessions: Any) -> None:
    recreate(PART_TABLE, "TRUNCATE part")
    sessions.holding("ACCESS SHARE")
    forwards(add_index(), STATE)


def test_a_name_that_looks_like_the_keyword_is_kept() -> None:
    recreate('CREATE TABLE "a CONCURRENTLY %s" (id bigint PRIMARY KEY)')
    model = ModelState(
        APP,
        "Odd",
        [("id", scratch_schema.SERIAL)],
        {"db_table": "a CONCURRENTLY %s"},
    )
    index = models.Index(fields=["id"], name="x CONCURRENTLY y")
    operation = operations.CreateIndexConcurrentlyIfMissing("odd", index)
    forwards(operation, project_state(model))
    assert [row[2] for row in facts() if row[0] == "index"] == [
        "a CONCURRENTLY %s_pkey",
        "x CONCURRENTLY y",
    ]
    backwards(operation, project_state(model))
    assert [row[2] for row in facts() if row[0] == "index"] == ["a CONCURRENTLY %s_pkey"]
