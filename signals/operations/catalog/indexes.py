"""The indexes of a table, as the catalog describes them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Index:
    """An index, from pg_index.

    definition: CREATE INDEX as PostgreSQL prints it.
    keys: expression, operator class, collation, order and operator class options of each key column.
    include: the columns of INCLUDE.
    predicate: the condition of a partial index.
    options: the storage parameters.
    building: whether another session builds the index now.
    constraint: the name of the primary key, unique or exclusion constraint that the index serves.
    identity: whether the index is the replica identity of its table.
    clustered: whether CLUSTER orders the table by the index.
    referenced: whether foreign keys depend on the index.
    part_of: the OID of the partitioned index that the index is attached to.
    folded: the expressions and the condition after constant folding; empty as in Column.
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


# `c` is the table's row of pg_class.
#
# An invalid index is being built if pg_stat_progress_create_index has a build of it. The view hides the index
# of another role's build, which is recognized by the lock that its session holds on the table.
_BUILDING = """NOT i.indisvalid AND EXISTS (
          SELECT FROM pg_catalog.pg_stat_progress_create_index p
          WHERE p.pid <> pg_catalog.pg_backend_pid() AND p.datname = pg_catalog.current_database()
          AND (p.index_relid = i.indexrelid
          OR p.relid = c.oid AND p.command = 'REINDEX CONCURRENTLY'
          OR p.index_relid IS NULL AND EXISTS (
              SELECT FROM pg_catalog.pg_locks h WHERE h.pid = p.pid AND h.relation = c.oid
              AND h.granted AND h.mode = 'ShareUpdateExclusiveLock')))"""

# pg_constraint has a catalog index on conrelid and none on conindid. Asking by both keeps PostgreSQL from
# reading all of pg_constraint for each index, which is long in a database of many schemas.
#
# What another catalog has in one row is a subquery and not a join: the planner tries every order of joins,
# and planning takes longer than reading.
#
# The only constraints that depend on an index are foreign keys.
_INDEXES = """(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', i.indexrelid::pg_catalog.int8, 'name', ic.relname,
      'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
      'method', (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = ic.relam), 'length', i.indnkeyatts,
      'keys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                   pg_catalog.pg_get_indexdef(i.indexrelid, a.attnum::pg_catalog.int4, false),
                   (SELECT pg_catalog.concat(NULLIF(o.opcnamespace::pg_catalog.regnamespace::pg_catalog.text,
                        'pg_catalog') || '.', o.opcname)
                    FROM pg_catalog.pg_opclass o WHERE o.oid = i.indclass[a.attnum - 1]),
                   NULLIF(i.indcollation[a.attnum - 1], 0)::pg_catalog.regcollation::pg_catalog.text,
                   i.indoption[a.attnum - 1]::pg_catalog.text,
                   a.attoptions::pg_catalog.text) ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = i.indexrelid AND a.attnum > 0),
      'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
      'unique', i.indisunique,
      'nulls_not_distinct', <indnullsnotdistinct>,
      'options', COALESCE(pg_catalog.to_json(ic.reloptions), '[]'),
      'valid', i.indisvalid,
      'building', <building>,
      'constraint', (SELECT k.conname FROM pg_catalog.pg_constraint k WHERE k.conrelid = i.indrelid
          AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')),
      'identity', i.indisreplident, 'clustered', i.indisclustered,
      'referenced', EXISTS (SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indexrelid),
      'part_of', (SELECT h.inhparent::pg_catalog.int8 FROM pg_catalog.pg_inherits h
          WHERE h.inhrelid = i.indexrelid)
    ) ORDER BY ic.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid)"""


def indexes_json(*, building: bool) -> str:
    """Return the SQL expression of a table's indexes; building: whether to find out which are being built.

    No valid index is being built, and the views that tell who builds take the planner some time.
    """
    return _INDEXES.replace("<building>", _BUILDING if building else "false")


def parse_index(facts: dict[str, Any]) -> Index:
    """Return the Index that the facts, an object of the JSON array, describe."""
    columns, length = facts.pop("keys"), facts.pop("length")
    facts["keys"] = tuple(map(tuple, columns[:length]))
    facts["include"] = tuple(expression for expression, *_ in columns[length:])
    facts["options"] = tuple(facts["options"])
    return Index(**facts)
