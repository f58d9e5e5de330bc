"""The statistics, sequences and collations of tables, from which their health is judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from .details import Sequence as OwnedSequence
from .query import INTERPRETED, compose, for_server, query_scripts, quoted
from .tables import Table, name_of

# PostgreSQL 15 and later do not tell when the statistics of a database began that were never reset. Those of
# the background writer begin when the server loses all its statistics, as in a crash.
SERVER = """
SELECT pg_catalog.current_database(), EXTRACT(epoch FROM pg_catalog.now())::pg_catalog.float8,
  EXTRACT(epoch FROM GREATEST(pg_catalog.pg_stat_get_db_stat_reset_time(d.oid),
    pg_catalog.pg_stat_get_bgwriter_stat_reset_time()))::pg_catalog.float8
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_TABLES = """
SELECT c.oid::pg_catalog.int8, pg_catalog.pg_stat_get_tuples_inserted(c.oid),
  pg_catalog.pg_stat_get_numscans(c.oid) + COALESCE((
    SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)) FROM pg_catalog.pg_index i
    WHERE i.indrelid = c.oid), 0)::pg_catalog.int8
FROM pg_catalog.pg_class c WHERE c.oid = ANY(%s::pg_catalog.oid[])
"""

# The number of pages is that of the last VACUUM, ANALYZE or build. To ask for the size of the file would wait
# for a lock of the index.
_INDEXES = """
SELECT i.indexrelid::pg_catalog.int8,
  c.relpages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8,
  pg_catalog.pg_stat_get_numscans(i.indexrelid),
  EXTRACT(epoch FROM <lastscan>)::pg_catalog.float8
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s::pg_catalog.oid[])
"""

# The provider 'd' is that of the collation "default", whose version is the database's.
_COLLATIONS = """
SELECT x.name, v.recorded, v.actual, x.indexes
FROM (
  SELECT l.oid, l.collprovider, l.collversion,
    CASE WHEN l.collprovider <> 'd' THEN l.oid::pg_catalog.regcollation::pg_catalog.text END,
    pg_catalog.array_agg(i.indexrelid::pg_catalog.regclass::pg_catalog.text
      ORDER BY i.indexrelid::pg_catalog.regclass::pg_catalog.text)
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_collation l ON l.oid = ANY(i.indcollation)
  WHERE i.indrelid = ANY(%s::pg_catalog.oid[])
  GROUP BY l.oid, l.collprovider, l.collversion) x (oid, provider, version, name, indexes)
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
CROSS JOIN LATERAL (SELECT
  CASE WHEN x.name IS NULL THEN <datcollversion> ELSE x.version END,
  CASE WHEN x.name IS NULL THEN <datcollactual>
    ELSE pg_catalog.pg_collation_actual_version(x.oid) END) v (recorded, actual)
WHERE v.recorded <> v.actual ORDER BY 1
"""

# When a migration was recorded, in a question that groups the records by migration.
APPLIED_AT = "EXTRACT(epoch FROM pg_catalog.max(applied))::pg_catalog.float8"

# Let each table be read by the index, though it may have too few rows for that.
BY_INDEX = "SET LOCAL enable_seqscan = off"


@dataclass(frozen=True, slots=True)
class IndexUse:
    """The use of an index.

    size: about how many bytes it has.
    scans: how many scans used it, since the statistics began.
    last_scan: when the last one did, in seconds since 1970; None before PostgreSQL 16, or if none did.
    """

    size: int
    scans: int
    last_scan: float | None


@dataclass(frozen=True, slots=True)
class TableUse:
    """The use of a table since the statistics began: rows inserted, and scans of it and its indexes."""

    inserted: int
    scans: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a sequence stands, and the value in its column that is furthest in its direction, if any."""

    last_value: int
    is_called: bool
    furthest: int | None


@dataclass(frozen=True, slots=True)
class ChangedCollation:
    """A collation whose version is not the recorded one, and the indexes that were built by it.

    name: quoted where needed; None if it is the database's.
    """

    name: str | None
    recorded: str
    actual: str
    indexes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vitals:
    """The facts from which the health of tables is judged; times are in seconds since 1970.

    since: when the statistics began, if the server knows.
    tables, indexes: their use, by OID. positions: those of sequences, by their name.
    applied: when each migration was recorded, by app.name.
    """

    database: str
    now: float
    since: float | None
    tables: Mapping[int, TableUse]
    indexes: Mapping[int, IndexUse]
    collations: tuple[ChangedCollation, ...]
    applied: Mapping[str, float]
    positions: Mapping[str, Position]


def read_vitals(connection: BaseDatabaseWrapper, tables: Sequence[Table], records: str) -> Vitals:
    """Return the facts about the tables; take one round trip, whatever their number.

    records: the quoted name of the table in which migrations are recorded.
    """
    oids = [each.oid for each in tables]
    asked = [
        compose(connection, for_server(connection, text), [oids])
        for text in (_TABLES, _INDEXES, _COLLATIONS)
    ]
    known = dict(enumerate(readable_sequences(tables)))
    positions = [position_question(place, *each) for place, each in known.items()]
    script = [INTERPRETED, SERVER, *asked, _applied(records)]
    server, used, uses, collations, applied, *found = query_scripts(
        connection, [*script, BY_INDEX, *positions]
    )
    database, now, since = server[0]
    return Vitals(
        database,
        now,
        since,
        {oid: TableUse(*facts) for oid, *facts in used},
        {oid: IndexUse(*facts) for oid, *facts in uses},
        tuple(
            ChangedCollation(name, recorded, actual, tuple(indexes))
            for name, recorded, actual, indexes in collations
        ),
        dict(applied),
        {known[place][1].name: Position(*facts) for ((place, *facts),) in found},
    )


def readable_sequences(tables: Sequence[Table]) -> Iterator[tuple[Table, OwnedSequence]]:
    """Yield the sequences that can be compared with their column by reading one row of an index."""
    for table in tables:
        is_hidden = table.hides_rows or table.unlogged  # which a standby server cannot read
        for each in table.details.sequences if table.details and not is_hidden else ():
            column = table.column(each.column)
            is_numbered = column is not None and column.numbered
            if is_numbered and each.readable and _has_index_on(table, each.column):
                yield table, each


def _has_index_on(table: Table, column: str) -> bool:
    """Return whether a valid index of the table begins with the column, and has all rows."""
    return any(
        each.valid
        and each.method == "btree"
        and each.predicate is None
        and each.keys[0][0] in (column, quoted(column))
        for each in table.indexes
    )


def _applied(records: str) -> str:
    """Return the question when each migration was recorded, from which follows how old an index may be."""
    return f"SELECT app || '.' || name, {APPLIED_AT} FROM {records} GROUP BY 1"  # noqa: S608 - a name of the catalog


def position_question(place: int, table: Table, sequence: OwnedSequence) -> str:
    """Return the question where the sequence stands, and what the column has in its direction."""
    column, name = quoted(sequence.column), name_of(table)
    order = "DESC" if sequence.step > 0 else "ASC"
    row = f"SELECT t.{column} FROM {name} t WHERE t.{column} IS NOT NULL ORDER BY 1 {order} LIMIT 1"  # noqa: S608 - names of the catalog
    return f"SELECT {place}, s.last_value, s.is_called, ({row}) FROM {sequence.full_name} s"  # noqa: S608 - the same
