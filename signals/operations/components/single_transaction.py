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

    Each locks the table and, if rows have come meanwhile, fails with SQLSTATE TABLE_FILLED and changes
    nothing. Without rows CREATE INDEX takes an instant, so CONCURRENTLY is left out, which would wait for the
    old snapshots of other sessions. The second transaction begins with the first step that locks other
    tables too, so that these are locked for no other step. If a run dies between the two, the next one
    continues with the second.
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

    For a step that never had CONCURRENTLY it is at least SHARE ROW EXCLUSIVE. That is the weakest mode that
    includes those of VALIDATE CONSTRAINT and of CREATE INDEX, which may come together.
    """
    if statement.transactional:
        return max(statement.lock, Lock.SHARE_ROW_EXCLUSIVE, key=list(Lock).index)
    return Lock.SHARE if statement.sql.startswith("CREATE") else Lock.ACCESS_EXCLUSIVE
