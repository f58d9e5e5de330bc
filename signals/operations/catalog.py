"""Every question asked of pg_catalog: one constant, one frozen row, one function each.

Nothing here decides anything, and no exception is caught: a missing object is None.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True, slots=True)
class Column:
    """A row of pg_attribute. `numbered`: by an identity or a sequence; `generated`: '', 's' or 'v'.

    unproven: the NOT NULL constraint that is NOT VALID, which attnotnull does not tell.
    folded: what the planner makes of the default; asked where it is spelled differently than declared.
    """

    name: str
    type: str
    not_null: bool
    default: str | None
    collation: str | None
    generated: str
    numbered: bool
    unproven: str | None
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A row of pg_constraint. `kind` is contype; `target` (an OID) and `target_columns` are a foreign key's.

    enforced: False where PostgreSQL 18 keeps the constraint as a mere statement. folded: of a check's
    expression, as for a column.
    """

    name: str
    kind: str
    definition: str
    validated: bool
    enforced: bool
    columns: tuple[str, ...]
    target: int | None
    target_columns: tuple[str, ...]
    deferral: str
    folded: str = ""


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


@dataclass(frozen=True, slots=True)
class Part:
    """A table in the tree of a partitioned one. `kind` is relkind, `parent` the OID of the table above.

    key: the columns of its own partition key, None for an expression. uniques: its unique constraints,
    each with its deferral as a Constraint has it. owned: whether the current role may alter it.
    """

    oid: int
    schema: str
    name: str
    kind: str
    parent: int | None
    owned: bool
    key: tuple[str | None, ...]
    uniques: dict[str, str]
    indexes: tuple[Index, ...]

    def beside(self, name: str) -> str:
        """The quoted name of a relation in the part's schema."""
        return f"{quoted(self.schema)}.{quoted(name)}"

    @property
    def table(self) -> str:
        """Its name as SQL."""
        return self.beside(self.name)


@dataclass(frozen=True, slots=True)
class Tree:
    """A partitioned table as `root` and the tables below it, those above before those below.

    taken: names that an index of a part might have, each with its schema, and somebody has.
    """

    root: Part
    parts: tuple[Part, ...]
    taken: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Relation:
    """Another relation that holds a name which the operation wants for an index; `table` is an index's."""

    name: str
    kind: str
    table: str


@dataclass(frozen=True, slots=True)
class Target:
    """Another relation that foreign keys are to refer to.

    keys: its columns that each are a key of it, with their types. persistence: relpersistence.
    granted: whether the current role may refer to it.
    """

    oid: int
    kind: str
    persistence: str
    granted: bool
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its parts. `current`: it stands in current_schema(), where CREATE TABLE would put it.

    hides_rows: row level security keeps rows of it from the current role. taken: who has the names that
    were asked for. unknown: those of the asked types that do not exist. targets: those of the asked tables
    that exist, by the names that they were asked by. tree: of a partitioned table, if names of indexes
    were asked for.
    """

    oid: int
    schema: str
    name: str
    kind: str
    current: bool
    temporary: bool
    unlogged: bool
    hides_rows: bool
    targets: dict[str, Target]
    unknown: tuple[str, ...]
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    taken: tuple[Relation, ...]
    tree: Tree | None = None

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def has_columns(self, names: Iterable[str]) -> bool:
        """Whether the table has all of the columns."""
        return {column.name for column in self.columns}.issuperset(names)

    def constraint(self, name: str) -> Constraint | None:
        return next((each for each in self.constraints if each.name == name), None)

    def index(self, name: str) -> Index | None:
        return next((index for index in self.indexes if index.name == name), None)

    def holder(self, name: str) -> Relation | None:
        """The relation other than this table's indexes that has the name in the table's schema."""
        return next((relation for relation in self.taken if relation.name == name), None)


@dataclass(frozen=True, slots=True)
class Size:
    """Of a table: bytes with its indexes; rows by its last VACUUM or ANALYZE, None before the first."""

    size: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Enum:
    """A type: `kind` is typtype, 'e' for an enum; `current` as for a table; its labels in order.

    used: whether a column, a function or another object depends on it.
    """

    kind: str
    current: bool
    labels: tuple[str, ...]
    used: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for under a quoted name, and what of it.

    indexes: of a table: plain names; who else has them in the table's schema is told. types, tables:
    quoted names of others to resolve along. family: of schemas, the group in which it is asked.
    """

    name: str
    indexes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    kind: str = "table"
    family: int = 0


