"""RemoveTableIfPresent: rows, what depends on the table, and the tables behind its fields."""

import pytest
from django.db import models
from django.db.migrations.state import ModelState

from signals import operations
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    SERIAL,
    backwards,
    execute,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
    value,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


def test_a_table_with_rows_is_refused_and_stays_whole() -> None:
    recreate(PART_TABLE)
    before = facts()
    with pytest.raises(operations.Refused, match="has rows, and removing it would lose them"):
        forwards(operations.RemoveTableIfPresent("Part"), STATE)
    assert facts() == before
    assert value("SELECT count(*) FROM part") == 3


def test_with_the_loss_allowed_it_goes_and_comes_back_empty() -> None:
    recreate(PART_TABLE)
    operation = operations.RemoveTableIfPresent("Part", allow_data_loss=True)
    forwards(operation, STATE)
    assert value("SELECT to_regclass('part')") is None
    forwards(operation, STATE)
    backwards(operation, STATE)
    assert value("SELECT count(*) FROM part") == 0


def test_what_depends_on_it_stops_the_run_and_is_named() -> None:
    recreate(PART_TABLE, "DELETE FROM part; CREATE VIEW report AS SELECT label FROM part")
    with pytest.raises(operations.StatementRefused, match="report depends on"):
        forwards(operations.RemoveTableIfPresent("Part"), STATE)
    assert value("SELECT count(*) FROM report") == 0


def test_the_tables_behind_its_fields_go_with_it() -> None:
    box = ModelState(
        APP,
        "Box",
        [("id", SERIAL), ("parts", models.ManyToManyField(f"{APP}.part"))],
        {"db_table": "box"},
    )
    state = project_state(part_model(), box)
    recreate(PART_TABLE)
    forwards(
        operations.CreateTableIfMissing("Box", box.fields.items(), box.options),
        project_state(part_model()),
    )
    made = facts()
    execute("INSERT INTO box DEFAULT VALUES; INSERT INTO box_parts (box_id, part_id) VALUES (1, 1)")
    with pytest.raises(operations.Refused, match="box"):
        forwards(operations.RemoveTableIfPresent("Box"), state)
    operation = operations.RemoveTableIfPresent("Box", allow_data_loss=True)
    forwards(operation, state)
    assert value("SELECT to_regclass('box_parts')") is None
    backwards(operation, state)
    assert facts() == made
