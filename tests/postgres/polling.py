"""Wait for what another session or process does."""

import time
from collections.abc import Callable
from typing import Any

import psycopg

from tests.deadline import DEADLINE
from tests.postgres.databases import Database, server_session

# Between two looks the processor is left to what is waited for.
_PAUSE = 0.005


def wait_until(done: Callable[[], Any], what: str) -> Any:
    """Return what `done` returns once it is true; fail at the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if answer := done():
            return answer
        time.sleep(_PAUSE)
    raise AssertionError(f"waited {DEADLINE} s in vain until {what}")


def lock_waiter(database: Database, query: str) -> Callable[[], Any]:
    """Return a function that returns the pid of a session whose query has the text and waits for a lock."""

    def ask() -> Any:
        found = server_session().execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            " AND wait_event_type = 'Lock' AND position(%s in query) > 0",
            [database.name, query],
        )
        row = found.fetchone()
        return row and row[0]

    return ask


def wait_until_unused(database: Database) -> None:
    """Return when no backend of an ended process works in the database any more."""
    question = "SELECT FROM pg_stat_activity WHERE datname = %s"
    wait_until(
        lambda: server_session().execute(question, [database.name]).fetchone() is None,
        "the backends of the killed process have gone",
    )


def wait_for_rows(session: psycopg.Connection[Any], question: str) -> list[Any]:
    """Return the rows of the question once there are any."""
    found = wait_until(lambda: session.execute(question).fetchall(), question)  # type: ignore[arg-type]
    return list(found)
