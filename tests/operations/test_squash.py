"""What a squash makes of convergent operations: a table takes in what adds to it, nothing else is merged."""

from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.models import Q

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    SERIAL,
    backwards,
    facts,
    forwards,
    project_state,
    recreate,
)

KEY: Any = ("id", SERIAL)
TABLE = operations.CreateTableIfMissing("Box", [KEY], {"db_table": "box"})
SIZE = models.IntegerField(null=True)
CHECK = models.CheckConstraint(condition=Q(size__gt=0), name="box_size_check")
UNIQUE = models.UniqueConstraint(fields=["size"], name="box_size_key")
INDEX = models.Index(fields=["size"], name="box_size")


def squashed(*given: Operation) -> list[Any]:
    return list(MigrationOptimizer().optimize(list(given), APP))


def add(**options: Any) -> Any:
    return operations.AddColumnIfMissing("box", "size", SIZE, **options)


ADDITIONS: dict[str, Any] = {
    "column": [add()],
    "column that is altered later": [add(altered_later=True)],
    "check": [add(), operations.AddCheckIfMissing("box", CHECK)],
    "uniqueness": [add(), operations.AddUniqueIfMissing("box", UNIQUE)],
    "index": [add(), operations.CreateIndexConcurrentlyIfMissing("box", INDEX)],
    "Django's own": [
        migrations.AddField("box", "size", SIZE),
        migrations.AddIndex("box", INDEX),
        migrations.AddConstraint("box", CHECK),
    ],
    "many to many": [
        operations.AddColumnIfMissing("box", "near", models.ManyToManyField("bench.box"))
    ],
}


@pytest.mark.parametrize("what", ADDITIONS)
@pytest.mark.usefixtures("committing_connection")
def test_a_table_takes_in_what_adds_to_it_and_makes_the_same(what: str) -> None:
    given = [TABLE, *ADDITIONS[what]]
    (made,) = squashed(*given)
    assert type(made) is operations.CreateTableIfMissing
    one, many = project_state(), project_state()
    made.state_forwards(APP, one)
    for each in given:
        each.state_forwards(APP, many)
    assert one == many
    recreate()
    state = project_state()
    for each in given:
        forwards(each, state)
        each.state_forwards(APP, state)
    wanted = facts()
    forwards(made, project_state())  # over what the operations made one by one
    assert facts() == wanted
    recreate()
    forwards(made, project_state())
    assert facts() == wanted
    backwards(made, project_state())
    assert facts() == []


KEPT: dict[str, Any] = {
    "rows that stay null": [add(leave_existing_null=True)],
    "a rewrite that is allowed": [add(allow_rewrite=True)],
    "a default for the old rows only": [add(preserve_default=False)],
    "an index with fallbacks": [
        add(),
        operations.CreateIndexConcurrentlyIfMissing(
            "box", INDEX, fallbacks=[models.Index(fields=["id"], name="box_id")]
        ),
    ],
    "a check that replaces": [
        add(),
        operations.AddCheckIfMissing("box", CHECK, on_different="replace"),
    ],
    "an altered type": [
        add(),
        operations.AlterColumnTypeIfDifferent("box", "size", models.BigIntegerField(null=True)),
    ],
    "not null": [
        add(),
        operations.SetNotNullIfNullable("box", "size", models.IntegerField()),
    ],
    "a fill": [add(), operations.BackfillInBatches("box", "size", models.Value(1))],
}


@pytest.mark.parametrize("what", KEPT)
def test_what_a_table_could_not_do_is_kept(what: str) -> None:
    given = KEPT[what]
    made = squashed(TABLE, *given)
    assert type(made[0]) is operations.CreateTableIfMissing
    assert made[-1] is given[-1]


def test_a_table_keeps_its_own_arguments_when_it_takes_in_a_column() -> None:
    table = operations.CreateTableIfMissing(
        "Box",
        [KEY, ("code", models.TextField())],
        {"db_table": "box", "ordering": ["code"]},
        altered_later=["code"],
        keep_on_reverse=True,
    )
    (made,) = squashed(table, add(altered_later=True))
    assert (made.altered_later, made.keep_on_reverse) == (("code", "size"), True)
    assert made.options == {"db_table": "box", "ordering": ["code"]}


