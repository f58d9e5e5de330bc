"""With the setting PHASE, operations that keep the release that still runs at work break no rule."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models

from benchmarks.lint.cases.case import tables
from signals import operations
from tests.operations.lint.graph import faults

CASES: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "removed column": (lambda: [operations.RemoveColumnIfPresent("item", "note")], "L201"),
    "removed table": (lambda: [operations.RemoveTableIfPresent("Maker")], "L202"),
    "renamed column": (lambda: [operations.RenameColumnIfNeeded("item", "note", "text")], "L203"),
    "renamed table": (lambda: [operations.RenameTableIfNeeded("Maker", "Builder")], "L204"),
    "new column": (
        lambda: [operations.AddColumnIfMissing("item", "rank", models.IntegerField(default=1))],
        "L205",
    ),
    "new column that a trigger fills": (
        lambda: [
            operations.AddColumnIfMissing("item", "rank", models.IntegerField(null=True)),
            operations.BackfillInBatches("item", "rank", models.F("amount")),
            operations.SetNotNullIfNullable("item", "rank", models.IntegerField()),
        ],
        "L205",
    ),
    "no more NULL": (
        lambda: [
            operations.BackfillInBatches("item", "note", models.Value("")),
            operations.SetNotNullIfNullable("item", "note", models.TextField()),
        ],
        "L206",
    ),
    "no more db_default": (
        lambda: [
            operations.AlterColumnTypeIfDifferent("item", "state", models.CharField(max_length=10))
        ],
        "L208",
    ),
}
# Which no value of the database helps.
STILL = {
    "new column without a default": (
        lambda: [operations.AddColumnIfMissing("item", "rank", models.IntegerField())],
        "L205",
    ),
    "no more NULL, without a value": (
        lambda: [operations.SetNotNullIfNullable("item", "note", models.TextField())],
        "L206",
    ),
}


def broken(make: Callable[[], list[Any]]) -> set[str]:
    return {each.fault.rule.id for each in faults((tables(), True), (make(), False))}


@pytest.mark.parametrize("name", CASES)
def test_expand_keeps_old_code_at_work(name: str, settings: Any) -> None:
    make, rule = CASES[name]
    assert rule in broken(make)
    settings.CONVERGENT_MIGRATIONS = {"PHASE": "expand"}
    assert not {each for each in broken(make) if each.startswith("L2")}


@pytest.mark.parametrize("name", STILL)
def test_expand_does_not_help_where_there_is_no_value(name: str, settings: Any) -> None:
    make, rule = STILL[name]
    settings.CONVERGENT_MIGRATIONS = {"PHASE": "expand"}
    assert rule in broken(make)
