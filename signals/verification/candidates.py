"""Reading the signals that are due."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification.schema import TimeColumn
from signals.verification.settings import Settings

# A signal is due in one of three ways, and each is read by a bounded scan of one index:
# - never checked, and of unknown age, which counts as old enough (idx_signals_state_created_at);
# - never checked, and old enough (the same index);
# - checked before, and due again (ix_signal_verif_waiting).
# A signal whose state was set back to candidate by hand counts as never checked.
_DUE: Final = """
WITH due AS (
    (
        SELECT s.id, '-infinity'::timestamptz AS since
        FROM signals s
        WHERE s.state = 'candidate' AND s.{time} IS NULL
            AND NOT EXISTS (
                SELECT FROM signal_verifications v WHERE v.signal_id = s.id AND v.status <> 'settled'
            )
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT s.id, s.{time} + %(delay)s
        FROM signals s
        WHERE s.state = 'candidate' AND s.{time} <= %(now)s - %(delay)s
            AND NOT EXISTS (
                SELECT FROM signal_verifications v WHERE v.signal_id = s.id AND v.status <> 'settled'
            )
        ORDER BY s.{time}, s.id
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT s.id, v.next_check_at
        FROM signal_verifications v
        JOIN signals s ON s.id = v.signal_id
        WHERE v.status = 'waiting' AND v.next_check_at <= %(now)s AND s.state = 'candidate'
            AND (s.{time} IS NULL OR s.{time} <= %(now)s - %(delay)s)
        ORDER BY v.next_check_at, s.id
        LIMIT %(limit)s
    )
), first AS (
    SELECT id, since FROM due ORDER BY since, id LIMIT %(limit)s
)
SELECT s.id, s.event_key, e.token_ca,
    s.{time} IS NULL OR s.{time} < %(now)s - %(timeout)s,
    coalesce(v.checks, 0), coalesce(v.attempts, 0)
FROM first
JOIN signals s ON s.id = first.id
LEFT JOIN events e ON e.event_key = s.event_key
LEFT JOIN signal_verifications v ON v.signal_id = s.id
ORDER BY first.since, first.id
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A signal that is due, as it was read.

    `overdue`: the signal is older than the timeout, so missing evidence is noted as delayed. `checks` is
    the number of checks so far, of which the last `attempts` failed.
    """

    signal_id: int
    event_key: str | None
    token_ca: str | None
    overdue: bool
    checks: int
    attempts: int


def read_due_candidates(
    connection: BaseDatabaseWrapper,
    settings: Settings,
    time_column: TimeColumn,
    now: datetime,
    limit: int,
) -> list[Candidate]:
    """Return at most `limit` candidates, the longest due first.

    A signal that was never checked is due since it was as old as the delay, any other since its
    `next_check_at`. So signals that are checked again and again never hold up one that is not checked yet.
    """
    parameters: dict[str, Any] = {
        "now": now,
        "limit": limit,
        "delay": settings.delay,
        "timeout": settings.timeout,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE.replace("{time}", time_column.value), parameters)
        return [Candidate(*row) for row in cursor.fetchall()]
