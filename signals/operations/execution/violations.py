"""Find the rows because of which PostgreSQL refused a statement."""

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

_MAX_SHOWN = 5  # rows or groups
_MAX_COUNTED = 1000  # rows; counting all of a large table would take long
_VALUE_WIDTH = 60  # characters of a value


def explain_violation(
    connection: BaseDatabaseWrapper, table: Table | None, statement: Statement, error: RowsViolate
) -> RowsViolate:
    """Return the error with the number of rows that violate the statement and the first of them.

    Return the error as it is if the rows cannot be asked for: the table is gone (None), the transaction has
    failed, or row level security hides rows. The query scans the table and has no timeout.
    """
    if table is None or connection.needs_rollback:
        return error
    index = table.index(statement.unique) if statement.unique else None
    is_within = connection.in_atomic_block
    scope = transaction.atomic(using=connection.alias) if is_within else nullcontext()
    try:
        with no_timeouts(connection), scope:
            if index is not None:
                return _with_duplicates(connection, table, index, error)
            if statement.rows and not table.hides_rows:
                return _with_rows(connection, table, statement, error)
    except DatabaseError:  # the expression raises on a row, or Python has no such value
        return error
    return error


def _with_rows(
    connection: BaseDatabaseWrapper, table: Table, statement: Statement, error: RowsViolate
) -> RowsViolate:
    """Return the error with the rows that meet the statement's condition, by their primary key."""
    primary = next((each for each in table.constraints if each.kind == "p"), None)
    key = primary.columns if primary else ()
    count = count_rows(connection, table, statement.rows, _MAX_COUNTED)
    first = first_keys(connection, table, statement.rows, key, _MAX_SHOWN) if key else []
    rows = f"{count:,}{' or more' if count == _MAX_COUNTED else ''}"
    if first:
        rows += f", the first with {_as_row(key)} {', '.join(_row_values(row) for row in first)}"
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


def _with_duplicates(
    connection: BaseDatabaseWrapper, table: Table, index: Index, error: RowsViolate
) -> RowsViolate:
    """Return the error with the largest groups of rows that share a key of the unique index."""
    key = [each[0] for each in index.keys]
    groups = duplicate_groups(connection, table, index, _MAX_SHOWN)
    shown = ", ".join(f"{_row_values(group[:-1])} in {group[-1]:,}" for group in groups)
    return DuplicateRows(
        error.sql,
        error.reason,
        rows=f"{_as_row(key)} {shown}" if groups else "",
        table=f"{table.schema}.{table.name}",
        key=key,
        first=groups,
    )


def _as_row(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _row_values(row: Sequence[object]) -> str:
    return _as_row([repr(value)[:_VALUE_WIDTH] for value in row])
