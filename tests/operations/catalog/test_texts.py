"""A statement is sent with its settings and the next question, and fails alone."""

from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from signals.operations.catalog.query import execute_in_savepoint, execute_in_transaction
from tests.operations.scratch_schema import recreate, value

pytestmark = pytest.mark.usefixtures("committing_connection")

IN_ROOM = "SELECT set_config('lock_timeout', '7s', true)"
ADD = "ALTER TABLE part ADD COLUMN a integer"
QUESTION = (
    "SELECT attname FROM pg_attribute WHERE attrelid = 'part'::regclass AND attnum > 0 ORDER BY 1"
)
FAILS = "SELECT 1 / 0"
DEFERRED = "CREATE TABLE part (id bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)"


def alone(statement: str, question: str) -> list[tuple[Any, ...]]:
    return execute_in_transaction(connection, statement, IN_ROOM, title="it", question=question)


def in_savepoint(statement: str, question: str) -> list[tuple[Any, ...]]:
    ending = "SELECT set_config('lock_timeout', '9s', true)"
    return execute_in_savepoint(
        connection, statement, IN_ROOM, ending, title="it", question=question
    )


@pytest.fixture(autouse=True)
def _table() -> None:
    recreate(DEFERRED)


def columns() -> int:
    return int(
        value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'part'::regclass AND attnum > 0")
    )


def test_the_question_is_answered_behind_the_statement() -> None:
    assert alone(ADD, QUESTION) == [("a",), ("id",)]
    assert alone("ALTER TABLE part DROP COLUMN a", "") == []
    assert not connection.in_atomic_block


def test_a_question_that_fails_leaves_the_statement() -> None:
    assert alone(ADD, FAILS) == []
    assert columns() == 2


def test_a_statement_that_fails_leaves_nothing() -> None:
    with pytest.raises(DataError):
        alone(f"{ADD}; {FAILS}", QUESTION)
    assert columns() == 1


def test_what_commit_refuses_is_raised() -> None:
    with pytest.raises(IntegrityError):
        alone("INSERT INTO part VALUES (1), (1)", QUESTION)
    assert value("SELECT count(*) FROM part") == 0


def test_what_a_trigger_refuses_at_commit_is_raised() -> None:
    recreate(
        "CREATE TABLE part (id bigint PRIMARY KEY)",
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM 1 / 0; RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON part DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(DataError):
        alone("INSERT INTO part VALUES (1)", QUESTION)
    assert value("SELECT count(*) FROM part") == 0
    with pytest.raises(DataError):
        alone("INSERT INTO part VALUES (1)", FAILS)
    assert alone(ADD, FAILS) == []
    assert columns() == 2


def test_in_an_open_transaction_a_failure_leaves_the_transaction_and_its_settings() -> None:
    with transaction.atomic():
        assert in_savepoint(ADD, QUESTION) == [("a",), ("id",)]
        assert value("SHOW lock_timeout") == "9s"
        with pytest.raises(DataError):
            in_savepoint(f"ALTER TABLE part DROP COLUMN a; {FAILS}", QUESTION)
        assert value("SHOW lock_timeout") == "9s"
    assert columns() == 2
