"""A partitioned table with its partitions, at every level."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .indexes import Index, indexes_json, parse_index
from .query import for_server, query_rows, quoted


@dataclass(frozen=True, slots=True)
class Partition:
    """A table in the tree of a partitioned table: its root, a partition, or one partitioned further.

    kind: pg_class.relkind; 'p' if the table is itself partitioned, 'f' if it is a foreign table.
    parent: the OID of the table above; None if there is none.
    owned: whether the current role may alter the table.
    key: the columns of the table's own partition key, with None in the place of an expression.
    uniques: the names of the table's unique constraints, each with its deferral as in Constraint.
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
        """Return the quoted name of another relation in the table's schema."""
        return f"{quoted(self.schema)}.{quoted(name)}"

    @property
    def table(self) -> str:
        """Return the quoted name of the table, with its schema."""
        return self.beside(self.name)


@dataclass(frozen=True, slots=True)
class Tree:
    """A partitioned table and all tables below it.

    parts: the tables below the root, each after the table that it is a partition of.
    taken: (schema, name) of every relation whose name an index of a partition might need.
    """

    root: Partition
    parts: tuple[Partition, ...]
    taken: frozenset[tuple[str, str]]


# pg_partition_tree() leaves out a partition that another session is detaching.
#
# `taken`: the index of a partition is named after the partition and the wanted index. Its name ends in that
# of the wanted index, or was shortened and is then about 63 bytes long.
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
""".replace("<indexes>", indexes_json(building=True))


def partition_tree(
    connection: BaseDatabaseWrapper, oid: int, index_names: Sequence[str]
) -> Tree | None:
    """Return the partitioned table with that OID and its partitions; None if it was dropped meanwhile.

    index_names: plain names of the wanted indexes, for which Tree.taken is filled.
    """
    facts = json.loads(
        query_rows(connection, for_server(connection, _TREE), [oid, oid, list(index_names)])[0][0]
    )
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
