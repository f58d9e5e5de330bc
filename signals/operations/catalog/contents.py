"""Questions about the rows of a table: whether there are any, how many, and which."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .indexes import Index
from .query import IN_FULL, INTERPRETED, compose, query_rows, query_scripts, quoted
from .tables import Table, name_of


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a table with its partitions.

    size: bytes on disk, indexes included. rows: the estimate of the last VACUUM or ANALYZE; None before
    the first, and if the table was empty then.
    """

    size: int
    rows: int | None


RowKey = tuple[str, ...]  # the values of the primary key's columns, as PostgreSQL prints them


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The first and the last key of rows that have NULL in a column, and the number of these rows."""

    first: RowKey
    last: RowKey
    rows: int


SMALL = 128  # pages of 8 KiB: of a larger table all rows may be dead, and a scan past them would take long

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

# A new column has no statistics, so the planner would sort all rows of the table for each range. A scan of
# the key's index yields the rows in order, and ends at the last one that is needed.
_IN_KEY_ORDER = (
    "SET LOCAL enable_sort = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
    INTERPRETED,
    IN_FULL,
)

# Read the table in its order on disk. If many rows have to be skipped, an index scan would jump from page to
# page for each of them.
_IN_TABLE_ORDER = (
    "SET LOCAL enable_indexscan = off",
    "SET LOCAL enable_indexonlyscan = off",
    INTERPRETED,
    IN_FULL,
)

_RANGE = """
SELECT <first>, <last>, l.place
FROM (
  SELECT n.* FROM (SELECT <keys>, r.<column> IS NULL AS is_null FROM <table> r <begin>) n
  WHERE n.is_null LIMIT 1) f
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT n.*, pg_catalog.row_number() OVER () AS place, pg_catalog.lead(true) OVER () IS NULL AS ends
    FROM (
      SELECT s.* FROM (
        SELECT <keys>, r.<column> IS NULL AS is_null FROM <table> r
        WHERE (<order>) >= (<from>) ORDER BY <order> LIMIT <seen>) s
      WHERE s.is_null LIMIT <most>) n) p
  WHERE p.ends) l
"""

_SEEN = 20  # rows to read for each one that is NULL; that costs about as much as to write the one


def table_size(connection: BaseDatabaseWrapper, table: str) -> Size | None:
    """Return the size of the quoted table and about how many rows it has; None if there is no such table."""
    rows = query_rows(connection, _SIZE, [table])
    return Size(*rows[0]) if rows else None


def estimate_nulls(connection: BaseDatabaseWrapper, table: Table, column: str) -> int | None:
    """Return about how many rows have NULL in the column, by the last VACUUM or ANALYZE.

    Return None before the first of them, and if the table was empty then.
    """
    rows = query_rows(connection, _ESTIMATED_NULLS, [table.schema, column, table.oid])
    return round(rows[0][0]) if rows else None


def has_rows(connection: BaseDatabaseWrapper, table: Table, condition: str = "true") -> bool:
    """Return whether a row of the table, or of its partitions and children, meets the SQL condition."""
    return bool(query_rows(connection, f"SELECT {row_exists(table, condition)}")[0][0])


def row_exists(table: Table, condition: str = "true") -> str:
    """Return the SQL condition that a row of the table, or of its partitions and children, meets another."""
    return f"EXISTS (SELECT FROM {name_of(table)} WHERE {condition})"


def is_empty(connection: BaseDatabaseWrapper, table: Table) -> bool:
    """Return whether the table has no rows, as far as a quick look can tell.

    Return False without a look if the table has more than SMALL pages on disk. Return False too if the
    table is partitioned, and if row level security applies to the current role, from which it may hide rows.
    """
    if table.pages > SMALL or table.kind != "r" or table.hides_rows:
        return False
    # CASE looks for rows only if the file is small.
    size = f"pg_catalog.pg_relation_size({table.oid})"
    look = f"NOT {row_exists(table)}"
    question = f"SELECT CASE WHEN {size} <= {SMALL * 8192} THEN {look} ELSE false END"
    return bool(query_rows(connection, question)[0][0])


def count_rows(
    connection: BaseDatabaseWrapper, table: Table, condition: str, most: int | None = None
) -> int:
    """Return how many rows meet the SQL condition; count no further than `most`."""
    some = f"SELECT FROM {name_of(table)} WHERE {condition} LIMIT {most or 'ALL'}"
    question = f"SELECT pg_catalog.count(*) FROM ({some}) rows"  # noqa: S608 - quoted
    return int(query_rows(connection, question)[0][0])


def first_keys(
    connection: BaseDatabaseWrapper, table: Table, condition: str, key: Sequence[str], most: int
) -> list[tuple[Any, ...]]:
    """Return the keys of the first `most` rows, in key order, that meet the SQL condition.

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