@dataclass(frozen=True, slots=True)
class Alike:
    """The answer in schemas that have it alike; it is that of the first, with its numbers."""

    schemas: tuple[str, ...]
    answer: Any


@dataclass(frozen=True, slots=True)
class Copy:
    """DDL to be put on an empty copy of a table; path: the search_path for it, where not the session's."""

    found: Table
    ddl: tuple[str, ...]
    path: str = ""


# indnullsnotdistinct came with PostgreSQL 15; through to_jsonb the question stands on 14 too.
# A build is told by its progress report; where that hides its index, because another role builds, by
# the lock that the reporting session holds on the table. pg_constraint has an index by its table, and none
# by conindid: in a database of many schemas that would be read as a whole for each index.
_INDEXES = """(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
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

_TABLE = """
SELECT pg_catalog.json_build_object(
  'digits', pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4,
  'oid', c.oid::pg_catalog.int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
  'current', n.nspname = pg_catalog.current_schema(),
  'temporary', c.relpersistence = 't', 'unlogged', c.relpersistence = 'u',
  'hides_rows', pg_catalog.row_security_active(c.oid),
  'unknown', (SELECT pg_catalog.json_agg(u.name) FROM pg_catalog.unnest(q.types) u (name)
      WHERE pg_catalog.to_regtype(u.name) IS NULL),
  'targets', (SELECT pg_catalog.json_object_agg(u.name, pg_catalog.json_build_object(
          'oid', r.oid::pg_catalog.int8, 'kind', r.relkind, 'persistence', r.relpersistence,
          'granted', pg_catalog.has_table_privilege(r.oid, 'REFERENCES'),
          'keys', (SELECT pg_catalog.json_object_agg(
                       a.attname, pg_catalog.format_type(a.atttypid, NULL)) FROM pg_catalog.pg_index i
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = r.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                   AND i.indnkeyatts = 1 AND i.indpred IS NULL)))
      FROM pg_catalog.unnest(q.tables) u (name)
      JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.to_regclass(u.name)),
  'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname,
      'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'not_null', a.attnotnull,
      'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
      'collation', (SELECT l.oid::pg_catalog.regcollation::pg_catalog.text FROM pg_catalog.pg_collation l
                    WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation),
      'generated', a.attgenerated,
      'numbered', a.attidentity <> '' OR COALESCE(
          pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%', false),
      'unproven', (SELECT k.conname FROM pg_catalog.pg_constraint k
                   WHERE k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated
                   AND k.conkey = ARRAY[a.attnum])
    ) ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', k.conname, 'kind', k.contype,
      'definition', pg_catalog.pg_get_constraintdef(k.oid),
      'validated', k.convalidated,
      'enforced', COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true),
      'columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY u.place)
                  FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u (number, place)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
      'target', NULLIF(k.confrelid::pg_catalog.int8, 0),
      'target_columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY u.place)
                  FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u (number, place)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number),
      'deferral', CASE WHEN k.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED'
                       WHEN k.condeferrable THEN 'DEFERRABLE' ELSE '' END
    ) ORDER BY k.conname)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid),
  'indexes', <indexes>,
  'taken', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.relname, 'kind', r.relkind,
      'table', COALESCE((SELECT i.indrelid::pg_catalog.regclass::pg_catalog.text
                         FROM pg_catalog.pg_index i WHERE i.indexrelid = r.oid), '')))
    FROM pg_catalog.pg_class r
    WHERE r.relnamespace = c.relnamespace AND r.relname = ANY(q.indexes)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indexrelid = r.oid AND i.indrelid = c.oid))
)::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(q.name)
""".replace("<indexes>", _INDEXES)

# What pg_partition_tree leaves out, another session is about to detach. A name that an index of a part
# might have ends in one of the asked names, or is about as long as a name can be.
_TREE = """
SELECT pg_catalog.json_build_object(
  'parts', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', c.oid::pg_catalog.int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
      'parent', t.parentrelid::pg_catalog.oid::pg_catalog.int8,
      'owned', pg_catalog.pg_has_role(c.relowner, 'USAGE'),
      'key', (SELECT pg_catalog.json_agg(a.attname ORDER BY u.place)
              FROM pg_catalog.pg_partitioned_table k,
                   pg_catalog.unnest(k.partattrs::pg_catalog.int2[]) WITH ORDINALITY u (number, place)
              LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number
              WHERE k.partrelid = c.oid),
      'uniques', (SELECT pg_catalog.json_object_agg(k.conname,
              CASE WHEN k.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED'
                   WHEN k.condeferrable THEN 'DEFERRABLE' ELSE '' END)
              FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'u'),
      'indexes', <indexes>
    ) ORDER BY t.level, n.nspname, c.relname)
    FROM pg_catalog.pg_partition_tree(%s::pg_catalog.regclass) t
    JOIN pg_catalog.pg_class c ON c.oid = t.relid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace),
  'taken', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, r.relname))
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE r.relnamespace IN (
        SELECT c.relnamespace FROM pg_catalog.pg_partition_tree(%s::pg_catalog.regclass) t
        JOIN pg_catalog.pg_class c ON c.oid = t.relid)
    AND (pg_catalog.octet_length(r.relname::pg_catalog.text) > 55 OR EXISTS (
        SELECT FROM pg_catalog.unnest(%s::pg_catalog.text[]) u (name)
        WHERE pg_catalog.right(r.relname::pg_catalog.text, pg_catalog.length(u.name)) = u.name)))
)::pg_catalog.text
""".replace("<indexes>", _INDEXES)

_ENUM = """
SELECT pg_catalog.json_build_object(
  'kind', t.typtype, 'current', n.nspname = pg_catalog.current_schema(),
  'labels', (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
             FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
  'used', EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                  AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n')
)::pg_catalog.text
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid = pg_catalog.to_regtype(q.name)
"""

# A table that stands where CREATE TABLE would put it, or in the schema that it names.
_PLACED = """
SELECT 'true' FROM pg_catalog.pg_class c
WHERE c.oid = pg_catalog.to_regclass(q.name) AND c.relkind IN ('r', 'p')
AND (c.relnamespace::pg_catalog.regnamespace::pg_catalog.text = pg_catalog.quote_ident(
    pg_catalog.current_schema()) OR pg_catalog.strpos(q.name, '.') > 0)
"""

TABLE, ENUM, PLACED = "table", "enum", "placed"

_FACTS = {TABLE: _TABLE, ENUM: _ENUM, PLACED: _PLACED}

_QUESTIONS = """pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb) q (
  place int4, family int4, kind text, name text, indexes text[], types text[], tables text[])"""

# The planner takes a list of records for a hundred, which looks dear enough to be compiled, for seconds.
_QUESTION = f"(SELECT * FROM {_QUESTIONS} LIMIT 1) q"  # noqa: S608 - a constant
_INTERPRETED = "SET LOCAL jit = off"

# What does not depend on the schema that it is asked in: the numbers of objects and the schema's own name,
# which only the definition of an index has. A CASE is what PostgreSQL promises to evaluate in order.
_IN_SCHEMAS = f"""
SELECT x.place, pg_catalog.array_agg(x.schema ORDER BY x.schema), pg_catalog.min(ARRAY[x.schema, x.facts])
FROM (
  SELECT q.place, s.schema, CASE
    WHEN pg_catalog.set_config('search_path', s.path, true) IS NOT NULL
    AND pg_catalog.set_config('extra_float_digits', '1', true) IS NOT NULL THEN <facts> END AS facts
  FROM {_QUESTIONS}
  JOIN pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb) s (family int4, schema text, path text)
    ON s.family = q.family
  OFFSET 0) x
