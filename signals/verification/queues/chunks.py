"""The job in chunks, for task queues; each chunk is a run of its own over signals that nobody has claimed."""

from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections

from signals.verification.job import run_once

CHUNK_SIZE: Final = 10_000
"""Signals that a chunk checks at most."""
MAX_CHUNKS: Final = 16
"""Chunks that are queued at once at most."""

_DUE: Final = """
SELECT count(*)
FROM (
    SELECT next_check_at FROM signal_verifications
    WHERE status = 'waiting' AND next_check_at <= pg_catalog.statement_timestamp()
    ORDER BY next_check_at LIMIT %(most)s
) due
"""


def verify_chunk() -> dict[str, int]:
    """Check at most CHUNK_SIZE signals that are due, and return the counts; raise what run_once() raises."""
    return run_once(CHUNK_SIZE)


def count_chunks() -> int:
    """Return how many chunks the due signals fill, 1 to MAX_CHUNKS.

    If none is due, one chunk takes in what is new.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    was_open = connection.connection is not None
    try:
        with connection.cursor() as cursor:
            cursor.execute(_DUE, {"most": CHUNK_SIZE * MAX_CHUNKS})
            due = int(cursor.fetchone()[0])
    finally:
        if not was_open:
            connection.close()
    return max(1, -(-due // CHUNK_SIZE))
