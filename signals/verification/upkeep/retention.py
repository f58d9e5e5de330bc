"""Removing old verdicts, runs and actions in batches; the last verdict of each signal always stays."""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

BATCH: Final = 5_000
"""Rows that one transaction removes at most."""

_NOW: Final = "SELECT pg_catalog.statement_timestamp()"
# In the order of ix_signal_events_created_at, from the last row of the batch before. A verdict goes if its
# signal has a later one.
_REMOVE_VERDICTS: Final = """
WITH old AS MATERIALIZED (
    SELECT e.id, e.created_at, e.signal_id, e.type
    FROM signal_events e
    WHERE e.created_at >= %(time)s AND (e.created_at, e.id) > (%(time)s, %(id)s)
        AND e.created_at < %(cutoff)s
    ORDER BY e.created_at, e.id
    LIMIT %(size)s
), removed AS (
    DELETE FROM signal_events e
    USING old
    WHERE e.id = old.id AND e.id < (
        SELECT max(last.id) FROM signal_events last
        WHERE last.signal_id = old.signal_id AND last.type = old.type
    )
    RETURNING e.id, pg_catalog.to_jsonb(e)::text AS row
)
SELECT old.created_at, old.id, removed.row
FROM old LEFT JOIN removed USING (id)
ORDER BY old.created_at, old.id
"""
# The newest run stays, because it says when the job gave its last sign of life.
_REMOVE_RUNS: Final = """
WITH old AS MATERIALIZED (
    SELECT r.id, r.heartbeat_at
    FROM verification_runs r
    WHERE r.heartbeat_at < %(cutoff)s
        AND r.heartbeat_at < (SELECT max(heartbeat_at) FROM verification_runs)
    ORDER BY r.heartbeat_at
    LIMIT %(size)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM verification_runs r USING old WHERE r.id = old.id
RETURNING old.heartbeat_at, 0, pg_catalog.to_jsonb(r)::text
"""
# An action that was confirmed and is not finished stays. Of one that never was, the signals go first.
_REMOVE_CHOICES: Final = """
DELETE FROM signal_action_rows r
USING (
    SELECT r.action_id, r.signal_id
    FROM signal_actions a JOIN signal_action_rows r ON r.action_id = a.id
    WHERE a.created_at < %(cutoff)s AND a.status <> 'confirmed'
    LIMIT %(size)s
) old
WHERE r.action_id = old.action_id AND r.signal_id = old.signal_id
RETURNING pg_catalog.statement_timestamp(), 0, NULL
"""
_REMOVE_ACTIONS: Final = """
WITH old AS MATERIALIZED (
    SELECT a.id, a.created_at
    FROM signal_actions a
    WHERE a.created_at < %(cutoff)s AND a.status <> 'confirmed'
    ORDER BY a.created_at
    LIMIT %(size)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM signal_actions a USING old WHERE a.id = old.id
RETURNING old.created_at, 0, pg_catalog.to_jsonb(a)::text
"""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many verdicts, runs and actions were removed."""

    verdicts: int
    runs: int
    actions: int


def prune(
    connection: BaseDatabaseWrapper, retention: timedelta, archive: Path | None = None
) -> Removed:
    """Remove what is older than that; first append it to `archive`, if that is given.

    Each batch is a transaction of its own, so a killed run leaves whole batches removed. It may leave its
    last batch both in the archive and in the database, from where the next run archives it again.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOW)
        cutoff = cursor.fetchone()[0] - retention
    with _opened(archive) as write:
        _remove(connection, _REMOVE_CHOICES, cutoff, lambda _: None)
        return Removed(
            verdicts=_remove(connection, _REMOVE_VERDICTS, cutoff, _writer(write, "signal_events")),
            runs=_remove(connection, _REMOVE_RUNS, cutoff, _writer(write, "verification_runs")),
            actions=_remove(connection, _REMOVE_ACTIONS, cutoff, _writer(write, "signal_actions")),
        )


def _remove(
    connection: BaseDatabaseWrapper,
    sql: str,
    cutoff: datetime,
    write: Callable[[Sequence[str]], None],
) -> int:
    """Remove rows batch by batch, and return their number."""
    number = 0
    place: dict[str, Any] = {"time": datetime.min.replace(tzinfo=UTC), "id": 0}
    while True:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(sql, {"cutoff": cutoff, "size": BATCH, **place})
            found = cursor.fetchall()
            removed = [row for *_, row in found if row is not None]
            write(removed)
        number += len(removed)
        if len(found) < BATCH:
            return number
        time, last, _ = found[-1]
        place = {"time": time, "id": last}


def _writer(write: Callable[[bytes], None], table: str) -> Callable[[Sequence[str]], None]:
    """Return what writes rows as lines of JSON, each an object of the table and the row."""

    def lines(rows: Sequence[str]) -> None:
        write("".join(f'{{"table": "{table}", "row": {row}}}\n' for row in rows).encode())

    return lines


@contextmanager
def _opened(archive: Path | None) -> Iterator[Callable[[bytes], None]]:
    """Yield what appends to the archive, and returns when the bytes are on the disk."""
    if archive is None:
        yield lambda _: None
        return
    with archive.open("ab") as file:

        def append(content: bytes) -> None:
            if content:
                file.write(gzip.compress(content) if archive.suffix == ".gz" else content)
                file.flush()
                os.fsync(file.fileno())

        yield append
