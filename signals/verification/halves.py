"""A set is written at once; a row that the database refuses is found by halving, and left out alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from django.db import DatabaseError

Row = TypeVar("Row")
Result = TypeVar("Result")

BLAMED: Final = ("22", "23", "44", "P0")
"""SQLSTATE classes that speak of a row's data: data exception, integrity constraint violation, WITH CHECK
OPTION violation, and what a trigger raises."""


@dataclass(frozen=True, slots=True)
class Refused(Generic[Row]):
    """A row that cannot be written, and the database's reason."""

    row: Row
    error: DatabaseError


def write_in_halves(
    rows: Sequence[Row], write: Callable[[Sequence[Row]], list[Result]]
) -> tuple[list[Result], list[Refused[Row]]]:
    """What `write` returns for the rows that it can write, and the rows that it cannot.

    `write` is atomic: it writes all that it is given, or raises and leaves nothing. An error that no
    row is to blame for (a lost connection, a missing privilege, a cancelled statement) is raised.
    """
    if not rows:
        return [], []
    try:
        return write(rows), []
    except DatabaseError as error:
        if str(getattr(error.__cause__, "sqlstate", None))[:2] not in BLAMED:
            raise
        if len(rows) == 1:
            return [], [Refused(rows[0], error)]
    middle = len(rows) // 2
    done, refused = write_in_halves(rows[:middle], write)
    more_done, more_refused = write_in_halves(rows[middle:], write)
    return done + more_done, refused + more_refused
