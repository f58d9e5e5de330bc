"""Which rows stand against a statement that PostgreSQL refused."""

from collections.abc import Sequence
from contextlib import nullcontext

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.contents import count_rows, duplicate_groups, first_keys
from ..catalog.indexes import Index
from ..catalog.tables import Table
from ..errors import DuplicateRows, RowsViolate, RowsViolateCheck
from ..statements import Statement
from .settings import no_timeouts

_SHOWN = 5  # rows or groups
_COUNTED = 1000  # rows; more are not counted
_VALUE_WIDTH = 60  # characters of a value


def explain_violation(
    connection: BaseDatabaseWrapper, table: Table | None, statement: Statement, error: RowsViolate
) -> RowsViolate:
    """The error with the number of rows and the first of them; as it is where that cannot be asked."""
    if table is None or connection.needs_rollback:
        return error
    index = table.index(statement.unique) if statement.unique else None
    is_within = connection.in_atomic_block
    scope = transaction.atomic(using=connection.alias) if is_within else nullcontext()
    try:
        with no_timeouts(connection), scope:
            if index is not None:
                return _duplicates(connection, table, index, error)
            if statement.rows and not table.hides_rows:
                return _violations(connection, table, statement, error)
    except DatabaseError:  # the expression raises on a row, or a value is beyond Python's
        return error
    return error


def _violations(
    connection: BaseDatabaseWrapper, table: Table, statement: Statement, error: RowsViolate
) -> RowsViolate:
    primary = next((each for each in table.constraints if each.kind == "p"), None)
    key = primary.columns if primary else ()
    count = count_rows(connection, table, statement.rows, _COUNTED)
    first = first_keys(connection, table, statement.rows, key, _SHOWN) if key else []
    rows = f"{count:,}{' or more' if count == _COUNTED else ''}"
    if first:
        rows += f", the first with {_row(key)} {', '.join(_values(row) for row in first)}"
    if statement.is_reference:
        return RowsViolate(error.sql, error.reason, rows)
    return RowsViolateCheck(
        error.sql,
        error.reason,
        rows=rows,
        table=statement.table,
        count=count,
        key=key,
        first=first,
    )


def _duplicates(
    connection: BaseDatabaseWrapper, table: Table, index: Index, error: RowsViolate
) -> RowsViolate:
    key = [each[0] for each in index.keys]
    groups = duplicate_groups(connection, table, index, _SHOWN)
    shown = ", ".join(f"{_values(group[:-1])} in {group[-1]:,}" for group in groups)
    return DuplicateRows(
        error.sql,
        error.reason,
        rows=f"{_row(key)} {shown}" if groups else "",
        table=f"{table.schema}.{table.name}",
        key=key,
        first=groups,
    )


def _row(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _values(row: Sequence[object]) -> str:
    return _row([repr(value)[:_VALUE_WIDTH] for value in row])
