"""What lint_migrations finds in the library's own operations: what they are told to do all the same."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import migrations
from django.db.migrations.operations.base import Operation

from benchmarks.lint.cases.bad import EXCLUSION
from benchmarks.lint.cases.case import tables
from signals import operations
from tests.operations.lint.graph import faults


def broken(*steps: Operation, atomic: bool = False) -> list[str]:
    found = faults((tables(), True), (list(steps), atomic))
    return [each.fault.rule.id for each in found]


@pytest.mark.parametrize(
    ("make", "rules"),
    [
        (lambda: operations.AddExclusionIfMissing("item", EXCLUSION), ""),
        (
            lambda: operations.AddExclusionIfMissing("item", EXCLUSION, allow_blocking_build=True),
            "L103",
        ),
        (lambda: migrations.AddConstraint("item", EXCLUSION), "L103"),
        (lambda: operations.AlterUniqueTogetherIfNeeded("item", {("name", "note")}), ""),
        (lambda: migrations.AlterUniqueTogether("item", {("name", "note")}), "L102"),
        (lambda: operations.AlterIndexTogetherIfNeeded("item", {("name", "note")}), ""),
        (lambda: migrations.AlterIndexTogether("item", {("name", "note")}), "L101"),
        (lambda: operations.AlterTableCommentIfDifferent("item", "of steel"), ""),
    ],
)
def test_what_an_operation_breaks(make: Callable[[], Any], rules: str) -> None:
    assert broken(make()) == rules.split()


def test_a_set_that_is_new_needs_autocommit_and_one_that_goes_does_not() -> None:
    pair = {("name", "note")}
    assert broken(operations.AlterUniqueTogetherIfNeeded("item", pair), atomic=True) == ["L301"]
    assert broken(operations.AlterUniqueTogetherIfNeeded("item", set()), atomic=True) == []
