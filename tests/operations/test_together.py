"""unique_together and index_together: what serves under other names, what goes, scripts, and plans."""

from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations.conversion import convert
from signals.operations.migrate.preview import preview
from tests.operations import scratch_schema
from tests.operations.contract.cases import CASES
from tests.operations.contract.cases.alter_unique_together import ADD, NAME, PAIR
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    backwards,
    facts,
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

STATE = project_state(part_model())
TOGETHER = [case for case in CASES if "together" in case.name]


def unique(*sets: tuple[str, ...]) -> Any:
    return operations.AlterUniqueTogetherIfNeeded("part", set(sets))


def indexes() -> set[str]:
    found = rows(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'part'::regclass"
    )
    return {name for (name,) in found} - {"part_pkey"}


@pytest.mark.parametrize(
    "other",
    [
        "ALTER TABLE part ADD CONSTRAINT theirs UNIQUE (label, amount)",
        "ALTER TABLE part ADD CONSTRAINT theirs UNIQUE (amount, label)",
        "CREATE UNIQUE INDEX theirs ON part (amount, label)",
    ],
)
def test_a_uniqueness_of_another_name_serves_and_goes_on_the_way_back(other: str) -> None:
    recreate(PART_TABLE, other)
    with CaptureQueriesContext(connection) as queries:
        forwards(unique(("label", "amount")), STATE)
    assert sent_changes(queries) == []
    assert indexes() == {"theirs"}
    backwards(unique(("label", "amount")), STATE)
    assert indexes() == set()


@pytest.mark.parametrize(
    "other",
    [
        "CREATE UNIQUE INDEX theirs ON part (label, amount) WHERE amount > 0",
        "CREATE INDEX theirs ON part (label, amount)",
        "CREATE UNIQUE INDEX theirs ON part (label, amount, made_at)",
    ],
)
def test_what_does_something_else_serves_not_and_stays(other: str) -> None:
    recreate(PART_TABLE, other)
    forwards(unique(("label", "amount")), STATE)
    assert indexes() == {"theirs", NAME}
    backwards(unique(("label", "amount")), STATE)
    assert indexes() == {"theirs"}


@pytest.mark.parametrize(
    "other",
    [
        "CREATE INDEX theirs ON part (label, amount) INCLUDE (made_at)",
        "CREATE INDEX theirs ON part (label DESC, amount)",
        "CREATE INDEX theirs ON part (label text_pattern_ops, amount)",
        "CREATE INDEX theirs ON part (amount, label)",
    ],
)
def test_an_index_that_does_more_stays_when_its_set_goes(other: str) -> None:
    recreate(PART_TABLE, other)
    state = project_state(part_model(index_together=PAIR))
    operation = operations.AlterIndexTogetherIfNeeded("part", set())
    for _ in range(2):
        forwards(operation, state)
        assert psql(printed_sql(operation, state)).returncode == 0
        assert indexes() == {"theirs"}


def test_a_uniqueness_that_the_model_declares_by_itself_stays() -> None:
    declared = models.UniqueConstraint(fields=["label", "amount"], name="own")
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT own UNIQUE (label, amount)")
    state = project_state(part_model(constraints=[declared], unique_together=PAIR))
    forwards(unique(), state)
    assert indexes() == {"own"}
    backwards(unique(), state)
    assert indexes() == {"own", NAME}


def test_the_uniqueness_of_a_field_stays_when_the_set_of_it_alone_goes() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label)")
    label = ("label", models.TextField(null=True, unique=True))
    forwards(unique(), project_state(part_model(label, unique_together={("label",)})))
    assert "part_label_key" in indexes()


def test_sets_that_stay_are_not_touched() -> None:
    state = project_state(part_model(unique_together=PAIR))
    recreate(PART_TABLE)
    forwards(unique(("label", "amount"), ("label", "made_at")), state)
    assert len(indexes()) == 1
    assert NAME not in indexes()


def test_duplicates_are_named_and_leave_no_index() -> None:
    recreate(PART_TABLE, "INSERT INTO part (label, amount) VALUES ('bolt', 3)")
    before = facts()
    with pytest.raises(operations.DuplicateRows) as caught:
        forwards(unique(("label", "amount")), STATE)
    assert caught.value.rows == "(label, amount) ('bolt', 3) in 2"
    assert facts() == before


def test_a_set_that_goes_alone_fits_a_transaction() -> None:
    recreate(PART_TABLE, f"{ADD} (label, amount)")
    state = project_state(part_model(unique_together=PAIR))
    assert not unique().needs_autocommit(APP, state)
    forwards(unique(), state, atomic=True)
    assert indexes() == set()
    with pytest.raises(operations.NeedsAutocommit):
        forwards(unique(("label", "amount")), STATE, atomic=True)


def test_a_plan_that_creates_and_alters_shows_both() -> None:
    recreate("")
    fields = list(part_model().fields.items())
    create = operations.CreateTableIfMissing(
        "Part", fields, {"db_table": "part", "unique_together": PAIR}
    )
    plan = [(scratch_schema.migration(create, unique()), False)]
    (shown,) = preview(connection, plan)
    assert [each.stops for each in shown.parts] == ["", ""]
    assert f'DROP CONSTRAINT "{NAME}"' in shown.parts[1].steps[0].sql


def test_the_conversion_writes_it_with_the_transaction_that_it_needs() -> None:
    stock = [case.django() for case in TOGETHER if case.django and not case.models[0].options]
    for operation in stock:
        (change,) = convert([operation], APP, STATE, connection)
        assert isinstance(change.operations[0], operations.Convergent)
