"""Convert Django's operations: their state stays, and their schema is made."""

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import F

from benchmarks.django_suite import shapes
from signals import operations
from signals.operations.conversion import Change, convert, flat, is_same_state
from signals.operations.conversion.atomicity import TransactionNeed
from tests.operations.conversion.cases import APP, CASES, INDEX, INTEGER, WITH_X, Case, table


def names(changed: Sequence[Operation]) -> str:
    """The classes without their suffix, as Case spells them."""

    def name(operation: Operation) -> str:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            return f"[{names(operation.database_operations)}]"
        return type(operation).__name__.removesuffix("IfMissing").removesuffix("InBatches")

    endings = ("IfPresent", "IfDifferent", "IfNullable", "IfNeeded")
    found = " ".join(map(name, changed))
    for ending in endings:
        found = found.replace(ending, "")
    return found


def state_after(*lists: Sequence[Operation]) -> ProjectState:
    state = ProjectState()
    for steps in lists:
        for step in steps:
            step.state_forwards(APP, state)
    return state


def converted(before: Sequence[Operation], steps: Sequence[Operation]) -> list[Change]:
    return convert(steps, APP, state_after(before), connection)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_becomes_of_it_and_why_not(case: Case) -> None:
    before, steps = case.before(), case.steps()
    changes = converted(before, steps)
    assert names(flat(changes)) == case.becomes
    assert next((each.reason for each in changes if each.reason), "") == case.reason
    assert is_same_state(state_after(before, steps), state_after(before, flat(changes)))
    again = converted(before, flat(changes))
    assert all(each.is_kept for each in again)


@pytest.fixture(scope="module")
def sent(test_database: None, django_db_blocker: Any) -> Iterator[shapes.Sent]:
    """What the operations send; the schema goes in the end."""
    with django_db_blocker.unblock(), shapes.listening() as statements:
        yield statements
    connection.close()


def migrate(steps: Sequence[Operation], state: ProjectState, *, back: bool = False) -> None:
    migration: Any = Migration("shape", APP)
    migration.operations = list(steps)
    with connection.schema_editor(atomic=False) as editor:
        (migration.unapply if back else migration.apply)(state.clone(), editor)


def prepared(case: Case, before: Sequence[Operation]) -> ProjectState:
    shapes.reset()
    migrate(before, ProjectState())
    if case.rows:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO shapes_a (x) VALUES ({case.rows})")
    return state_after(before)


def content() -> list[tuple[Any, ...]]:
    """The rows of A; of a time, that there is one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('shapes_a') IS NULL")
        if cursor.fetchone()[0]:
            return []
        cursor.execute("SELECT * FROM shapes_a")
        return [
            tuple("a time" if isinstance(each, datetime.datetime) else each for each in row)
            for row in cursor.fetchall()
        ]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "If" not in case.becomes])
def test_it_makes_djangos_schema_and_rows_can_be_run_again_and_goes_back(
    name: str, sent: shapes.Sent
) -> None:
    case = CASES[name]
    before, steps = case.before(), case.steps()
    migrate(steps, prepared(case, before))
    wanted = shapes.describe(), content()
    changed = flat(converted(before, steps))
    state = prepared(case, before)
    start = shapes.describe()
    migrate(changed, state)
    assert (shapes.describe(), content()) == wanted
    if all(isinstance(each, operations.base.Convergent) for each in changed):
        sent.statements.clear()
        migrate(changed, state)
        assert sent.statements == []
        assert (shapes.describe(), content()) == wanted
        if case.rows:  # a type that writes them anew would be kept
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM shapes_a")
        migrate(changed, state, back=True)
        assert shapes.describe() == start


def test_a_function_that_a_subclass_overrides_is_nobodys_guess() -> None:
    class Further(migrations.AddIndex):
        pass

    (change,) = converted(table(WITH_X), [Further("A", INDEX)])
    assert (change.is_kept, change.need) == (True, TransactionNeed.ATOMIC)
    assert change.describe() == (
        "Create index i on field(s) x of model A: stays as it is, no convergent operation stands in for it"
    )


def test_the_given_operations_and_state_are_left_as_they_are() -> None:
    added = operations.AddColumnIfMissing("A", "y", INTEGER(null=True))
    steps = [added, migrations.AlterField("A", "y", models.BigIntegerField(null=True))]
    state = state_after(table())
    changes = convert(steps, APP, state, connection)
    assert is_same_state(state, state_after(table()))
    assert not added.altered_later
    first, second = flat(changes)
    assert isinstance(first, operations.AddColumnIfMissing)
    assert first.altered_later
    assert isinstance(second, operations.AlterColumnTypeIfDifferent)


def test_a_generated_column_is_not_altered() -> None:
    def doubled(by: int) -> Any:
        return models.GeneratedField(
            expression=F("id") * by, output_field=models.BigIntegerField(), db_persist=True
        )

    (change,) = converted(table(("x", doubled(2))), [migrations.AlterField("A", "x", doubled(3))])
    assert (
        change.reason == "it adds, changes or removes an identity, a sequence or a generated column"
    )
