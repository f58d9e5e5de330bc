"""The statistics, sequences and collations of the tables of many schemas, which are asked for together."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from .details import Sequence as OwnedSequence
from .health import (
    APPLIED_AT,
    BY_INDEX,
    SERVER,
    ChangedCollation,
    IndexUse,
    Position,
    TableUse,
    Vitals,
    position_question,
    readable_sequences,
)
from .query import INTERPRETED, compose, for_server, query_rows, query_scripts
from .tables import Table

_Item = TypeVar("_Item")

# The tables that are asked for; `place` is the position of each in the list.
_ASKED = """t (place, schema, oid) AS MATERIALIZED (
  SELECT q.place, n.nspname, c.oid
  FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb) q (place int4, name text, schemas text[])
  CROSS JOIN LATERAL pg_catalog.unnest(q.schemas) u (schema)
  JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = q.name AND c.relkind = 'r')"""

# Those from which more follows than that they are there.
_TABLES = f"""
WITH {_ASKED}
SELECT t.schema, t.place, u.inserted, u.scans FROM t CROSS JOIN LATERAL (SELECT
  pg_catalog.pg_stat_get_tuples_inserted(t.oid),
  pg_catalog.pg_stat_get_numscans(t.oid) + COALESCE((
    SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(o.indexrelid)) FROM pg_catalog.pg_index o
    WHERE o.indrelid = t.oid), 0)::pg_catalog.int8) u (inserted, scans)
WHERE u.inserted > 0 OR u.scans > 0
"""  # noqa: S608 - a constant

_INDEXES = f"""
WITH {_ASKED}
SELECT t.schema, t.place, x.relname, v.size, pg_catalog.pg_stat_get_numscans(i.indexrelid),
  EXTRACT(epoch FROM <lastscan>)::pg_catalog.float8
FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
CROSS JOIN LATERAL (SELECT x.relpages::pg_catalog.int8
  * pg_catalog.current_setting('block_size')::pg_catalog.int8) v (size)
WHERE v.size >= %s
"""  # noqa: S608 - a constant

_COLLATIONS = f"""
WITH {_ASKED}
SELECT x.place, x.name, v.recorded, v.actual, x.indexes
FROM (
  SELECT t.schema, l.oid, l.collversion,
    CASE WHEN l.collprovider <> 'd' THEN l.oid::pg_catalog.regcollation::pg_catalog.text END,
    pg_catalog.array_agg(i.indexrelid::pg_catalog.regclass::pg_catalog.text
      ORDER BY i.indexrelid::pg_catalog.regclass::pg_catalog.text)
  FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
  JOIN pg_catalog.pg_collation l ON l.oid = ANY(i.indcollation)
  GROUP BY t.schema, l.oid, l.collprovider, l.collversion) x (place, oid, version, name, indexes)
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
CROSS JOIN LATERAL (SELECT
  CASE WHEN x.name IS NULL THEN <datcollversion> ELSE x.version END,
  CASE WHEN x.name IS NULL THEN <datcollactual>
    ELSE pg_catalog.pg_collation_actual_version(x.oid) END) v (recorded, actual)
