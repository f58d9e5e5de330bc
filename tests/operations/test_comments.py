"""Comments of tables and columns: others are replaced, and nothing else is changed by the way."""

import logging
from typing import Any

import pytest
from django.db import connection, models

from signals import operations
from signals.operations.conversion import convert
from signals.operations.conversion.atomicity import TransactionNeed
from tests.operations import scratch_schema
from tests.operations.contract.cases.alter_column_comment import COMMENTED
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    backwards,
    execute,
    forwards,
    part_model,
    project_state,
    recreate,
    value,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

OF_COLUMN = "SELECT col_description('part'::regclass, 2)"
STATE = project_state(part_model(("label", models.TextField(null=True, db_comment="old"))))


def alter(**options: Any) -> operations.AlterColumnCommentIfDifferent:
    return operations.AlterColumnCommentIfDifferent(
        "part", "label", models.TextField(**{"null": True, "db_comment": "new", **options})
    )


@pytest.mark.parametrize("found", ["'old'", "'somebody''s'", "NULL"])
def test_any_other_comment_is_replaced_and_the_former_comes_back(
    found: str, caplog: pytest.LogCaptureFixture
) -> None:
    recreate(PART_TABLE, f"COMMENT ON COLUMN part.label IS {found}")
    with caplog.at_level(logging.WARNING, logger="convergent_migrations"):
        forwards(alter(), STATE)
    told = 'replacing the comment label of "part"' in caplog.messages
    assert told == (found != "NULL")
    assert value(OF_COLUMN) == "new"
    backwards(alter(), STATE)
    assert value(OF_COLUMN) == "old"


def test_no_comment_takes_away_the_one_that_is_there() -> None:
    recreate(PART_TABLE, "COMMENT ON COLUMN part.label IS 'old'")
    forwards(alter(db_comment=None), STATE)
    assert value(OF_COLUMN) is None


def test_a_writer_is_not_in_the_way(sessions: scratch_schema.Sessions) -> None:
    recreate(PART_TABLE)
    sessions.holding("ROW EXCLUSIVE")
    forwards(alter(), STATE)
    forwards(operations.AlterTableCommentIfDifferent("part", "of steel"), STATE)
    assert value("SELECT obj_description('part'::regclass)") == "of steel"


def test_a_field_that_changes_more_is_refused() -> None:
    recreate(PART_TABLE)
    with pytest.raises(operations.Refused, match="the declaration makes label unique too"):
        forwards(alter(unique=True), STATE)
    assert value(OF_COLUMN) is None


def test_a_column_that_is_missing_is_refused_and_has_nothing_to_go_back_from() -> None:
    recreate(PART_TABLE)
    execute("ALTER TABLE part DROP COLUMN label")
    with pytest.raises(operations.Refused, match='table "part" has no column label'):
        forwards(alter(), STATE)
    backwards(alter(), STATE)


def test_it_asks_for_no_transaction_of_its_own() -> None:
    stock = models.TextField(null=True, db_comment=COMMENTED.db_comment)
    made = scratch_schema.migration(
        operations.AlterColumnCommentIfDifferent("part", "label", stock)
    )
    (change,) = convert(made.operations, APP, STATE, connection)
    assert change.need is TransactionNeed.NONE
