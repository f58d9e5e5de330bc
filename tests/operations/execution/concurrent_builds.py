"""Operations that build an index, SQL for the same build, and what shows how far it is."""

from typing import Any

from django.db import models

from signals import operations

BUILDS: dict[str, tuple[Any, str]] = {
    "index": (
        operations.CreateIndexConcurrentlyIfMissing(
            "part", models.Index(fields=["label"], name="wanted")
        ),
        "CREATE INDEX CONCURRENTLY wanted ON part (label)",
    ),
    "unique": (
        operations.AddUniqueIfMissing(
            "part", models.UniqueConstraint(fields=["label"], name="wanted")
        ),
        "CREATE UNIQUE INDEX CONCURRENTLY wanted ON part (label)",
    ),
}
BUILD_WAITS = """
SELECT a.pid FROM pg_stat_activity a WHERE a.datname = current_database()
AND a.query LIKE 'CREATE % CONCURRENTLY%' AND a.wait_event_type = 'Lock'
"""
INDEX_IS_INVALID = (
    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('wanted') AND NOT indisvalid"
)
