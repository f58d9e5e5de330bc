"""A statement and the lock that it takes."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Lock(StrEnum):
    """A lock mode of a table, as pg_locks spells it; NONE where no table is locked."""

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
        """The modes that another session must not hold (PostgreSQL manual, table 13.2)."""
        return _CONFLICTS[self]

    @property
    def mode(self) -> str:
        """The mode as LOCK TABLE spells it."""
        words = re.findall("[A-Z][a-z]+", self.value)
        return " ".join(words[:-1]).upper()

    @property
    def waits(self) -> bool:
        """Whether the lock lets readers and writers through, so that waiting for it harms nobody."""
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
    lock: the strongest lock that it takes on `table`, a quoted name, and on the tables `also`.
    unless: an SQL condition that holds when the step is done or has no object; for printed scripts.
    transactional: False for CONCURRENTLY, which PostgreSQL refuses inside a transaction.
    question: for printed scripts, a SELECT of the SQL up to its WHERE, where a name is to be resolved
        when the script runs.
    rows: an SQL condition that the rows of the table meet which stand against it.
    unique: the name of the index whose uniqueness the rows may stand against.
    is_reference: whether those rows lack the row that they refer to.
    part: whether it is about a partition, which another session may detach, drop or index meanwhile.
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
