"""Combine the steps of a plan into short transactions, for a table that has no rows to scan."""

from collections.abc import Sequence

from ..errors import TABLE_FILLED
from ..statements import Lock, Statement
from . import guards


def is_combinable(statements: Sequence[Statement]) -> bool:
    """Return whether `combine` would change the plan: it has several steps, or one with CONCURRENTLY."""
    return len(statements) > 1 or not all(statement.transactional for statement in statements)


def combine(statements: Sequence[Statement]) -> list[Statement]:
    """Return the steps of a plan for an empty table, combined into one transaction or two.

    Each transaction locks the table. If the table has rows by then, the transaction fails with SQLSTATE
    TABLE_FILLED and changes nothing. CONCURRENTLY is left out, because it would wait for old snapshots of
    other sessions, and building the index of an empty table takes an instant.

    The second transaction begins with the first step that also locks other tables, so that these stay
    unlocked during the steps before it. A run that dies between the two continues with the second.
    """
    first = next((place for place, each in enumerate(statements) if each.also), len(statements))
    return [_join_steps(steps) for steps in (statements[:first], statements[first:]) if steps]


def _join_steps(statements: Sequence[Statement]) -> Statement:
    """Return the steps as one statement that begins with LOCK TABLE, in the strongest mode of a step.

    A single step that can run in a transaction stays as it is.
    """
    if not is_combinable(statements):
        return statements[0]
    table = statements[0].table
    lock = max(map(_plain_lock, statements), key=list(Lock).index)
    also = dict.fromkeys(name for statement in statements for name in statement.also)
    opening = (
        f"LOCK TABLE {table} IN {lock.mode} MODE; {guards.refusal_if_filled(table, TABLE_FILLED)}"
    )
    sql = "; ".join([opening, *map(_plain_sql, statements)])
    return Statement(sql, lock, table, guards.NEVER, also=tuple(also))


def _plain_sql(statement: Statement) -> str:
    """Return the SQL of the step without CONCURRENTLY."""
    if statement.transactional:
        return statement.sql
    # The keyword precedes every name, which may contain the same word.
    return statement.sql.replace(" CONCURRENTLY", "", 1)


def _plain_lock(statement: Statement) -> Lock:
    """Return the lock that the step takes without CONCURRENTLY.

    For a step that never had CONCURRENTLY return at least SHARE ROW EXCLUSIVE: the plan may have both a
    VALIDATE CONSTRAINT and a CREATE INDEX, and no weaker mode includes the locks of both.
    """
    if statement.transactional:
        return max(statement.lock, Lock.SHARE_ROW_EXCLUSIVE, key=list(Lock).index)
    return Lock.SHARE if statement.sql.startswith("CREATE") else Lock.ACCESS_EXCLUSIVE
