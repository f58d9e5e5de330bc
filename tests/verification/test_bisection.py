"""Writing rows in one set, without those that the database refuses."""

from collections.abc import Sequence

import psycopg
import pytest
from django.db import DatabaseError, OperationalError

from signals.verification.bisection import bisect_writes


def writer(bad: set[int], calls: list[list[int]] | None = None, error: str = "23514"):  # type: ignore[no-untyped-def]
    """A write that refuses a set with a bad row in it."""

    def write(rows: Sequence[int]) -> list[int]:
        if calls is not None:
            calls.append(list(rows))
        if bad.intersection(rows):
            raise DatabaseError("refused") from psycopg.errors.lookup(error)("refused")
        return list(rows)

    return write


def test_rows_that_can_be_written_are_written_at_once() -> None:
    calls: list[list[int]] = []
    assert bisect_writes([1, 2, 3], writer(set(), calls)) == ([1, 2, 3], [])
    assert calls == [[1, 2, 3]]


def test_nothing_is_written_for_no_rows() -> None:
    calls: list[list[int]] = []
    assert bisect_writes([], writer(set(), calls)) == ([], [])
    assert calls == []


@pytest.mark.parametrize("bad", [{0}, {9}, {3, 4}, {0, 5, 9}, set(range(10))])
def test_only_the_rows_that_are_refused_are_left_out(bad: set[int]) -> None:
    done, refused = bisect_writes(list(range(10)), writer(bad))
    assert done == [row for row in range(10) if row not in bad]
    assert [(r.row, str(r.error)) for r in refused] == [(row, "refused") for row in sorted(bad)]


@pytest.mark.parametrize("state", ["22003", "23505", "44000", "P0001"])
def test_an_error_of_a_rows_data_blames_the_row(state: str) -> None:
    assert len(bisect_writes([1], writer({1}, error=state))[1]) == 1


@pytest.mark.parametrize("state", ["42501", "25006", "53100", "57014", "40P01", "42P01"])
def test_an_error_that_no_row_is_to_blame_for_is_raised(state: str) -> None:
    with pytest.raises(DatabaseError, match=r"^refused$"):
        bisect_writes([1, 2], writer({1}, error=state))


def test_a_lost_connection_is_raised() -> None:
    def write(rows: Sequence[int]) -> list[int]:
        raise OperationalError("the connection is closed")

    with pytest.raises(OperationalError, match=r"^the connection is closed$"):
        bisect_writes([1, 2], write)