WHERE v.recorded <> v.actual ORDER BY 1, 2
"""  # noqa: S608 - a constant

# Each sequence is read with its table and all indexes of that, for which the server has to have locks; their
# number in a transaction is limited by max_locks_per_transaction.
_MAX_LOCKS = 1_500
_TRANSACTIONS_PER_TEXT = 50
_TABLES_PER_STATEMENT = 1_000


@dataclass(frozen=True, slots=True)
class SameTable:
    """A table that is the same in several schemas; table: that of one of them."""

    table: Table
    schemas: Sequence[str]


@dataclass(slots=True)
class _Facts:
    """What was found of one schema, by the OIDs of the tables that are the same there."""

    tables: dict[int, TableUse] = field(default_factory=dict)
    indexes: dict[int, IndexUse] = field(default_factory=dict)
    collations: list[ChangedCollation] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)


def in_schema_of(table: Table, schema: str) -> Table:
    """Return the table as it is in the other schema, with the OIDs that it has in its own one."""
    details = table.details
    if details is not None:
        sequences = tuple(
            replace(each, schema=schema) if each.schema == table.schema else each
            for each in details.sequences
        )
        details = replace(details, sequences=sequences)
    return replace(table, schema=schema, details=details)


def read_vitals_in_schemas(
    connection: BaseDatabaseWrapper, asked: Sequence[SameTable], min_size: int
) -> dict[str, Vitals]:
    """Return by schema the facts about its tables, by the OIDs that they have in `asked`.

    It takes one round trip, and more for many thousands of sequences. When migrations were recorded is left
    out; see `applied_at`.

    min_size: the bytes from which on the use of an index is told.
    """
    names = [
        {"place": place, "name": each.table.name, "schemas": list(each.schemas)}
        for place, each in enumerate(asked)
    ]
    records = json.dumps(names, ensure_ascii=False)
    script = [
        INTERPRETED,
        SERVER,
        compose(connection, _TABLES, [records]),
        compose(connection, for_server(connection, _INDEXES), [records, min_size]),
        compose(connection, for_server(connection, _COLLATIONS), [records]),
    ]
    sequences = list(_sequences(asked))
    scripts = [script, *_position_scripts(sequences)]
    answers = [
        answer
        for text in _batches(scripts, _TRANSACTIONS_PER_TEXT)
        for answer in query_scripts(connection, *text)
    ]
    server, used, uses, collations, *positions = answers
    facts: dict[str, _Facts] = defaultdict(_Facts)
    for place, *position in (row for rows in positions for row in rows):
        _, schema, sequence = sequences[place]
        facts[schema].positions[sequence.name] = Position(*position)
    for schema, place, *use in used:
        facts[schema].tables[asked[place].table.oid] = TableUse(*use)
    for schema, place, name, *scans in uses:
        oids = (each.oid for each in asked[place].table.indexes if each.name == name)
        facts[schema].indexes |= dict.fromkeys(oids, IndexUse(*scans))
    for schema, name, recorded, actual, indexes in collations:
        changed = ChangedCollation(name, recorded, actual, tuple(indexes))
        facts[schema].collations.append(changed)
    database, now, since = server[0]
    return {
        schema: Vitals(
            database, now, since, own.tables, own.indexes, tuple(own.collations), {}, own.positions
        )
        for schema, own in facts.items()
    }


def applied_at(
    connection: BaseDatabaseWrapper, recorder_tables: Sequence[str]
) -> dict[str, Mapping[str, float]]:
    """Return by recorder table when each migration was recorded, by app.name, in seconds since 1970.

    recorder_tables: quoted names. Take one round trip for each thousand of them.
    """
    applied: dict[str, dict[str, float]] = {name: {} for name in recorder_tables}
    for some in _batches(recorder_tables, _TABLES_PER_STATEMENT):
        parts = [
            f"SELECT {place}, app || '.' || name, {APPLIED_AT} FROM {name} GROUP BY 1, 2"  # noqa: S608 - names of the catalog
            for place, name in enumerate(some)
        ]
        for place, label, when in query_rows(connection, " UNION ALL ".join(parts)):
            applied[some[place]][label] = when
    return dict(applied)


def _sequences(asked: Sequence[SameTable]) -> Iterator[tuple[SameTable, str, OwnedSequence]]:
    for same in asked:
        for _, sequence in readable_sequences([same.table]):
            yield from ((same, schema, sequence) for schema in same.schemas)


def _position_scripts(
    sequences: Sequence[tuple[SameTable, str, OwnedSequence]],
) -> Iterator[list[str]]:
    """Yield scripts that ask for the positions, none with more locks than there may be."""
    parts: list[str] = []
    locks = 0
    for place, (same, schema, sequence) in enumerate(sequences):
        table = in_schema_of(same.table, schema)
        details = table.details
        (own,) = (
            each for each in (details.sequences if details else ()) if each.name == sequence.name
        )
        parts.append(position_question(place, table, own))
        locks += 2 + len(table.indexes)
        if locks >= _MAX_LOCKS:
            yield [INTERPRETED, BY_INDEX, " UNION ALL ".join(parts)]
            parts, locks = [], 0
    if parts:
        yield [INTERPRETED, BY_INDEX, " UNION ALL ".join(parts)]


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[begin : begin + size] for begin in range(0, len(items), size))