GROUP BY x.place, pg_catalog.regexp_replace(x.facts,
  '"(oid|target|part_of)" : [0-9]+|"schema" : "([^"\\\\]|\\\\.)*"'
  '|"definition" : "CREATE ([^"\\\\]|\\\\.)*"', '', 'g'),
  CASE WHEN x.facts::pg_catalog.json ->> 'kind' = 'p' THEN x.schema END
ORDER BY 1, 3
"""  # noqa: S608 - a constant

_DIGITS = re.compile(r'^\{"digits" : (-?\d+)')

_IN_FULL = "SET LOCAL extra_float_digits = 1"

_FILE = "SELECT pg_catalog.pg_relation_filenode(%s::pg_catalog.regclass)"

_SMALL = """
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

_ROWS = """
SELECT c.reltuples::pg_catalog.float8 * COALESCE((
    SELECT s.null_frac FROM pg_catalog.pg_stats s
    WHERE s.schemaname = %s AND s.tablename = c.relname AND s.attname = %s
    ORDER BY s.inherited DESC LIMIT 1), 1)
FROM pg_catalog.pg_class c WHERE c.oid = %s AND c.reltuples > 0
"""

_PLACE = "SELECT pg_catalog.current_database(), pg_catalog.current_schema()"

# The schemas whose names are LIKE the pattern. Of the path that a session would have, only the parts that
# are schemas have the ledger; "$user" is the role's own. For Django a view is none, and hides others.
_SCHEMAS = """
SELECT n.nspname, pg_catalog.quote_ident(n.nspname),
  pg_catalog.concat_ws(', ', pg_catalog.quote_ident(n.nspname), NULLIF(p.path, '')),
  COALESCE(CASE WHEN l.relkind NOT IN ('m', 'v') THEN l.name END, ''),
  pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND COALESCE(pg_catalog.has_table_privilege(l.oid, 'SELECT'), true)
FROM pg_catalog.pg_namespace n
CROSS JOIN pg_catalog.current_setting('search_path') p (path)
LEFT JOIN LATERAL (
  SELECT c.oid, c.relkind, pg_catalog.format('%%I.%%I', m.nspname, c.relname) AS name
  FROM pg_catalog.unnest(ARRAY[n.nspname] || pg_catalog.current_schemas(false))
    WITH ORDINALITY u (name, place)
  JOIN pg_catalog.pg_namespace m ON m.nspname = u.name
  JOIN pg_catalog.pg_class c ON c.relnamespace = m.oid AND c.relname = %s
    AND c.relkind IN ('f', 'm', 'p', 'r', 'v')
  ORDER BY u.place LIMIT 1) l ON true
WHERE n.nspname LIKE %s AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname
"""

