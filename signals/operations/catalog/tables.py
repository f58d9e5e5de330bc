"""A table with its columns, constraints and indexes, as the catalog describes them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..names import NAME
from .details import DETAILS, Details, parse_details
from .indexes import Index, indexes_json, parse_index
from .partitions import Tree
from .query import quoted
from .records import QUICK_STANDING, TABLE_STANDING, Standing


@dataclass(frozen=True, slots=True)
class Column:
    """A column, from pg_attribute.

    type: with its length or precision, as format_type() prints it.
    default: the expression of the default, or of the value if the column is generated.
    collation: None if it is the collation of the type.
    generated: 's' if STORED, 'v' if VIRTUAL, '' if the column is not generated.
    numbered: whether an identity or a sequence gives the values.
    unproven: the name of a NOT NULL constraint that is NOT VALID, which attnotnull does not tell.
    folded: the default after constant folding; empty unless it is spelled differently than declared.
    for_old_code: the default that the phase expand gave it until contract; `default` is None then.
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
    for_old_code: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint, from pg_constraint.

    kind: pg_constraint.contype.
    validated: False if the constraint is NOT VALID.
    enforced: False if it is NOT ENFORCED, as it can be since PostgreSQL 18.
    target, target_columns: the OID and the columns of the table that a foreign key refers to.
    deferral: '', 'DEFERRABLE' or 'DEFERRABLE INITIALLY DEFERRED'.
    operators: those by which an exclusion constraint compares, with their types.
    folded: the expression of a check after constant folding; empty as in Column.
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
    operators: tuple[str, ...] = ()
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation that has the name of a wanted index and is no index of the table.

    kind: pg_class.relkind. table: the table that an index belongs to; '' for other relations.
    """

    name: str
    kind: str
    table: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A table that does not exist, and the relations that have names which its indexes are to get.

    schema: where it would be created. taken: those of that schema with one of the names Question.indexes.
    """

    schema: str
    taken: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A relation that foreign keys are to refer to.

    kind, persistence: pg_class.relkind and relpersistence.
    granted: whether the current role may refer to the relation.
    keys: the columns that are unique by themselves, with their types.
    """

    oid: int
    kind: str
    persistence: str
    granted: bool
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class OldCodeTrigger:
    """A trigger that the phase expand made until contract, because old code does not know a column.

    columns: the column that it fills; or the old and the new name of the one that it copies.
    function: the signature of its function, as SQL.
    migration: the label of the migration that made it.
    """

    name: str
    columns: tuple[str, ...]
    function: str
    migration: str

    @property
    def twin(self) -> tuple[str, str] | None:
        """Return the old and the new name of a renamed column; None if the trigger fills a column."""
        return (self.columns[0], self.columns[1]) if len(self.columns) > 1 else None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns, constraints and indexes.

    kind: pg_class.relkind.
    standing: whether the table is in current_schema(), or how else its schema stands to that one.
    hides_rows: whether row level security may hide rows from the current role.
    pages: about how many pages of 8 KiB the table has on disk, by the last VACUUM or ANALYZE.
    targets: those of Question.tables that exist, by the names in the question.
    unknown: those of Question.types that do not exist.
    nondeterministic: those of Question.collations under which different texts may be equal.
    taken: the relations other than the table's indexes that have one of the names Question.indexes.
    tree: the partitions, if the table is partitioned and the question has indexes.
    details: comments, sequences and idle foreign keys, if the question asks for them.
    old_code_triggers: those that the phase expand made.
    """

    oid: int
    schema: str
    name: str
    kind: str
    standing: Standing
    temporary: bool
    unlogged: bool
    hides_rows: bool
    pages: int
    targets: dict[str, Target]
    unknown: tuple[str, ...]
    nondeterministic: tuple[str, ...]
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    taken: tuple[Relation, ...]
    tree: Tree | None = None
    details: Details | None = None
    old_code_triggers: tuple[OldCodeTrigger, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Return whether all indexes of the table are valid."""
        return all(index.valid for index in self.indexes)

    def column(self, name: str) -> Column | None:
        """Return the column of that name; None if the table has none."""
        return next((column for column in self.columns if column.name == name), None)

    def has_columns(self, names: Iterable[str]) -> bool:
        """Return whether the table has all columns of these names."""
        return {column.name for column in self.columns}.issuperset(names)

    def constraint(self, name: str) -> Constraint | None:
        """Return the constraint of that name; None if the table has none."""
        return next((each for each in self.constraints if each.name == name), None)

    def triggers_on(self, column: str) -> list[OldCodeTrigger]:
        """Return the triggers that the phase expand made for the column."""
        return [each for each in self.old_code_triggers if column in each.columns]

    def index(self, name: str) -> Index | None:
        """Return the index of that name; None if the table has none."""
        return next((index for index in self.indexes if index.name == name), None)

    def holder(self, name: str) -> Relation | None:
        """Return the relation in the table's schema that has the name and is no index of the table."""
        return next((relation for relation in self.taken if relation.name == name), None)


# Parts of the facts that are read only if a question asks for them.
_UNKNOWN = """(SELECT pg_catalog.json_agg(u.name) FROM pg_catalog.unnest(q.types) u (name)
      WHERE pg_catalog.to_regtype(u.name) IS NULL)"""

_NONDETERMINISTIC = """(SELECT pg_catalog.json_agg(u.name) FROM pg_catalog.unnest(q.collations) u (name)
      WHERE EXISTS (SELECT FROM pg_catalog.pg_collation l
                    WHERE l.collname = u.name AND NOT l.collisdeterministic))"""

_TARGETS = """(SELECT pg_catalog.json_object_agg(u.name, pg_catalog.json_build_object(
          'oid', r.oid::pg_catalog.int8, 'kind', r.relkind, 'persistence', r.relpersistence,
          'granted', pg_catalog.has_table_privilege(r.oid, 'REFERENCES'),
          'keys', (SELECT pg_catalog.json_object_agg(
                       a.attname, pg_catalog.format_type(a.atttypid, NULL)) FROM pg_catalog.pg_index i
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = r.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                   AND i.indnkeyatts = 1 AND i.indpred IS NULL)))
      FROM pg_catalog.unnest(q.tables) u (name)
      JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.to_regclass(u.name))"""

_TAKEN = """(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.relname, 'kind', r.relkind,
      'table', COALESCE(i.indrelid::pg_catalog.regclass::pg_catalog.text, '')))
    FROM pg_catalog.pg_class r LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = r.oid
    WHERE r.relnamespace = c.relnamespace AND r.relname = ANY(q.indexes)
    AND i.indrelid IS DISTINCT FROM c.oid)"""

_OLD_CODE_TRIGGERS = """(CASE WHEN c.relhastriggers THEN (SELECT pg_catalog.json_agg(
    pg_catalog.json_build_object('name', t.tgname, 'columns', pg_catalog.encode(t.tgargs, 'hex'),
      'function', t.tgfoid::pg_catalog.regprocedure::pg_catalog.text,
      'migration', (SELECT d.description FROM pg_catalog.pg_description d
                    WHERE d.objoid = t.oid AND d.objsubid = 0
                    AND d.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass)) ORDER BY t.tgname)
    FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = c.oid AND t.tgparentid = 0
    AND pg_catalog.starts_with(t.tgname, '<prefix>')) END)""".replace("<prefix>", f"{NAME}_")

# A default as `for_old_code` makes it, maybe cast since. Nobody else writes one in this way.
_FOR_OLD_CODE = re.compile(
    r"\(*COALESCE\(.*, NULL::[^()]+(\([\d,]+\))?\)+(::[^()]+(\([\d,]+\))?\)*)*", re.DOTALL
)

# What is told of a missing table. A name that is in a question is one or two identifiers.
_MISSING = """
SELECT pg_catalog.json_build_object('missing', n.nspname, 'taken', pg_catalog.json_agg(
    pg_catalog.json_build_object('name', r.relname, 'kind', r.relkind,
      'table', COALESCE(i.indrelid::pg_catalog.regclass::pg_catalog.text, ''))))::pg_catalog.text
FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = r.oid
WHERE n.nspname = COALESCE(
  (pg_catalog.parse_ident(q.name))[pg_catalog.array_length(pg_catalog.parse_ident(q.name), 1) - 1],
  pg_catalog.current_schema())
AND r.relname = ANY(q.indexes) AND q."new" GROUP BY n.nspname
"""

# `q` is a question, a row of questions.py's _QUESTIONS. `digits` and `kind` come first, where that module
# looks for them. `parse_table` writes the definitions of NOT NULL constraints; a table may have many of them.
# Subqueries in the place of joins take less planning; see indexes.py.
_FACTS = """
SELECT pg_catalog.json_build_object(
  'digits', pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4,
  'kind', c.relkind, 'oid', c.oid::pg_catalog.int8, 'schema', n.nspname, 'name', c.relname,
  'standing', <standing>,
  'temporary', c.relpersistence = 't', 'unlogged', c.relpersistence = 'u',
  'hides_rows', pg_catalog.row_security_active(c.oid), 'pages', c.relpages,
  'unknown', <unknown>, 'nondeterministic', <nondeterministic>,
  'targets', <targets>,
  'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'number', a.attnum, 'name', a.attname,
      'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'not_null', a.attnotnull,
      'default', (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
                  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
      'collation', CASE WHEN a.attcollation <> (SELECT t.typcollation FROM pg_catalog.pg_type t
                                                WHERE t.oid = a.atttypid)
                        THEN a.attcollation::pg_catalog.regcollation::pg_catalog.text END,
      'generated', a.attgenerated,
      'identity', a.attidentity <> ''
    ) ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', k.conname, 'kind', k.contype,
      'definition', CASE WHEN k.contype <> 'n' THEN pg_catalog.pg_get_constraintdef(k.oid) END,
      'validated', k.convalidated,
      'enforced', <conenforced>,
      'columns', k.conkey,
      'target', NULLIF(k.confrelid::pg_catalog.int8, 0),
      'target_key', k.confkey,
      'target_names', CASE WHEN k.contype = 'f' THEN (
          SELECT pg_catalog.json_object_agg(a.attnum, a.attname) FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = k.confrelid AND a.attnum = ANY(k.confkey)) END,
      'operators', k.conexclop::pg_catalog.regoperator[]::pg_catalog.text[],
      'deferral', CASE WHEN k.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED'
                       WHEN k.condeferrable THEN 'DEFERRABLE' ELSE '' END
    ) ORDER BY k.conname)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid),
  'indexes', <indexes>,
  'taken', <taken>,
  'old_code_triggers', <old_code_triggers>,
  'details', <details>
)::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(q.name)
"""


def table_facts(  # noqa: PLR0913 - each part is left out if no question asks for it
    *,
    types: bool,
    tables: bool,
    collations: bool,
    indexes: bool,
    details: bool,
    new: bool,
    thorough: bool,
) -> str:
    """Return the SQL of a table's facts.

    types, tables, collations, indexes, details: whether a question has any, or asks for them. new: whether
    a question asks for the names that are taken if the table is missing. thorough: whether to find out which
    of the indexes are being built, and how a table further back on the search_path stands to the current
    schema.
    """
    parts = {
        "unknown": _UNKNOWN if types else "NULL",
        "targets": _TARGETS if tables else "NULL",
        "nondeterministic": _NONDETERMINISTIC if collations else "NULL",
        "taken": _TAKEN if indexes else "NULL",
        "indexes": indexes_json(building=thorough),
        "details": DETAILS if details else "NULL",
        "old_code_triggers": _OLD_CODE_TRIGGERS,
        "standing": TABLE_STANDING if thorough else QUICK_STANDING,
    }
    sql = _FACTS
    for name, part in parts.items():
        sql = sql.replace(f"<{name}>", part)
    return f"SELECT COALESCE(({sql}), ({_MISSING}))" if new and indexes else sql


def parse_answer(text: str) -> Table | Missing:
    """Return the Table that the JSON text of the facts describes, or what is told of a missing one."""
    if not text.startswith('{"missing"'):
        return parse_table(text)
    facts = json.loads(text)
    return Missing(facts["missing"], tuple(Relation(**each) for each in facts["taken"]))


def parse_table(text: str) -> Table:
    """Return the Table that the JSON text of the facts describes."""
    facts = json.loads(text)
    del facts["digits"]
    facts["standing"] = Standing(facts["standing"])
    for part in ("unknown", "nondeterministic"):
        facts[part] = tuple(facts[part] or ())
    facts["details"] = parse_details(facts["details"]) if facts["details"] else None
    facts["old_code_triggers"] = tuple(map(_trigger, facts["old_code_triggers"] or ()))
    targets = facts["targets"] or {}
    facts["targets"] = {
        name: Target(**{**target, "keys": target["keys"] or {}}) for name, target in targets.items()
    }
    lists: dict[str, list[dict[str, Any]]] = {
        key: facts.pop(key) or [] for key in ("columns", "constraints", "indexes", "taken")
    }
    names = {column.pop("number"): column["name"] for column in lists["columns"]}
    unproven: dict[str, str] = {}
    for constraint in lists["constraints"]:
        numbers = constraint["columns"] or ()
        constraint["columns"] = tuple(names[each] for each in numbers if each in names)
        theirs, key = constraint.pop("target_names") or {}, constraint.pop("target_key") or ()
        constraint["target_columns"] = tuple(theirs[str(each)] for each in key)
        constraint["operators"] = tuple(constraint["operators"] or ())
        if constraint["kind"] == "n":
            (name,) = constraint["columns"]
            constraint["definition"] = f"NOT NULL {quoted(name)}"
            unproven |= {} if constraint["validated"] else {name: constraint["name"]}
    for column in lists["columns"]:
        if _FOR_OLD_CODE.fullmatch(column["default"] or "") and not column["generated"]:
            column["default"], column["for_old_code"] = None, column["default"]
        is_sequence = (column["default"] or "").startswith("nextval(")
        column["numbered"] = column.pop("identity") or is_sequence
        column["unproven"] = unproven.get(column["name"])
    return Table(
        **facts,
        columns=tuple(Column(**column) for column in lists["columns"]),
        constraints=tuple(Constraint(**constraint) for constraint in lists["constraints"]),
        indexes=tuple(map(parse_index, lists["indexes"])),
        taken=tuple(Relation(**relation) for relation in lists["taken"]),
    )


def for_old_code(value: str, kind: str) -> str:
    """Return the default of that value for a column of that type, marked as one that contract drops."""
    return f"COALESCE(({value})::{kind}, NULL)"


def _trigger(facts: dict[str, Any]) -> OldCodeTrigger:
    """Return the trigger; its arguments end with a zero byte each."""
    columns = bytes.fromhex(facts["columns"]).decode(errors="replace").split("\0")[:-1]
    return OldCodeTrigger(
        facts["name"], tuple(columns), facts["function"], facts["migration"] or ""
    )


def name_of(table: Table) -> str:
    """Return the quoted name of the table, with its schema."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"
