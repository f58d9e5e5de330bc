"""A backfill whose batch takes longer than a timeout of the role makes its batches smaller, and says so."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Value

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    PART_TABLE,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())

# Each row takes as long as `pause`, as behind a trigger that does something with it.
SLOW = """
UPDATE part SET label = NULL;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_sleep({pause}); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON part FOR EACH ROW EXECUTE FUNCTION slow();
INSERT INTO part (amount) SELECT n FROM generate_series(4, {rows}) n
"""
NONE_LEFT = "SELECT count(*) FROM part WHERE label IS NULL"


def fill() -> Any:
    return operations.BackfillInBatches("part", "label", Value("none"))


@pytest.fixture
def role_timeout() -> Iterator[Any]:
    """Give the session a timeout as the role has it."""

    def set_timeout(name: str, value: str) -> None:
        scratch_schema.execute(f"SET {name} = '{value}'")

    yield set_timeout
    scratch_schema.execute("RESET ALL")


def timeouts() -> list[str]:
    """Those of the server: transaction_timeout came with PostgreSQL 17."""
    return ["statement_timeout", "transaction_timeout"]


@pytest.mark.parametrize("name", timeouts())
def test_batches_shrink_until_they_fit_and_the_run_says_so(
    name: str, role_timeout: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recreate(PART_TABLE, SLOW.format(pause=0.002, rows=200))
    known = scratch_schema.rows("SELECT name FROM pg_settings WHERE name = %s", [name])
    role_timeout(name if known else "statement_timeout", "200ms")
    with caplog.at_level(logging.WARNING, "convergent_migrations"):
        forwards(fill(), STATE)
    assert scratch_schema.value(NONE_LEFT) == 0
    first = next(each for each in caplog.messages if "do not fit" in each)
    assert first == (
        "Fill label of part in batches where it is null: 200 rows do not fit into the session's timeout of "
        "0.2 s; going on with 100 at a time"
    )


def test_a_single_row_that_does_not_fit_ends_the_run_in_words(role_timeout: Any) -> None:
    recreate(PART_TABLE, SLOW.format(pause="CASE WHEN NEW.id < 3 THEN 0 ELSE 1 END", rows=4))
    role_timeout("statement_timeout", "100ms")
    with pytest.raises(operations.ConvergenceError) as failed:
        forwards(fill(), STATE)
    assert str(failed.value) == (
        "Fill label of part in batches where it is null: the server did not go on: a batch of a single row "
        "takes longer than the session's timeout of 0.1 s\n"
        "  kept:   the 2 rows filled so far; the next run continues from there\n"
        "  to fix: let the role have more time (ALTER ROLE … SET statement_timeout), or ask who cancelled "
        "it, and run migrate again"
    )
    assert scratch_schema.value(NONE_LEFT) == 2
    assert connection.is_usable()
