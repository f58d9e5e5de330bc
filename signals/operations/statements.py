"""A statement and the lock that it takes."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Lock(StrEnum):
    """A lock mode of a table, as pg_locks spells it; NONE if no table is locked."""

    NONE = ""
    ACCESS_SHARE = "AccessShareLock"
    ROW_SHARE = "RowShareLock"
    ROW_EXCLUSIVE = "RowExclusiveLock"
    SHARE_UPDATE_EXCLUSIVE = "ShareUpdateExclusiveLock"
    SHARE = "ShareLock"
    SHARE_ROW_EXCLUSIVE = "ShareRowExclusiveLock"
    EXCLUSIVE = "ExclusiveLock"
    ACCESS_EXCLUSIVE = "AccessExclusiveLock"

    @property
    def conflicts(self) -> tuple["Lock", ...]:
        """Return the modes that another session must not hold (PostgreSQL manual, table 13.2)."""
        return _CONFLICTS[self]

    @property
    def mode(self) -> str:
        """Return the mode as LOCK TABLE spells it."""
        words = re.findall("[A-Z][a-z]+", self.value)
        return " ".join(words[:-1]).upper()

    @property
    def waits(self) -> bool:
        """Return whether waiting for the lock harms nobody, because it lets readers and writers through."""
        return self in (Lock.NONE, Lock.ACCESS_SHARE, Lock.SHARE_UPDATE_EXCLUSIVE)


_MODES = tuple(Lock)
_CONFLICTS = {
    Lock.NONE: (),
    Lock.ACCESS_SHARE: _MODES[8:],
    Lock.ROW_SHARE: _MODES[7:],
    Lock.ROW_EXCLUSIVE: _MODES[5:],
    Lock.SHARE_UPDATE_EXCLUSIVE: _MODES[4:],
    Lock.SHARE: (Lock.ROW_EXCLUSIVE, Lock.SHARE_UPDATE_EXCLUSIVE, *_MODES[6:]),
    Lock.SHARE_ROW_EXCLUSIVE: _MODES[3:],
    Lock.EXCLUSIVE: _MODES[2:],
    Lock.ACCESS_EXCLUSIVE: _MODES[1:],
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One step of a plan.

    sql: one statement, or several that belong in one transaction, joined by semicolons.
    lock: the strongest lock that it takes on `table`, a quoted name, and on the tables in `also`.
    unless: an SQL condition under which a printed script leaves the step out: it is done, or its object is
        gone.
    transactional: False for CONCURRENTLY, which PostgreSQL refuses inside a transaction.
    question: for printed scripts, a SELECT without its WHERE that returns the SQL to run, where a name has
        to be looked up when the script runs.
    rows: an SQL condition that holds for the rows that make the statement fail.
    unique: the name of the unique index for which duplicate rows make the statement fail.
    is_reference: whether the rows that make it fail refer to a row that does not exist.
    bare: the SQL for people and linters, if it is another one: without a check that `sql` begins with, or
        with IF EXISTS.
    part: whether it works on a partition, which another session may detach, drop or index meanwhile.
    """

    sql: str
    lock: Lock
    table: str
    unless: str
    also: tuple[str, ...] = ()
    transactional: bool = True
    question: str = ""
    rows: str = ""
    unique: str = ""
    is_reference: bool = False
    part: bool = False
    bare: str = ""

    @property
    def only_refuses(self) -> bool:
        """Return whether it changes nothing, and stops a printed script."""
        return self.sql.startswith("DO 'BEGIN RAISE")

    def plain(self, *, in_transaction: bool) -> str:
        """Return the SQL for people and linters to read, with a transaction if it is several statements.

        in_transaction: whether it stands in a transaction already.
        """
        sql = (self.bare or self.sql).rstrip("; ")
        needs_transaction = self.transactional and "; " in sql and not in_transaction
        return f"BEGIN; {sql}; COMMIT;" if needs_transaction else f"{sql};"
