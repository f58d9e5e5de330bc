"""Sets of fields, renames of indexes, exclusions and comments on a partitioned table."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals import operations
from tests.operations.components.partitioned_table import (
    STATE,
    TREE,
    all_valid,
    attached_indexes,
    index_oids,
)
from tests.operations.contract.cases.add_exclusion import APART
from tests.operations.contract.cases.rename_index import FORMER, rename
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import (
    backwards,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
    sent_changes,
    value,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

RENAMING = project_state(part_model(indexes=[FORMER]))
SETS = {
    "unique": operations.AlterUniqueTogetherIfNeeded("part", {("id", "label")}),
    "indexed": operations.AlterIndexTogetherIfNeeded("part", {("id", "label")}),
}


def own_index() -> str:
    """Return the name of the one index of the root."""
    name: str = value(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'part'::regclass"
    )
    return name


def sent(operation: Any, state: Any = STATE) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        forwards(operation, state)
    return sent_changes(queries)


@pytest.mark.parametrize("operation", SETS.values(), ids=SETS)
def test_a_set_is_built_on_each_partition_and_goes_from_all(operation: Any) -> None:
    recreate(TREE)
    start = facts()
    forwards(operation, STATE)
    assert attached_indexes(own_index()) == all_valid()
    assert sent(operation) == []
    backwards(operation, STATE)
    assert facts() == start


@pytest.mark.parametrize("operation", SETS.values(), ids=SETS)
def test_a_set_that_a_killed_run_has_begun_is_completed_or_goes(
    operation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate(TREE)
    start = facts()
    for act, is_done in ((forwards, True), (backwards, False)):
        recreate(TREE)
        with monkeypatch.context() as patch:
            kill_after(patch, 2)
            with pytest.raises(Killed):
                forwards(operation, STATE)
        act(operation, STATE)
        assert (facts() == start) != is_done
        assert not is_done or attached_indexes(own_index()) == all_valid()


def test_an_index_is_renamed_at_the_root() -> None:
    recreate(TREE, "CREATE INDEX part_former ON part (label)")
    number = index_oids()["part_former"]
    forwards(rename(), RENAMING)
    assert index_oids()["part_label"] == number
    assert attached_indexes("part_label") == all_valid()
    assert sent(rename(), RENAMING) == []
    backwards(rename(), RENAMING)
    assert index_oids()["part_former"] == number


def test_a_missing_index_is_built_on_each_partition() -> None:
    recreate(TREE)
    forwards(rename(), RENAMING)
    assert attached_indexes("part_label") == all_valid()


def test_a_twin_of_the_old_name_is_dropped_with_its_parts() -> None:
    recreate(TREE, "CREATE INDEX part_label ON part (label)")
    wanted = facts()
    recreate(
        TREE, "CREATE INDEX part_label ON part (label); CREATE INDEX part_former ON part (label)"
    )
    forwards(rename(), RENAMING)
    assert facts() == wanted


def test_an_exclusion_that_the_server_cannot_hold_over_partitions_is_refused_in_words() -> None:
    recreate(TREE)
    start = facts()
    operation = operations.AddExclusionIfMissing("part", APART, allow_blocking_build=True)
    with pytest.raises(operations.StatementRefused, match="Add exclusion part_apart to part"):
        forwards(operation, STATE)
    assert facts() == start


def test_the_root_gets_its_comment() -> None:
    recreate(TREE)
    operation = operations.AlterTableCommentIfDifferent("part", "in ranges")
    forwards(operation, STATE)
    assert value("SELECT obj_description('part'::regclass)") == "in ranges"
    assert sent(operation) == []
