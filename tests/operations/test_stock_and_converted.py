"""Django's histories, stock and converted, leave the same database, which is judged right at each step."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import OperationWriter
from hypothesis import HealthCheck, event, given, note, settings

from tests.operations.drawn_histories import histories
from tests.operations.dump_and_restore import new_database
from tests.operations.histories import BothWays
from tests.operations.written_histories import HISTORIES


@pytest.fixture(scope="module")
def databases(django_db_blocker: Any) -> Iterator[BothWays]:
    with django_db_blocker.unblock(), ExitStack() as stack:
        yield BothWays(*(stack.enter_context(new_database()) for _ in range(3)))


@pytest.fixture
def both_ways(databases: BothWays, unblocked_database: None) -> BothWays:
    return databases


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_leaves_the_same_both_ways(both_ways: BothWays, name: str) -> None:
    both_ways.hold(*HISTORIES[name])


@settings(
    max_examples=500 if settings.get_current_profile_name() == "nightly" else 40,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # it opens the databases for the whole test
        HealthCheck.too_slow,
    ],
)
@given(histories())
def test_any_history_leaves_the_same_both_ways(
    both_ways: BothWays, history: list[Operation]
) -> None:
    note("\n".join(OperationWriter(each, indentation=0).serialize()[0] for each in history))
    for operation in both_ways.hold(*history, is_drawn=True):
        event(type(operation).__name__)