def next_range(  # noqa: PLR0913 - each is a part of the question
    connection: BaseDatabaseWrapper,
    table: Table,
    column: str,
    key: Sequence[str],
    *,
    after: RowKey | None,
    most: int,
) -> KeyRange | None:
    """Return the key range of the next rows that have NULL in the column; None if there are none.

    The range has at most `most` such rows. It has fewer if many other rows lie between them, so that a
    statement on the range does not read many rows in vain.

    after: the last key of the previous range; None for the first range.
    """
    order = ", ".join(_columns(key))
    ask = partial(_range, connection, table, column, key, most=most)
    if after is not None:
        return ask(begin=f"WHERE ({order}) > ({_literals(connection, after)}) ORDER BY {order}")
    found = ask(begin=f"ORDER BY {order} LIMIT {most}")
    if found is not None:
        return found
    first = _first_null(connection, table, column, key)
    if first is None:
        return None
    return ask(begin=f"WHERE ({order}) >= ({_literals(connection, first)}) ORDER BY {order}")


def _range(  # noqa: PLR0913 - each is a part of the question
    connection: BaseDatabaseWrapper,
    table: Table,
    column: str,
    key: Sequence[str],
    *,
    begin: str,
    most: int,
) -> KeyRange | None:
    names = [f"k{place}" for place in range(len(key))]
    parts = {
        "first": ", ".join(f"f.{name}::pg_catalog.text" for name in names),
        "last": ", ".join(f"l.{name}::pg_catalog.text" for name in names),
        "keys": ", ".join(map("{} AS {}".format, _columns(key), names)),
        "table": name_of(table),
        "column": quoted(column),
        "begin": begin,
        "order": ", ".join(_columns(key)),
        "from": ", ".join(f"f.{name}" for name in names),
        "seen": str(most * _SEEN),
        "most": str(most),
    }
    question = re.sub(r"<(\w+)>", lambda found: parts[found[1]], _RANGE)
    (rows,) = query_scripts(connection, [*_IN_KEY_ORDER, question])
    if not rows:
        return None
    *ends, count = rows[0]
    return KeyRange(tuple(ends[: len(key)]), tuple(ends[len(key) :]), count)


def _first_null(
    connection: BaseDatabaseWrapper, table: Table, column: str, key: Sequence[str]
) -> RowKey | None:
    texts = ", ".join(f"{name}::pg_catalog.text" for name in _columns(key))
    question = (
        f"SELECT {texts} FROM {name_of(table)} r WHERE r.{quoted(column)} IS NULL "  # noqa: S608 - quoted
        f"ORDER BY {', '.join(_columns(key))} LIMIT 1"
    )
    (rows,) = query_scripts(connection, [*_IN_TABLE_ORDER, question])
    return rows[0] if rows else None


def _columns(key: Sequence[str]) -> list[str]:
    return [f"r.{quoted(name)}" for name in key]


def _literals(connection: BaseDatabaseWrapper, values: RowKey) -> str:
    """Return the values as untyped SQL literals, each of which takes the type of its column."""
    return compose(connection, ", ".join(["%s"] * len(values)), values)
