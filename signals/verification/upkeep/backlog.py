"""How many signals wait, are due and are claimed, at a cost that does not grow with their number."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

MAX_COUNTED: Final = 10_000
"""Signals are counted up to this number; more are estimated."""

# Both are bounded scans of ix_signal_verif_waiting, in its order.
_DUE: Final = f"""
SELECT count(*), count(*) FILTER (WHERE leased_until > pg_catalog.statement_timestamp())
FROM (
    SELECT leased_until FROM signal_verifications
    WHERE status = 'waiting' AND next_check_at <= pg_catalog.statement_timestamp()
    ORDER BY next_check_at LIMIT {MAX_COUNTED + 1}
) due
"""  # noqa: S608 - a constant of this module, as below
_WAITING: Final = f"""
SELECT count(*)
FROM (
    SELECT next_check_at FROM signal_verifications
    WHERE status = 'waiting' ORDER BY next_check_at LIMIT {MAX_COUNTED + 1}
) waiting
"""  # noqa: S608
# What the planner expects, from the server's statistics. A row has a next check if it waits, and then only.
_EXPECTED_DUE: Final = """
EXPLAIN (FORMAT JSON)
SELECT FROM signal_verifications WHERE next_check_at <= pg_catalog.statement_timestamp()
"""
_EXPECTED_WAITING: Final = """
EXPLAIN (FORMAT JSON) SELECT FROM signal_verifications WHERE next_check_at IS NOT NULL
"""
# Signals that no run has taken in.
_POSITION: Final = "SELECT position FROM verification_cursors WHERE name = 'signals'"
_EXPECTED_NEW: Final = """
EXPLAIN (FORMAT JSON) SELECT FROM signals WHERE state = 'candidate' AND id > %(position)s
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Numbers of signals: those whose check is due, those that will be checked again, and the claimed ones.

    `due` and `waiting` are estimated if they are more than MAX_COUNTED. `claimed` counts among as many of
    those that are due the longest, which are claimed first.
    """

    due: int
    waiting: int
    claimed: int


def read_backlog(connection: BaseDatabaseWrapper) -> Backlog:
    """Return the backlog."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE)
        due, claimed = cursor.fetchall()[0]
        cursor.execute(_WAITING)
        waiting = cursor.fetchall()[0][0]
    if due > MAX_COUNTED:
        due = max(due, _expected_rows(connection, _EXPECTED_DUE))
    if waiting > MAX_COUNTED:
        waiting = max(due, waiting, _expected_rows(connection, _EXPECTED_WAITING))
    return Backlog(due, waiting, claimed)


def read_expected_checks(connection: BaseDatabaseWrapper) -> int:
    """Return about how many signals are due, those included that no run has taken in."""
    with connection.cursor() as cursor:
        cursor.execute(_POSITION)
        row = cursor.fetchone()
    new = _expected_rows(connection, _EXPECTED_NEW, {"position": row[0] if row else -1})
    return read_backlog(connection).due + new - 1  # the planner never expects less than one row


def _expected_rows(
    connection: BaseDatabaseWrapper, sql: str, parameters: Mapping[str, int] | None = None
) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        ((plan,),) = cursor.fetchall()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return int(plan[0]["Plan"]["Plan Rows"])