def test_limits_of_waiting_are_not_lost_in_a_table_that_has_others() -> None:
    assert len(squashed(TABLE, add(lock_wait=9))) == 2
    table = operations.CreateTableIfMissing("Box", [KEY], {"db_table": "box"}, lock_wait=9)
    (made,) = squashed(table, add(lock_wait=9))
    assert made.limits == {"lock_wait": 9}


def test_what_is_added_and_removed_is_neither() -> None:
    assert squashed(add(), operations.RemoveColumnIfPresent("box", "size")) == []
    for made, gone in (
        (
            operations.AddCheckIfMissing("box", CHECK),
            operations.RemoveCheckIfPresent("box", CHECK.name),
        ),
        (
            operations.AddUniqueIfMissing("box", UNIQUE),
            operations.RemoveUniqueIfPresent("box", UNIQUE.name),
        ),
        (
            operations.CreateIndexConcurrentlyIfMissing("box", INDEX),
            operations.DropIndexConcurrentlyIfPresent("box", INDEX.name),
        ),
    ):
        assert squashed(made, gone) == []


def test_what_a_table_has_taken_in_and_is_removed_is_neither() -> None:
    add_index = operations.CreateIndexConcurrentlyIfMissing("box", INDEX)
    drop_index = operations.DropIndexConcurrentlyIfPresent("box", INDEX.name)
    add_check = operations.AddCheckIfMissing("box", CHECK)
    drop_check = operations.RemoveCheckIfPresent("box", CHECK.name)
    drop = operations.RemoveColumnIfPresent("box", "size")
    (made,) = squashed(
        TABLE, add(altered_later=True), add_index, add_check, drop_check, drop_index, drop
    )
    assert made.deconstruct()[2]["fields"] == TABLE.fields
    assert made.options == {"db_table": "box", "indexes": [], "constraints": []}
    assert made.altered_later == ()
    (made,) = squashed(TABLE, add(), drop, add())
    assert [name for name, _ in made.fields] == ["id", "size"]


def test_what_a_table_has_from_the_beginning_is_removed_from_databases_too() -> None:
    table = operations.CreateTableIfMissing("Box", [KEY, ("size", SIZE)], {"db_table": "box"})
    assert len(squashed(table, operations.RemoveColumnIfPresent("box", "size"))) == 2


def test_a_column_goes_past_another_table() -> None:
    other = operations.CreateTableIfMissing("Lid", [KEY], {"db_table": "lid"})
    reference = operations.AddColumnIfMissing(
        "box", "lid", models.ForeignKey("bench.lid", models.CASCADE, null=True)
    )
    made = squashed(TABLE, other, reference)
    assert [each.name for each in made] == ["Lid", "Box"]
    assert [name for name, _ in made[1].fields] == ["id", "lid"]


@pytest.mark.usefixtures("committing_connection")
def test_a_squash_meets_a_table_that_the_first_of_its_migrations_made() -> None:
    recreate()
    forwards(TABLE, project_state())
    (made,) = squashed(TABLE, *ADDITIONS["check"], *ADDITIONS["index"][1:])
    forwards(made, project_state())
    parts = {row[:3] for row in facts()}
    assert {
        ("column", "box", "size"),
        ("constraint", "box", "box_size_check"),
        ("index", "box", "box_size"),
    } <= parts
    assert scratch_schema.value("SELECT count(*) FROM box") == 0
    assert not connection.in_atomic_block


def test_a_column_that_comes_again_after_its_removal_can_be_squashed() -> None:
    table = operations.CreateTableIfMissing(
        "Box", [("id", SERIAL), ("a", models.IntegerField(null=True))], {"db_table": "box"}
    )
    again = operations.AddColumnIfMissing("box", "a", models.TextField(null=True))
    given = [table, operations.RemoveColumnIfPresent("box", "a"), again]
    assert MigrationOptimizer().optimize(given, APP) == given


def test_a_constraint_whose_name_postgresql_cuts_off_is_not_merged() -> None:
    long = models.CheckConstraint(condition=models.Q(amount__gt=0), name="c" * 64)
    create = operations.CreateTableIfMissing("Part", [("amount", models.IntegerField())])
    assert create.reduce(migrations.AddConstraint("part", long), "bench") is False
