"""A preview shows the removal of what an earlier step of the same plan builds."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.db.migrations.operations.base import Operation

from signals import operations
from tests.operations.dump_and_restore import Judged, new_database
from tests.operations.migrate.test_previewed_tables import previewed

FIELDS = (
    ("id", models.BigAutoField(primary_key=True)),
    ("a", models.IntegerField(null=True)),
)
CHECK = models.CheckConstraint(condition=models.Q(a__gt=0), name="part")
UNIQUE = models.UniqueConstraint(fields=["a"], name="part")
INDEX = models.Index(fields=["a"], name="part")
KINDS: dict[str, tuple[Any, Any, Operation]] = {
    "check": (CHECK, operations.AddCheckIfMissing, operations.RemoveCheckIfPresent("box", "part")),
    "unique": (
        UNIQUE,
        operations.AddUniqueIfMissing,
        operations.RemoveUniqueIfPresent("box", "part"),
    ),
    "index": (
        INDEX,
        operations.CreateIndexConcurrentlyIfMissing,
        operations.DropIndexConcurrentlyIfPresent("box", "part"),
    ),
}

WAYS = ("with the table", "after it")


@pytest.fixture
def empty(unblocked_database: None) -> Iterator[Judged]:
    with new_database() as made:
        yield made


def plan(kind: str, way: str) -> tuple[Operation, ...]:
    """Return a plan that builds the part, removes it, and does both once more."""
    part, add, remove = KINDS[kind]
    option = "indexes" if kind == "index" else "constraints"
    with_table = {option: [part]} if way == "with the table" else {}
    table = operations.CreateTableIfMissing("Box", list(FIELDS), with_table)
    first = [] if with_table else [add("box", part)]
    return (table, *first, remove, add("box", part), remove)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_the_removal_of_what_the_plan_builds_is_shown(empty: Judged, kind: str, way: str) -> None:
    *_, removed, added, again = previewed(empty, *plan(kind, way))
    assert removed == again
    assert all("DROP" in sql and '"part"' in sql for sql in removed)
    assert removed != []
    assert not any("DROP" in sql for sql in added)


@pytest.mark.parametrize("way", WAYS)
def test_the_removal_of_a_check_is_shown_as_it_is_sent(
    empty: Judged, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    steps = plan("check", way)
    shown = [sql for step in previewed(empty, *steps) for sql in step]
    caplog.set_level(logging.INFO, "convergent_migrations")
    empty.by(*steps).migrate()
    assert shown == [each.message for each in caplog.records]
