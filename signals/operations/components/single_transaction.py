"""A plan for a table without rows: in short transactions, for there is nothing to scan."""

from collections.abc import Sequence

from ..errors import TABLE_FILLED
from ..statements import Lock, Statement
from . import guards


def is_combinable(statements: Sequence[Statement]) -> bool:
    """Whether the plan has steps that an empty table does not need one by one."""
    return len(statements) > 1 or not all(statement.transactional for statement in statements)


def combine(statements: Sequence[Statement]) -> list[Statement]:
    """The steps as one transaction; it changes nothing where rows have come meanwhile (TABLE_FILLED).

    An index is then built in an instant, and so without waiting for the old snapshots of others. What
    locks other tables too follows in one of its own, so that these are not locked more than they must.
    """
    first = next((place for place, each in enumerate(statements) if each.also), len(statements))
    return [_joined(steps) for steps in (statements[:first], statements[first:]) if steps]


def _joined(statements: Sequence[Statement]) -> Statement:
    if not is_combinable(statements):
        return statements[0]
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
