"""Which rows stand against a statement that PostgreSQL refused."""

from collections.abc import Sequence
from contextlib import nullcontext

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.operations import session
from signals.operations.catalog import Catalog, Index, Table
from signals.operations.errors import DuplicateRows, RowsViolate, RowsViolateCheck
from signals.operations.statements import Statement

_SHOWN = 5  # rows or groups
_COUNTED = 1000  # rows; more are not counted
_LONGEST = 60  # characters of a value


def explain(
    connection: BaseDatabaseWrapper, table: Table | None, statement: Statement, error: RowsViolate
) -> RowsViolate:
    """The error with the number of rows and the first of them; as it is where that cannot be asked."""
    if table is None or connection.needs_rollback:
        return error
    index = table.index(statement.unique) if statement.unique else None
    is_within = connection.in_atomic_block
    scope = transaction.atomic(using=connection.alias) if is_within else nullcontext()
    try:
        with session.no_timeouts(connection), scope:
            if index is not None:
                return _duplicates(Catalog(connection), table, index, error)
            if statement.rows and not table.hides_rows:
                return _violations(Catalog(connection), table, statement, error)
    except DatabaseError:  # the expression raises on a row, or a value is beyond Python's
        return error
    return error


def _violations(
    catalog: Catalog, table: Table, statement: Statement, error: RowsViolate
) -> RowsViolate:
    primary = next((each for each in table.constraints if each.kind == "p"), None)
    key = primary.columns if primary else ()
    count = catalog.count(table, statement.rows, _COUNTED)
    first = catalog.keys(table, statement.rows, key, _SHOWN) if key else []
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


def _duplicates(catalog: Catalog, table: Table, index: Index, error: RowsViolate) -> RowsViolate:
    key = [each[0] for each in index.keys]
    groups = catalog.duplicates(table, index, _SHOWN)
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
    return _row([repr(value)[:_LONGEST] for value in row])
