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


def broken(*steps: Operation) -> list[str]:
    found = faults((tables(), True), (list(steps), False))
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
    ],
)
def test_what_an_operation_breaks(make: Callable[[], Any], rules: str) -> None:
    assert broken(make()) == rules.split()
