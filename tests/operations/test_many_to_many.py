"""The table of a ManyToManyField comes, goes and stays with its model."""

from typing import Any

import pytest
from django.db import models

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    OTHER_SCHEMA,
    SCHEMA,
    SERIAL,
    backwards,
    facts,
    forwards,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")


def boxes() -> tuple[Any, Any]:
    """A table with a ManyToManyField, made, and its state before and after."""
    recreate()
    before = project_state()
    lid = operations.CreateTableIfMissing("Lid", [("id", SERIAL)], {"db_table": "lid"})
    forwards(lid, before)
    lid.state_forwards(APP, before)
    fields = [("id", SERIAL), ("lids", models.ManyToManyField("bench.lid"))]
    box = operations.CreateTableIfMissing("Box", fields, {"db_table": "box"})
    forwards(box, before)
    return box, before


def test_a_many_to_many_that_was_removed_comes_back() -> None:
    box, state = boxes()
    wanted = facts()
    box.state_forwards(APP, state)
    operation = operations.RemoveColumnIfPresent("box", "lids")
    forwards(operation, state)
    assert facts() != wanted
    for _ in range(2):
        backwards(operation, state)
        assert facts() == wanted


def test_a_table_with_rows_keeps_the_table_of_its_many_to_many_on_the_way_back() -> None:
    box, state = boxes()
    scratch_schema.execute("INSERT INTO box DEFAULT VALUES")
    start = facts()
    with pytest.raises(operations.Refused, match="nothing was changed"):
        backwards(box, state)
    assert facts() == start


def test_removing_a_many_to_many_leaves_the_namesake_of_a_later_schema() -> None:
    box, state = boxes()
    box.state_forwards(APP, state)
    scratch_schema.execute("ALTER TABLE box_lids SET SCHEMA aside")
    start = facts()
    with scratch_schema.search_path(f"{SCHEMA}, {OTHER_SCHEMA}"):
        forwards(operations.RemoveColumnIfPresent("box", "lids"), state)
    assert facts() == start
