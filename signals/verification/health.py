"""Whether the job is alive, and what it cannot do by itself: the dead signals and their revival."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.choices import RunOutcome
from signals.verification.run import count_dead

REVIVED: Final = 10_000
"""Signals that one statement revives at most."""

_LAST_RUN: Final = """
SELECT heartbeat_at, pg_catalog.statement_timestamp() - heartbeat_at, outcome, error
FROM verification_runs ORDER BY heartbeat_at DESC LIMIT 1
"""
# Of the first signals in the order in which they are due; the index ix_signal_verif_waiting gives the first.
_OLDEST_WAIT: Final = """
SELECT pg_catalog.statement_timestamp() - next_check_at
FROM signal_verifications
WHERE status = 'waiting' AND next_check_at <= pg_catalog.statement_timestamp()
ORDER BY next_check_at LIMIT 1
"""
_REVIVE: Final = """
UPDATE signal_verifications v
SET status = 'waiting', attempts = 0, run = NULL, next_check_at = pg_catalog.statement_timestamp()
WHERE v.signal_id IN (
    SELECT signal_id FROM signal_verifications
    WHERE status = 'dead' AND (%(ids)s::bigint[] IS NULL OR signal_id = ANY (%(ids)s))
        AND (%(since)s::timestamptz IS NULL OR updated_at >= %(since)s)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING v.signal_id
"""


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe of the job sees.

    `last_sign` is the newest heartbeat of a run and `age` its age; both are None if there was no run. `wait`
    is how long the signal waits that is due the longest.
    """

    last_sign: datetime | None
    age: timedelta | None
    outcome: RunOutcome | None
    error: str
    dead: int
    wait: timedelta

    def is_alive(self, max_age: timedelta) -> bool:
        """Return whether a run gave a sign of life within that time."""
        return self.age is not None and self.age <= max_age


def read_health(connection: BaseDatabaseWrapper) -> Health:
    """Return the health of the job, from the database alone."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_RUN)
        last_sign, age, outcome, error = cursor.fetchone() or (None, None, None, "")
        cursor.execute(_OLDEST_WAIT)
        (wait,) = cursor.fetchone() or (timedelta(0),)
    return Health(
        last_sign=last_sign,
        age=age,
        outcome=RunOutcome(outcome) if outcome else None,
        error=error,
        dead=count_dead(connection),
        wait=wait,
    )


def revive(
    connection: BaseDatabaseWrapper,
    ids: Sequence[int] | None = None,
    since: datetime | None = None,
) -> list[int]:
    """Make dead signals due at once, without their failures, and return their numbers.

    `ids`: these signals, else all; `since`: those that died then or later.
    """
    revived: list[int] = []
    parameters = {"ids": list(ids) if ids is not None else None, "since": since, "limit": REVIVED}
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_REVIVE, parameters)
            rows = cursor.fetchall()
        revived += [signal for (signal,) in rows]
        if len(rows) < REVIVED:
            return revived
