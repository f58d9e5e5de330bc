"""Questions about the rows of a table: whether there are any, how many, and which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .indexes import Index
from .query import query_rows, quoted
from .tables import Table, name_of


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a table with its partitions.

    size: bytes on disk, indexes included. rows: the estimate of the last VACUUM or ANALYZE; None before
    the first, and if the table was empty then.
    """

    size: int
    rows: int | None


# Whether a look for rows is quick and can be trusted.
_IS_SMALL = """
SELECT c.relkind = 'r' AND NOT pg_catalog.row_security_active(c.oid)
  AND pg_catalog.pg_relation_size(c.oid) <= 1048576
FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(%s)
"""

_SIZE = """
SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.oid))::pg_catalog.int8,
  NULLIF(pg_catalog.sum(GREATEST(t.reltuples, 0)), 0)::pg_catalog.int8
FROM pg_catalog.pg_class c
LEFT JOIN LATERAL pg_catalog.pg_partition_tree(c.oid) p ON c.relkind = 'p'
JOIN pg_catalog.pg_class t ON t.oid = COALESCE(p.relid, c.oid)
WHERE c.oid = pg_catalog.to_regclass(%s) AND c.relkind IN ('r', 'p') GROUP BY c.oid
"""

# The estimated number of rows times the share of NULLs. A column without statistics, as a new one is,
# counts as NULL in every row. Where there are statistics with and without the children, take the former.
_ESTIMATED_NULLS = """
SELECT c.reltuples::pg_catalog.float8 * COALESCE((
    SELECT s.null_frac FROM pg_catalog.pg_stats s
    WHERE s.schemaname = %s AND s.tablename = c.relname AND s.attname = %s
    ORDER BY s.inherited DESC LIMIT 1), 1)
FROM pg_catalog.pg_class c WHERE c.oid = %s AND c.reltuples > 0
"""


def table_size(connection: BaseDatabaseWrapper, table: str) -> Size | None:
    """Return the size of the quoted table and about how many rows it has; None if there is no such table."""
    rows = query_rows(connection, _SIZE, [table])
    return Size(*rows[0]) if rows else None


def estimate_nulls(connection: BaseDatabaseWrapper, table: Table, column: str) -> int | None:
    """Return about how many rows have NULL in the column, by the last VACUUM or ANALYZE.

    None before the first of them, and if the table was empty then.
    """
    rows = query_rows(connection, _ESTIMATED_NULLS, [table.schema, column, table.oid])
    return round(rows[0][0]) if rows else None


def has_rows(connection: BaseDatabaseWrapper, table: Table, condition: str = "true") -> bool:
    """Return whether a row of the table, or of its partitions and children, meets the SQL condition."""
    question = f"SELECT EXISTS (SELECT FROM {name_of(table)} WHERE {condition})"  # noqa: S608 - quoted
    return bool(query_rows(connection, question)[0][0])


def is_empty(connection: BaseDatabaseWrapper, name: str) -> bool:
    """Return whether the quoted table has no rows, as far as a quick look can tell.

    Return False without a look if the table has more than 1 MiB on disk: all its rows may be dead, but
    a scan past them would take long. Return False too if the table is partitioned, and if row level security
    applies to the current role, from which it may hide rows.
    """
    small = query_rows(connection, _IS_SMALL, [name])
    if not (small and small[0][0]):
        return False
    return not query_rows(connection, f"SELECT EXISTS (SELECT FROM {name})")[0][0]  # noqa: S608 - quoted


def count_rows(
    connection: BaseDatabaseWrapper, table: Table, condition: str, most: int | None = None
) -> int:
    """Return how many rows meet the SQL condition, but at most `most`: the rest is not counted."""
    some = f"SELECT FROM {name_of(table)} WHERE {condition} LIMIT {most or 'ALL'}"
    question = f"SELECT pg_catalog.count(*) FROM ({some}) rows"  # noqa: S608 - quoted
    return int(query_rows(connection, question)[0][0])


def first_keys(
    connection: BaseDatabaseWrapper, table: Table, condition: str, key: Sequence[str], most: int
) -> list[tuple[Any, ...]]:
    """Return the key of each row that meets the SQL condition, for the first `most` rows in key order.

    key: the names of its columns, not quoted. Each tuple has their values.
    """
    columns = ", ".join(map(quoted, key))
    return query_rows(
        connection,
        f"SELECT {columns} FROM {name_of(table)} WHERE {condition} "  # noqa: S608 - quoted
        f"ORDER BY {columns} LIMIT {most}",
    )


def duplicate_groups(
    connection: BaseDatabaseWrapper, table: Table, index: Index, most: int
) -> list[tuple[Any, ...]]:
    """Return the largest groups of rows that have the same key of the unique index, at most `most` groups.

    Each tuple has the values of the key and, last, the number of rows. Rows that the index does not compare
    are left out: those that its condition excludes and, unless NULLS NOT DISTINCT, those with a NULL.
    """
    keys = [key[0] for key in index.keys]
    conditions = [] if index.nulls_not_distinct else [f"({key}) IS NOT NULL" for key in keys]
    conditions += [index.predicate] if index.predicate else []
    places = ", ".join(str(place) for place in range(1, len(keys) + 1))
    return query_rows(
        connection,
        f"SELECT {', '.join(keys)}, pg_catalog.count(*) FROM {name_of(table)} "  # noqa: S608 - its own
        f"WHERE {' AND '.join(conditions) or 'true'} GROUP BY {places} "
        f"HAVING pg_catalog.count(*) > 1 ORDER BY pg_catalog.count(*) DESC, {places} LIMIT {most}",
    )
