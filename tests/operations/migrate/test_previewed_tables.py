"""A preview follows the tables that Django's operations of the same plan rename or drop."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.db.migrations import AlterModelTable, DeleteModel, RenameModel
from django.db.migrations.operations.base import Operation

from signals import operations
from signals.operations.migrate.preview import preview
from tests.operations.dump_and_restore import Judged, new_database

ID = ("id", models.BigAutoField(primary_key=True))
UNKNOWN = ["-- depends on earlier operations, and is not shown"]


@pytest.fixture
def empty(unblocked_database: None) -> Iterator[Judged]:
    with new_database() as made:
        yield made


def create(name: str) -> Operation:
    return operations.CreateTableIfMissing(name, [ID])


def add(name: str) -> Operation:
    return operations.AddColumnIfMissing(name, "a", models.TextField(null=True))


def previewed(judged: Judged, *plan: Operation) -> list[Any]:
    """Return what each step of the plan sends: the statements, or the error at which it stops."""
    steps = preview(judged.connection, [(each, False) for each in judged.by(*plan).migrations])
    parts = [part for step in steps for part in step.parts]
    return [part.stops or [each.sql for each in part.steps] for part in parts]


RENAMES = {
    "model": RenameModel("Part", "Box"),
    "table": AlterModelTable("Part", "bench_box"),
}
COLUMN = ['ALTER TABLE "bench_box" ADD COLUMN "a" text NULL']


@pytest.mark.parametrize("what", RENAMES)
def test_a_table_that_the_plan_makes_has_its_new_name(empty: Judged, what: str) -> None:
    name = "Box" if what == "model" else "Part"
    made, _, added = previewed(empty, create("Part"), RENAMES[what], add(name))
    assert made[0].startswith('CREATE TABLE "bench_part"')
    assert added == COLUMN


@pytest.mark.parametrize("what", RENAMES)
def test_what_is_done_to_a_table_that_gets_another_name_is_not_known(
    empty: Judged, what: str
) -> None:
    name = "Box" if what == "model" else "Part"
    empty.by(create("Part")).migrate()
    made, renamed, added = previewed(empty, create("Part"), RENAMES[what], add(name))
    assert (made, added) == ([], UNKNOWN)
    assert 'ALTER TABLE "bench_part" RENAME TO "bench_box"' in renamed[0]


def test_a_table_is_made_where_another_one_was(empty: Judged) -> None:
    empty.by(create("Part")).migrate()
    for gone in (DeleteModel("Part"), RENAMES["model"]):
        *_, made = previewed(empty, create("Part"), gone, create("Part"))
        assert made[0].startswith('CREATE TABLE "bench_part"')
    made, _, again, added = previewed(
        empty, create("Part"), DeleteModel("Part"), create("Part"), add("Part")
    )
    assert made == []
    assert again[0].startswith('CREATE TABLE "bench_part"')
    assert added == ['ALTER TABLE "bench_part" ADD COLUMN "a" text NULL']