# What each ledger says, those that say the same as one.
_APPLIED = """
SELECT pg_catalog.array_agg(x.ledger), x.applied FROM (<ledgers>) x GROUP BY x.applied ORDER BY 1
"""
_LEDGER = """SELECT %s AS ledger, ARRAY(
  SELECT DISTINCT m.app::pg_catalog.text || '.' || m.name::pg_catalog.text
  FROM {name} m ORDER BY 1) AS applied"""

_AT_ONCE = 1000  # tables that one statement reads; each takes two of the server's places for locks

_PATH = "SELECT pg_catalog.current_setting('search_path')"


@dataclass(frozen=True, slots=True)
class Place:
    """The database of the session, and the schema where it creates tables; None where it has none."""

    database: str
    schema: str | None


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema, and the search_path of the session with it in front.

    printed: the name as PostgreSQL prints it in a definition. ledger: the quoted table in which Django
    keeps what is applied there, '' where the path has none. readable: whether the current
    role may use the schema and read that table.
    """

    name: str
    printed: str
    path: str
    ledger: str
    readable: bool


class Catalog:
    """Asks one connection; the only reader of pg_catalog."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    def table(self, name: str) -> Table | None:
        """The table that the quoted name resolves to on the search_path, with all its parts."""
        found: Table | None = self.ask([Question(name)])[0]
        return found

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """The Table, the Enum, or whether there is a table, of each question; None where there is none.

        One round trip, and one for the indexes of all partitions of each partitioned table.
        """
        if not questions:
            return []
        parameters = [_as_records(questions)]
        if len(questions) == 1:
            ask = f"SELECT {_facts(questions)} FROM {_QUESTION}"  # noqa: S608 - its own
            rows = self._rows(ask, parameters)
            if _is_rounded(rows[0][0]):
                rows = self._rows_in_full(ask, parameters)
        else:
            ask = f"SELECT {_facts(questions)} FROM {_QUESTIONS} ORDER BY q.place"  # noqa: S608
            script = [_INTERPRETED, _IN_FULL, compose(self.connection, ask, parameters)]
            rows = self._script(script)[0]
        answers = []
        for question, (text,) in zip(questions, rows, strict=True):
            answer = _answer(question, text)
            if isinstance(answer, Table) and answer.kind == "p" and question.indexes:
                answer = replace(answer, tree=self._tree(answer, question.indexes))
            answers.append(answer)
        return answers

    def ask_in(
        self, schemas: Sequence[tuple[int, str, str]], questions: Sequence[Question]
    ) -> list[list[Alike]]:
        """The answers to each question in each schema of its family, those that are alike as one.

        One round trip. schemas: the family, the name and the search_path of each. Partitioned tables
        are never alike, and come without their partitions.
        """
        answers: list[list[Alike]] = [[] for _ in questions]
        if not questions:
            return answers
        ask = _IN_SCHEMAS.replace("<facts>", _facts(questions))
        families = [
            {"family": family, "schema": schema, "path": path} for family, schema, path in schemas
        ]
        records = json.dumps(families, ensure_ascii=False)
        question = compose(self.connection, ask, [_as_records(questions), records])
        for place, names, (_, text) in self._script([_INTERPRETED, question])[0]:
            answers[place].append(Alike(tuple(names), _answer(questions[place], text)))
        return answers

    def _tree(self, found: Table, index_names: Sequence[str]) -> Tree | None:
        """The table and its partitions; None if it was dropped since."""
        facts = json.loads(self._rows(_TREE, [found.oid, found.oid, list(index_names)])[0][0])
        if not facts["parts"]:
            return None
        root, *parts = map(_part, facts["parts"])
        taken = frozenset((schema, name) for schema, name in facts["taken"] or ())
        return Tree(root, tuple(parts), taken)

    def probes(self, copies: Sequence[Copy], probe: str) -> list[Table | DatabaseError]:
        """What PostgreSQL makes of the DDL on a temporary copy of each table, or why it cannot.

        One round trip, rolled back: takes ACCESS SHARE on the tables, and leaves nothing. Where PostgreSQL
        refuses some, a few more for each of those.
        """
        facts = f"SELECT {_facts([Question(probe)])} FROM {_QUESTION}"  # noqa: S608 - its own
        question = compose(self.connection, facts, [_as_records([Question(probe)])])
        answers = self._on_copies(probe, [(copy, [*copy.ddl, question], 1) for copy in copies])
        return [
            answer if isinstance(answer, DatabaseError) else _table(answer[0][0][0])
            for answer in answers
        ]

    def folds(
        self, copies: Sequence[Copy], lists: Sequence[Sequence[str]], probe: str
    ) -> list[list[str] | DatabaseError]:
        """What the planner makes of each SELECT list on the copy with the DDL put on it, or why it cannot.

        One round trip, rolled back, as `probes`; nothing is executed but immutable functions.
        """
        scripts = []
        for copy, texts in zip(copies, lists, strict=True):
            questions = [
                f"EXPLAIN (VERBOSE, COSTS OFF) SELECT {text} FROM {probe}"  # noqa: S608 - its own
                for text in texts
            ]
            scripts.append((copy, [*copy.ddl, *questions], len(questions)))
        return [
            plans if isinstance(plans, DatabaseError) else [_output(plan) for plan in plans]
            for plans in self._on_copies(probe, scripts)
        ]

    def rewrites(self, found: Table, ddl: Sequence[str], probe: str) -> bool:
        """Whether the DDL would write the whole table anew; asked of an empty copy of it."""
        question = compose(self.connection, _FILE, [probe])
        script = [question, *ddl, question]
        (files,) = self._on_copies(probe, [(Copy(found, ()), script, 2)])
        if isinstance(files, DatabaseError):
            raise files
        before, after = files
        return bool(before != after)

    def size(self, table: str) -> Size | None:
        """How large the quoted table is with its indexes and partitions, and about how many rows it has."""
        rows = self._rows(_SIZE, [table])
        return Size(*rows[0]) if rows else None

    def estimate(self, table: Table, column: str) -> int | None:
        """About how many rows have NULL in the column, by the last ANALYZE."""
        rows = self._rows(_ROWS, [table.schema, column, table.oid])
        return round(rows[0][0]) if rows else None

    def place(self) -> Place:
        """Where the session is, whatever its settings were when it began."""
        return Place(*self._rows(_PLACE)[0])

    def search_path(self) -> str:
        """The setting, as SQL."""
        return str(self._rows(_PATH)[0][0])

    def schemas(self, pattern: str, ledger: str) -> list[Schema]:
        """The schemas whose names are LIKE the pattern, but for PostgreSQL's own; ledger: a table's name."""
        return [Schema(*row) for row in self._rows(_SCHEMAS, [ledger, pattern])]

    def applied(self, ledgers: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
        """The migrations that each of the quoted tables of Django's records, as app and name.

        One round trip for each thousand tables.
        """
        applied: dict[str, tuple[tuple[str, str], ...]] = {}
        for begin in range(0, len(ledgers), _AT_ONCE):
            some = ledgers[begin : begin + _AT_ONCE]
            parts = " UNION ALL ".join(
                _LEDGER.format(name=name.replace("%", "%%")) for name in some
            )
            for names, labels in self._rows(_APPLIED.replace("<ledgers>", parts), list(some)):
                keys = tuple(tuple(label.split(".", 1)) for label in labels)
                applied |= dict.fromkeys(names, keys)
        return applied

    def has_rows(self, table: Table, condition: str = "true") -> bool:
        """Whether a row of the table, its partitions and children included, meets the SQL condition."""
        question = f"SELECT EXISTS (SELECT FROM {_name(table)} WHERE {condition})"  # noqa: S608 - quoted
        return bool(self._rows(question)[0][0])

    def is_empty(self, name: str) -> bool:
        """Whether the quoted table is small on disk and has no row, as far as the current role may see.

        A large one, though all its rows are dead, is not worth a look.
        """
        small = self._rows(_SMALL, [name])
        if not (small and small[0][0]):
            return False
        return not self._rows(f"SELECT EXISTS (SELECT FROM {name})")[0][0]  # noqa: S608 - quoted

    def count(self, table: Table, condition: str, most: int | None = None) -> int:
        """How many rows meet the SQL condition; beyond `most` they are not counted."""
        some = f"SELECT FROM {_name(table)} WHERE {condition} LIMIT {most or 'ALL'}"
        return int(self._rows(f"SELECT pg_catalog.count(*) FROM ({some}) rows")[0][0])  # noqa: S608

    def keys(
        self, table: Table, condition: str, key: Sequence[str], most: int
    ) -> list[tuple[Any, ...]]:
        """The values of the key's columns in the first rows, in its order, that meet the condition."""
        columns = ", ".join(map(quoted, key))
        return self._rows(
            f"SELECT {columns} FROM {_name(table)} WHERE {condition} "  # noqa: S608 - quoted
            f"ORDER BY {columns} LIMIT {most}"
        )

    def duplicates(self, table: Table, index: Index, most: int) -> list[tuple[Any, ...]]:
        """The largest groups of rows that the unique index refuses: its keys, and their number."""
        keys = [key[0] for key in index.keys]
        conditions = [] if index.nulls_not_distinct else [f"({key}) IS NOT NULL" for key in keys]
        conditions += [index.predicate] if index.predicate else []
        places = ", ".join(str(place) for place in range(1, len(keys) + 1))
        return self._rows(
            f"SELECT {', '.join(keys)}, pg_catalog.count(*) FROM {_name(table)} "  # noqa: S608 - its own
            f"WHERE {' AND '.join(conditions) or 'true'} GROUP BY {places} "
            f"HAVING pg_catalog.count(*) > 1 ORDER BY pg_catalog.count(*) DESC, {places} LIMIT {most}"
        )

    def _on_copies(
        self, probe: str, scripts: Sequence[tuple[Copy, Sequence[str], int]]
    ) -> list[list[list[tuple[Any, ...]]] | DatabaseError]:
        """The rows of the questions in each script, which runs on an empty copy of its table.

        With each script, how many questions there are in it.
        """
        if not scripts:
            return []
        try:
            rows = iter(self._script(*(_on_copy(probe, copy, sql) for copy, sql, _ in scripts)))
        except DatabaseError as error:
            if len(scripts) == 1:
                return [error]
            middle = len(scripts) // 2
            halves = (scripts[:middle], scripts[middle:])
            return [answer for half in halves for answer in self._on_copies(probe, half)]
        return [[next(rows) for _ in range(number)] for _, _, number in scripts]

    def _script(self, *parts: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """The rows of each question; one round trip, in which each part is rolled back by itself."""
        opening, closing = "BEGIN READ WRITE", "ROLLBACK"
        if self.connection.in_atomic_block:
            opening = "SAVEPOINT signals_probe"
            closing = "ROLLBACK TO SAVEPOINT signals_probe; RELEASE SAVEPOINT signals_probe"
        script = ";\n".join(sql for part in parts for sql in (opening, *part, closing))
        answers = []
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(script)
            except DatabaseError:
                cursor.execute(closing)
                raise
            while cursor.nextset():
                if cursor.description:
                    answers.append(list(cursor.fetchall()))
        return answers

    def _rows_in_full(self, question: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """As `_rows`, where the session would round the doubles that it prints."""
        with transaction.atomic(using=self.connection.alias), self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('extra_float_digits')")
            before = cursor.fetchone()[0]
            cursor.execute(_IN_FULL)
            cursor.execute(question, parameters)
            rows = list(cursor.fetchall())
            cursor.execute(f"SET LOCAL extra_float_digits = {before}")
        return rows

    def _rows(
        self, question: str, parameters: Sequence[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        return rows(self.connection, question, parameters)


def rows(
    connection: BaseDatabaseWrapper, question: str, parameters: Sequence[Any] | None = None
) -> list[tuple[Any, ...]]:
    """The answer to a question."""
    with connection.cursor() as cursor:
        cursor.execute(question, parameters)
        return list(cursor.fetchall())


def compose(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> str:
    """The SQL with its parameters as literals, quoted by psycopg."""
    operations: Any = connection.ops  # PostgreSQL's have a method that the stubs' base class lacks
    return str(operations.compose_sql(sql, parameters))


def quoted(name: str) -> str:
    """The catalog's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _name(table: Table) -> str:
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def _facts(questions: Sequence[Question]) -> str:
    """What answers them, as text or NULL."""
    kinds = sorted({question.kind for question in questions})
    if len(kinds) == 1:
        return f"({_FACTS[kinds[0]]})"
    cases = " ".join(f"WHEN '{kind}' THEN ({_FACTS[kind]})" for kind in kinds)
    return f"CASE q.kind {cases} END"


def _as_records(questions: Sequence[Question]) -> str:
    records = [{"place": place, **asdict(each)} for place, each in enumerate(questions)]
    return json.dumps(records, ensure_ascii=False)


def _answer(question: Question, text: str | None) -> Any:
    if text is None:
        return None
    if question.kind == ENUM:
        facts = json.loads(text)
        return Enum(**{**facts, "labels": tuple(facts["labels"] or ())})
    return _table(text) if question.kind == TABLE else True


def _on_copy(probe: str, copy: Copy, script: Sequence[str]) -> list[str]:
    # Columns and nothing else: LIKE would bring PostgreSQL 18's named NOT NULL constraints.
    original = f"TABLE {_name(copy.found)} WITH NO DATA"
    made = f"CREATE TEMPORARY TABLE {probe} ON COMMIT DROP AS {original}"
    path = [f"SET LOCAL search_path TO {copy.path}"] if copy.path else []
    return [*path, made, _IN_FULL, *script]


def _output(plan: Sequence[tuple[Any, ...]]) -> str:
    """The line of a plan that tells what it puts out."""
    return next(str(line) for (line,) in plan if str(line).lstrip().startswith("Output:"))


def _is_rounded(text: str | None) -> bool:
    """Whether the session rounds the doubles that it prints, as the facts of a table tell."""
    found = _DIGITS.search(text or "")
    return found is not None and int(found[1]) < 1


def _table(text: str) -> Table:
    facts = json.loads(text)
    del facts["digits"]
    facts["unknown"] = tuple(facts["unknown"] or ())
    targets = facts["targets"] or {}
    facts["targets"] = {
        name: Target(**{**target, "keys": target["keys"] or {}}) for name, target in targets.items()
    }
    lists: dict[str, list[dict[str, Any]]] = {
        key: facts.pop(key) or [] for key in ("columns", "constraints", "indexes", "taken")
    }
    for constraint in lists["constraints"]:
        for key in ("columns", "target_columns"):
            constraint[key] = tuple(constraint[key] or ())
    return Table(
        **facts,
        columns=tuple(Column(**column) for column in lists["columns"]),
        constraints=tuple(Constraint(**constraint) for constraint in lists["constraints"]),
        indexes=tuple(map(_index, lists["indexes"])),
        taken=tuple(Relation(**relation) for relation in lists["taken"]),
    )


def _index(facts: dict[str, Any]) -> Index:
    facts["keys"] = tuple(tuple(key) for key in facts["keys"] or ())
    for key in ("include", "options"):
        facts[key] = tuple(facts[key] or ())
    return Index(**facts)


def _part(facts: dict[str, Any]) -> Part:
    facts["key"] = tuple(facts["key"] or ())
    facts["uniques"] = facts["uniques"] or {}
    facts["indexes"] = tuple(map(_index, facts["indexes"] or ()))
    return Part(**facts)
