"""What a table has besides the parts that operations build: comments, sequences, switched off triggers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..names import NAME
from .query import quoted

# What the comment of a view begins with that the phase expand leaves under the old name of a table; the label
# of the migration follows.
OLD_VIEW = f"{NAME}: "

# `c` is the table of tables.py's _FACTS. A sequence belongs to a column by a dependency: 'i' of an identity,
# 'a' of a serial. A foreign key is in force by four triggers, two of them on the table that it refers to;
# 'O' and 'A' are those that fire in an ordinary session.
DETAILS = """(SELECT pg_catalog.json_build_object(
  'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
  'comments', (SELECT pg_catalog.json_object_agg(a.attname, d.description)
    FROM pg_catalog.pg_description d
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
    WHERE d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objsubid > 0),
  'idle', (SELECT pg_catalog.json_agg(k.conname ORDER BY k.conname) FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = c.oid AND k.contype = 'f'
    AND EXISTS (SELECT FROM pg_catalog.pg_trigger t
                WHERE t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A'))),
  'old_views', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', v.relname, 'schema', (SELECT n.nspname FROM pg_catalog.pg_namespace n
                                    WHERE n.oid = v.relnamespace),
      'comment', pg_catalog.obj_description(v.oid, 'pg_class')) ORDER BY v.relname)
    FROM pg_catalog.pg_class v WHERE v.relkind = 'v'
    AND v.oid IN (SELECT w.ev_class FROM pg_catalog.pg_depend d
                  JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
                  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.refobjid = c.oid)
    AND pg_catalog.starts_with(pg_catalog.obj_description(v.oid, 'pg_class'), '<mark>')),
  'sequences', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', s.seqrelid::pg_catalog.regclass::pg_catalog.text, 'column', a.attname,
      'schema', (SELECT n.nspname FROM pg_catalog.pg_class q
                 JOIN pg_catalog.pg_namespace n ON n.oid = q.relnamespace WHERE q.oid = s.seqrelid),
      'least', s.seqmin, 'most', s.seqmax, 'step', s.seqincrement, 'cycles', s.seqcycle,
      'readable', pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT')
          AND pg_catalog.has_table_privilege(c.oid, 'SELECT')) ORDER BY a.attnum)
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refobjid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))))""".replace(
    "<mark>", OLD_VIEW
)


@dataclass(frozen=True, slots=True)
class Sequence:
    """The sequence of a column, from pg_sequence.

    name: quoted where needed, as the session resolves it. schema: the one that it is in, plain.
    readable: whether the role may read the sequence and its table.
    """

    name: str
    column: str
    least: int
    most: int
    step: int
    cycles: bool
    readable: bool
    schema: str

    @property
    def full_name(self) -> str:
        """Return the quoted name with the schema, which no search_path changes."""
        return f"{quoted(self.schema)}.{quoted(plain_name(self.name))}"


@dataclass(frozen=True, slots=True)
class OldView:
    """A view that the phase expand left under the old name of a table, and the migration that did."""

    name: str
    schema: str
    migration: str

    @property
    def full_name(self) -> str:
        """Return the quoted name with the schema."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Details:
    """The details of a table.

    comment: that of the table. comments: those of its columns.
    idle: the names of foreign keys that have a trigger that does not fire.
    """

    comment: str | None
    comments: Mapping[str, str]
    idle: tuple[str, ...]
    sequences: tuple[Sequence, ...]
    old_views: tuple[OldView, ...] = ()


def parse_details(facts: Mapping[str, Any]) -> Details:
    """Return the Details that the JSON object of DETAILS describes."""
    sequences = tuple(Sequence(**each) for each in facts["sequences"] or ())
    idle = tuple(facts["idle"] or ())
    views = tuple(
        OldView(each["name"], each["schema"], each["comment"].removeprefix(OLD_VIEW))
        for each in facts["old_views"] or ()
    )
    return Details(facts["comment"], facts["comments"] or {}, idle, sequences, views)


def plain_name(name: str) -> str:
    """Return the name of a sequence without its schema and quotes."""
    last: str = re.findall(r'"(?:[^"]|"")*"|[^.]+', name)[-1]
    return last[1:-1].replace('""', '"') if last.startswith('"') else last
