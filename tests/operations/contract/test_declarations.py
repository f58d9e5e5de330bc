"""What every public operation keeps without a database: its text, its state, its place in a squash."""

import inspect
import re
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter, OperationWriter

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.case import Case
from tests.operations.contract.cases import CASES
from tests.operations.scratch_schema import APP, project_state

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_public_operation_has_a_case() -> None:
    public = {getattr(operations, name) for name in operations.__all__}
    classes = {each for each in public if isinstance(each, type) and issubclass(each, Operation)}
    left_out = {each.__name__ for each in classes - {case.operation_class for case in CASES}}
    assert not left_out, f"add a module to tests/operations/contract/cases for each of {left_out}"


@each_case
def test_the_migration_writer_writes_it_from_the_one_door(case: Case) -> None:
    for operation in (case.make(), case.full()):
        text = written(operation)
        assert f"signals.operations.{type(operation).__name__}(" in text


def written(operation: Any) -> str:
    return MigrationWriter(scratch_schema.migration(operation), include_header=False).as_string()


def without_managers(operation: Any) -> Any:
    """The autodetector cannot take a manager apart; the written text shows it."""
    name, args, kwargs = operation.deconstruct()
    return name, args, {key: value for key, value in kwargs.items() if key != "managers"}


@each_case
def test_what_the_migration_writer_wrote_makes_an_equal_operation(case: Case) -> None:
    deep = MigrationAutodetector(ProjectState(), ProjectState()).deep_deconstruct
    for operation in (case.make(), case.full(), case.limited()):
        names: dict[str, Any] = {}
        exec(written(operation), names)  # noqa: S102 - the text that the test just made
        (again,) = names["Migration"].operations
        assert type(again) is type(operation)
        assert deep(without_managers(again)) == deep(without_managers(operation))
        assert OperationWriter(again).serialize() == OperationWriter(operation).serialize()


@each_case
def test_deconstruct_keeps_every_argument(case: Case) -> None:
    operation = case.limited()
    name, args, kwargs = operation.deconstruct()
    parameters = list(inspect.signature(case.operation_class.__init__).parameters)[1:]
    assert name == case.operation_class.__name__
    left_out = set(parameters[len(args) :]) - set(kwargs)
    given = {each for each in left_out if getattr(operation, each) is not None}
    assert not given, "deconstruct() leaves out what was given"


@each_case
@pytest.mark.parametrize("value", [0, -1, True, "9", float("inf"), float("nan")])
def test_a_limit_of_waiting_that_is_none_is_refused_while_the_migration_is_written(
    case: Case, value: Any
) -> None:
    for name in ("lock_timeout", "lock_wait"):
        message = re.escape(f"{name} is {value!r} (use a number of seconds above 0)")
        with pytest.raises(ValueError, match=message):
            case.limited(**{name: value})


@each_case
def test_describe_is_a_label(case: Case) -> None:
    assert case.make().describe() == case.describes
    assert case.make().migration_name_fragment == case.fragment
    assert case.make().formatted_description()[2:] == case.describes


@each_case
def test_the_state_is_the_one_that_djangos_operation_makes(case: Case) -> None:
    ours, theirs = project_state(*case.models), project_state(*case.models)
    case.make().state_forwards(APP, ours)
    if case.django is not None:
        case.django().state_forwards(APP, theirs)
    assert ours == theirs
    if case.django is not None:
        assert ours != project_state(*case.models)


@each_case
def test_a_squash_never_puts_a_plain_operation_in_its_place(case: Case) -> None:
    neighbours: list[Operation] = [
        migrations.AlterField("Part", "label", models.CharField(max_length=9)),
        migrations.AlterField("Part", "amount", models.FloatField(null=True)),
        migrations.RemoveField("Part", "state"),
        migrations.RemoveConstraint("Part", "part_label_key"),
        migrations.RemoveConstraint("Part", "part_amount_check"),
        migrations.RemoveIndex("Part", "part_label"),
        migrations.RenameField("Part", "state", "phase"),
        migrations.AddField("Piece", "extra", models.TextField(null=True)),
        migrations.DeleteModel("Piece"),
    ]
    public = tuple(getattr(operations, name) for name in operations.__all__)
    for neighbour in neighbours:
        reduced = case.make().reduce(neighbour, APP)
        if isinstance(reduced, list):
            assert all(isinstance(each, public) or each is neighbour for each in reduced)


def test_the_state_has_an_equal_copy_of_a_declared_field_and_of_what_it_refers_to() -> None:
    key = models.ForeignKey("bench.Part", models.CASCADE, null=True)
    operation = operations.AddColumnIfMissing("part", "whole", key)
    state = project_state(scratch_schema.part_model())
    operation.state_forwards(APP, state)
    field: Any = state.models[APP, "part"].fields["whole"]
    assert field == key
    assert field is not key
    assert field.remote_field is not key.remote_field
    assert field.remote_field.model == "bench.Part"
