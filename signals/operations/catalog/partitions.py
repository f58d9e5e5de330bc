"""The tree of tables below a partitioned one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .indexes import INDEXES, Index, parse_index
from .query import query_rows, quoted


@dataclass(frozen=True, slots=True)
class Partition:
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

    root: Partition
    parts: tuple[Partition, ...]
    taken: frozenset[tuple[str, str]]


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
""".replace("<indexes>", INDEXES)


def partition_tree(
    connection: BaseDatabaseWrapper, oid: int, index_names: Sequence[str]
) -> Tree | None:
    """Return the table of that OID and its partitions; None if it was dropped since.

    index_names: names that indexes are to have; those that somebody has already are told as taken.
    """
    facts = json.loads(query_rows(connection, _TREE, [oid, oid, list(index_names)])[0][0])
    if not facts["parts"]:
        return None
    root, *parts = map(_parse_partition, facts["parts"])
    taken = frozenset((schema, name) for schema, name in facts["taken"] or ())
    return Tree(root, tuple(parts), taken)


def _parse_partition(facts: dict[str, Any]) -> Partition:
    facts["key"] = tuple(facts["key"] or ())
    facts["uniques"] = facts["uniques"] or {}
    facts["indexes"] = tuple(map(parse_index, facts["indexes"] or ()))
    return Partition(**facts)
