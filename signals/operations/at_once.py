"""A plan for a table without rows: in one short transaction, for there is nothing to scan."""

from collections.abc import Sequence

from signals.operations import guards
from signals.operations.errors import TABLE_FILLED
from signals.operations.statements import Lock, Statement


def is_worthwhile(statements: Sequence[Statement]) -> bool:
    """Whether the plan has steps that an empty table does not need one by one."""
    return len(statements) > 1 or not all(statement.transactional for statement in statements)


def at_once(statements: Sequence[Statement]) -> Statement:
    """The steps as one transaction; it changes nothing where rows have come meanwhile (TABLE_FILLED).

    An index is then built in an instant, and so without waiting for the old snapshots of others.
    """
    table = statements[0].table
    lock = max(map(_lock, statements), key=list(Lock).index)
    also = dict.fromkeys(name for statement in statements for name in statement.also)
    opening = (
        f"LOCK TABLE {table} IN {lock.mode} MODE; {guards.refusal_if_filled(table, TABLE_FILLED)}"
    )
    sql = "; ".join([opening, *map(_sql, statements)])
    return Statement(sql, lock, table, guards.NEVER, also=tuple(also))


def _sql(statement: Statement) -> str:
    if statement.transactional:
        return statement.sql
    return statement.sql.replace(" CONCURRENTLY", "", 1)  # in front of every name


def _lock(statement: Statement) -> Lock:
    """What the step takes where it is not concurrent; VALIDATE and SHARE together are the next stronger."""
    if statement.transactional:
        return max(statement.lock, Lock.SHARE_ROW_EXCLUSIVE, key=list(Lock).index)
    return Lock.SHARE if statement.sql.startswith("CREATE") else Lock.ACCESS_EXCLUSIVE
