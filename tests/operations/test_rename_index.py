"""RenameIndexIfNeeded where the old name, the new one, both or neither are there."""

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations.migrate.preview import preview
from tests.operations import scratch_schema
from tests.operations.contract.cases.rename_index import FORMER, TOGETHER, of_fields, rename
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    backwards,
    forwards,
    part_model,
    printed_sql,
    project_state,
    psql,
    recreate,
    rows,
    sent_changes,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model(indexes=[FORMER]))
TOGETHER_STATE = project_state(part_model(index_together={("label", "amount")}))


def indexes() -> set[tuple[str, bool]]:
    """Return the names of the table's indexes but its key, each with whether it is valid."""
    found = rows(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'part'::regclass"
    )
    return set(found) - {("part_pkey", True)}


def sent(*, back: bool = False) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        (backwards if back else forwards)(rename(), STATE)
    return sent_changes(queries)


def test_neither_there_builds_the_new_one_and_on_the_way_back_the_old_one() -> None:
    recreate(PART_TABLE)
    assert "CREATE INDEX CONCURRENTLY" in sent()[-1]
    assert indexes() == {("part_label", True)}
    recreate(PART_TABLE)
    sent(back=True)
    assert indexes() == {("part_former", True)}


def test_neither_there_needs_autocommit() -> None:
    recreate(PART_TABLE)
    with pytest.raises(operations.NeedsAutocommit, match="set atomic = False"):
        forwards(rename(), STATE, atomic=True)


def test_a_rename_fits_a_transaction() -> None:
    recreate(PART_TABLE, "CREATE INDEX part_former ON part (label)")
    forwards(rename(), STATE, atomic=True)
    assert indexes() == {("part_label", True)}


def test_both_there_and_the_same_leaves_the_new_one() -> None:
    recreate(
        PART_TABLE,
        "CREATE INDEX part_former ON part (label); CREATE INDEX part_label ON part (label)",
    )
    assert 'DROP INDEX CONCURRENTLY "bench"."part_former"' in sent()
    assert indexes() == {("part_label", True)}


def test_both_there_and_different_leaves_both() -> None:
    recreate(
        PART_TABLE,
        "CREATE INDEX part_former ON part (amount); CREATE INDEX part_label ON part (label)",
    )
    assert sent() == []
    assert indexes() == {("part_former", True), ("part_label", True)}


def test_an_invalid_index_is_renamed_and_built_again() -> None:
    recreate(PART_TABLE)
    cancelled_build("CREATE INDEX CONCURRENTLY part_former ON part (label)")()
    assert indexes() == {("part_former", False)}
    forwards(rename(), STATE)
    assert indexes() == {("part_label", True)}


def test_an_old_name_that_is_a_constraints_stops_the_run() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT part_former UNIQUE (label)")
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(rename(), STATE)
    assert caught.value.name == "part_former"
    assert caught.value.fix == ('ALTER TABLE "part" DROP CONSTRAINT "part_former"; and run again')


def test_a_writer_is_not_in_the_way(sessions: scratch_schema.Sessions) -> None:
    recreate(PART_TABLE, "CREATE INDEX part_former ON part (label)")
    sessions.holding("EXCLUSIVE")
    forwards(rename(), STATE)
    assert indexes() == {("part_label", True)}


@pytest.mark.parametrize("name", [TOGETHER, "theirs"])
def test_the_index_of_fields_may_have_any_name(name: str) -> None:
    create = f"CREATE INDEX {name} ON part (label, amount)"
    recreate(PART_TABLE, create)
    forwards(of_fields(), TOGETHER_STATE)
    assert indexes() == {("part_both", True)}
    forwards(of_fields(), TOGETHER_STATE)
    recreate(PART_TABLE, create)
    for _ in range(2):
        done = psql(printed_sql(of_fields(), TOGETHER_STATE))
        assert (done.returncode, done.stderr) == (0, "")
        assert indexes() == {("part_both", True)}


@pytest.mark.parametrize("name", [TOGETHER, "theirs"])
def test_an_index_may_keep_the_name_that_it_has(name: str) -> None:
    operation = operations.RenameIndexIfNeeded(
        "part", new_name=TOGETHER, old_fields=("label", "amount")
    )
    recreate(PART_TABLE, f"CREATE INDEX {name} ON part (label, amount)")
    for _ in range(2):
        forwards(operation, TOGETHER_STATE)
        assert indexes() == {(TOGETHER, True)}
    same = operations.RenameIndexIfNeeded("part", new_name="part_former", old_name="part_former")
    recreate(PART_TABLE, "CREATE INDEX part_former ON part (label)")
    forwards(same, STATE)
    backwards(same, STATE)
    assert psql(printed_sql(same, STATE)).returncode == 0
    assert indexes() == {("part_former", True)}


def test_the_index_of_fields_that_is_declared_by_itself_is_not_renamed() -> None:
    own = models.Index(fields=["label", "amount"], name="own")
    state = project_state(part_model(index_together={("label", "amount")}, indexes=[own]))
    recreate(PART_TABLE, "CREATE INDEX own ON part (label, amount)")
    forwards(of_fields(), state)
    assert indexes() == {("own", True), ("part_both", True)}


def test_a_plan_that_creates_and_renames_shows_the_rename_and_may_be_a_transaction() -> None:
    recreate("")
    fields = list(part_model().fields.items())
    create = operations.CreateTableIfMissing(
        "Part", fields, {"db_table": "part", "indexes": [FORMER]}
    )
    plan = [(scratch_schema.migration(create, rename(), atomic=True), False)]
    (shown,) = preview(connection, plan)
    assert [each.stops for each in shown.parts] == ["", ""]
    assert [each.sql for each in shown.parts[1].steps] == [
        'ALTER INDEX "part_former" RENAME TO "part_label"'
    ]


def test_a_squash_keeps_both_of_two_renames() -> None:
    again = operations.RenameIndexIfNeeded("part", new_name="part_last", old_name="part_label")
    assert rename().reduce(again, APP) is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"new_name": "n" * 64, "old_name": "o"}, "is 64 bytes long"),
        ({"new_name": "n", "old_name": 'o"'}, 'has the character "'),
        ({"new_name": "n"}, "requires one of old_name and old_fields"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operations.RenameIndexIfNeeded("part", **arguments)
