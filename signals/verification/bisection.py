"""Reading or writing rows in one set, without those that the database refuses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from django.db import DatabaseError

Row = TypeVar("Row")
Result = TypeVar("Result")

ROW_ERROR_CLASSES: Final = ("22", "23", "44", "P0")
"""SQLSTATE classes of errors in a row's data: data exception, integrity constraint violation, WITH CHECK
OPTION violation, and errors that a trigger raises."""
DATA_CORRUPTED: Final = "XX001"
"""SQLSTATE of a row that is damaged on the disk."""


@dataclass(frozen=True, slots=True)
class RefusedRow(Generic[Row]):
    """A row that cannot be read or written, and the error that the database raised for it."""

    row: Row
    error: DatabaseError


def is_row_error(error: DatabaseError) -> bool:
    """Return whether the database raised the error for the data of a row."""
    state = str(getattr(error.__cause__, "sqlstate", None))
    return state[:2] in ROW_ERROR_CLASSES or state == DATA_CORRUPTED


def bisect_writes(
    rows: Sequence[Row], write: Callable[[Sequence[Row]], list[Result]]
) -> tuple[list[Result], list[RefusedRow[Row]]]:
    """Write all rows that can be written; return the results of `write` and the refused rows.

    `write` must be atomic: it writes all rows that it is given, or raises and leaves nothing; it may as well
    only read. If it raises for a row's data, each half of the rows is written by itself, down to the single
    row. Any other error (a lost connection, a missing privilege, a cancelled statement) is raised.
    """
    if not rows:
        return [], []
    try:
        return write(rows), []
    except DatabaseError as error:
        if not is_row_error(error):
            raise
        if len(rows) == 1:
            return [], [RefusedRow(rows[0], error)]
    middle = len(rows) // 2
    done, refused = bisect_writes(rows[:middle], write)
    more_done, more_refused = bisect_writes(rows[middle:], write)
    return done + more_done, refused + more_refused
