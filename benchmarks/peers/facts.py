"""What pg_catalog says of the tables, and the verdict on a run by that alone."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import class_row

from benchmarks.peers.cases import ASIDE, SCHEMA

QUERY = """
WITH tables AS (
    SELECT c.oid, n.nspname AS schema, c.relname AS table
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p')
        AND c.relname NOT IN ('django_migrations', 'alembic_version'))
SELECT schema, "table", 'column' AS kind, a.attname AS name,
    concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NOT NULL' END,
        'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)) AS definition
FROM tables t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT schema, "table", 'constraint', k.conname, pg_catalog.pg_get_constraintdef(k.oid)
FROM tables t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid
WHERE k.contype <> 'n'
UNION ALL
SELECT schema, "table", 'index', c.relname,
    pg_catalog.pg_get_indexdef(c.oid)
    || CASE WHEN i.indisvalid AND i.indisready AND i.indislive THEN '' ELSE ' INVALID' END
FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """A column, constraint or index as PostgreSQL prints it; validity is part of the definition."""

    schema: str
    table: str
    kind: str
    name: str
    definition: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where one definition stands, and no second one can."""
        return (self.schema, self.table, self.kind, self.name)


class Outcome(Enum):
    """The verdict on a run; docs/peers.md has the definitions."""

    CONVERGED = "converged"
    REFUSED = "refused"
    FAILED = "failed"
    HALF_DONE = "half-done"
    WRONG = "wrong"


def read(connection: Connection[Any]) -> frozenset[Fact]:
    """The facts of all tables but those in which tools keep their records."""
    cursor: Cursor[Fact]
    with connection.cursor(row_factory=class_row(Fact)) as cursor:
        cursor.execute(QUERY, [[SCHEMA, ASIDE]])
        return frozenset(cursor)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that began with the facts `before` and left the facts `after`.

    wanted: the facts of the declared components; beside them all has to be as it was.
    done: the run is recorded, or, of a script, psql went through.
    error, found: an error is a refusal if it contains the word that stands for what was found.
    """

    before: frozenset[Fact]
    after: frozenset[Fact]
    wanted: frozenset[Fact]
    done: bool
    error: str = ""
    found: str = ""

    @property
    def goal(self) -> frozenset[Fact]:
        """Where the run should have led."""
        places = {fact.place for fact in self.wanted}
        return frozenset(fact for fact in self.before if fact.place not in places) | self.wanted


def judge(run: Run) -> Outcome:
    """The verdict; of the tool's own words it takes nothing but the name of what was found."""
    if run.done:
        return Outcome.CONVERGED if run.after == run.goal else Outcome.WRONG
    if run.after != run.before:
        return Outcome.HALF_DONE
    named = run.found and re.search(rf"(?<!\w){re.escape(run.found)}(?!\w)", run.error)
    return Outcome.REFUSED if named else Outcome.FAILED
