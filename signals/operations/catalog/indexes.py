"""The indexes of a table."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Index:
    """A row of pg_index. `keys`: expression, operator class, collation and order of each key column.

    identity, clustered: whether it is the table's replica identity, or what CLUSTER orders it by.
    referenced: whether foreign keys rest on it. part_of: the
    OID of the partitioned index that it is attached to. folded: of its expressions and condition, as for
    a column.
    """

    oid: int
    name: str
    definition: str
    method: str
    keys: tuple[tuple[str, ...], ...]
    include: tuple[str, ...]
    predicate: str | None
    unique: bool
    nulls_not_distinct: bool
    options: tuple[str, ...]
    valid: bool
    building: bool
    constraint: str | None
    identity: bool
    clustered: bool
    referenced: bool
    part_of: int | None
    folded: str = ""


# indnullsnotdistinct came with PostgreSQL 15; through to_jsonb the question stands on 14 too.
# A build is told by its progress report; where that hides its index, because another role builds, by
# the lock that the reporting session holds on the table. pg_constraint has an index by its table, and none
# by conindid: in a database of many schemas that would be read as a whole for each index.
INDEXES = """(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', i.indexrelid::pg_catalog.int8, 'name', ic.relname,
      'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
      'method', m.amname,
      'keys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   pg_catalog.pg_get_indexdef(i.indexrelid, u.place::pg_catalog.int4, false),
                   (SELECT pg_catalog.concat(NULLIF(o.opcnamespace::pg_catalog.regnamespace::pg_catalog.text,
                        'pg_catalog') || '.', o.opcname)
                    FROM pg_catalog.pg_opclass o WHERE o.oid = i.indclass[u.place - 1]),
                   NULLIF(i.indcollation[u.place - 1], 0)::pg_catalog.regcollation::pg_catalog.text,
                   i.indoption[u.place - 1]::pg_catalog.text,
                   a.attoptions::pg_catalog.text) ORDER BY u.place)
               FROM pg_catalog.generate_series(1, i.indnkeyatts) u (place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = u.place),
      'include', (SELECT pg_catalog.json_agg(
                   pg_catalog.pg_get_indexdef(i.indexrelid, u.place::pg_catalog.int4, false)
                   ORDER BY u.place)
               FROM pg_catalog.generate_series(i.indnkeyatts + 1, i.indnatts) u (place)),
      'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
      'unique', i.indisunique,
      'nulls_not_distinct', COALESCE(
          (pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false),
      'options', COALESCE(pg_catalog.to_json(ic.reloptions), '[]'),
      'valid', i.indisvalid,
      'building', NOT i.indisvalid AND EXISTS (
          SELECT FROM pg_catalog.pg_stat_progress_create_index p
          WHERE p.pid <> pg_catalog.pg_backend_pid() AND p.datname = pg_catalog.current_database()
          AND (p.index_relid = i.indexrelid
          OR p.relid = c.oid AND p.command = 'REINDEX CONCURRENTLY'
          OR p.index_relid IS NULL AND EXISTS (
              SELECT FROM pg_catalog.pg_locks h WHERE h.pid = p.pid AND h.relation = c.oid
              AND h.granted AND h.mode = 'ShareUpdateExclusiveLock'))),
      'constraint', (SELECT k.conname FROM pg_catalog.pg_constraint k
                     WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid
                     AND k.contype IN ('p', 'u', 'x') LIMIT 1),
      'identity', i.indisreplident, 'clustered', i.indisclustered,
      'referenced', EXISTS (SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indexrelid
          AND (SELECT k.contype FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid) = 'f'),
      'part_of', CASE WHEN ic.relispartition THEN (
          SELECT h.inhparent::pg_catalog.int8 FROM pg_catalog.pg_inherits h
          WHERE h.inhrelid = i.indexrelid) END
    ) ORDER BY ic.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = ic.relam WHERE i.indrelid = c.oid)"""


def parse_index(facts: dict[str, Any]) -> Index:
    """Return the index of the facts that INDEXES gives."""
    facts["keys"] = tuple(tuple(key) for key in facts["keys"] or ())
    for key in ("include", "options"):
        facts[key] = tuple(facts[key] or ())
    return Index(**facts)
