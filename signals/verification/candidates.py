"""Which signals are due."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification.schema import TimeColumn
from signals.verification.settings import Settings

# Three ways to be due, each a bounded walk of one index: of unknown age, which counts as old enough,
# and old enough (idx_signals_state_created_at), neither looked at yet; looked at, and due again
# (ix_signal_verif_waiting). A signal moved back to candidate by hand counts as not looked at.
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
    """A signal that is due, as it was read: `checks` looks so far, the last `attempts` of them failed.

    `overdue`: older than the timeout, so that missing evidence is delayed evidence.
    """

    signal: int
    event_key: str | None
    token_ca: str | None
    overdue: bool
    checks: int
    attempts: int


def read_due(
    connection: BaseDatabaseWrapper,
    settings: Settings,
    time: TimeColumn,
    now: datetime,
    limit: int,
) -> list[Candidate]:
    """At most `limit` candidates, the longest due first.

    One that was never looked at is due since it was `delay` old, so these come oldest first; another
    since its next look was due. Looks that come again and again never hold up the first at another.
    """
    parameters: dict[str, Any] = {
        "now": now,
        "limit": limit,
        "delay": settings.delay,
        "timeout": settings.timeout,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE.replace("{time}", time.value), parameters)
        return [Candidate(*row) for row in cursor.fetchall()]
