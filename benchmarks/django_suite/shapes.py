"""Compares the schema that the convergent operations make with what Django's make of the same models.

    python -m benchmarks.django_suite.shapes [WORD …]

Each shape is made in a schema that is dropped again: by Django's operations, by the convergent ones,
by these once more, by these over Django's schema, again when all indexes and constraints are dropped, and
back to nothing. The schemas must be equal but for the names of indexes and constraints, and where all
stands nothing may be sent. The words choose the shapes that have one of them in their name. Exit code 1:
a shape differs.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import django
from django.db import DatabaseError, connection, migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from benchmarks.django_suite.models import SHAPES, Make, Shape
from signals import operations
from signals.operations.conversion import convert, flat, is_same_state

SCHEMA = "django_suite_shapes"

# What the tables of the schema are, without the names of their indexes and constraints.
_DESCRIPTION = """
WITH t AS (SELECT c.oid, c.relname AS name FROM pg_class c
           WHERE c.relkind = 'r' AND c.relnamespace = %s::regnamespace)
SELECT concat_ws(' ', 'table', name, obj_description(oid, 'pg_class')) FROM t
UNION ALL
SELECT concat_ws(' ', 'column', name, attname, format_type(atttypid, atttypmod), attnotnull,
                 attcollation::regcollation, attidentity, attgenerated, pg_get_expr(adbin, adrelid),
                 col_description(t.oid, attnum))
FROM t JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT concat_ws(' ', 'constraint', name, pg_get_constraintdef(k.oid))
FROM t JOIN pg_constraint k ON conrelid = t.oid AND contype <> 'n'
UNION ALL
SELECT concat_ws(' ', name, regexp_replace(pg_get_indexdef(indexrelid), 'INDEX (".*?"|\\S+) ON', 'INDEX ON'))
FROM t JOIN pg_index ON indrelid = t.oid
"""


# Drops everything but tables, columns and primary keys.
_STRIP = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT IF EXISTS %%I CASCADE', conrelid::regclass, conname)
FROM pg_constraint k WHERE connamespace = %s::regnamespace AND contype IN ('c', 'f', 'u', 'x')
UNION ALL
SELECT format('DROP INDEX %%s', indexrelid::regclass) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE relnamespace = %s::regnamespace
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
"""


class Sent(logging.Handler):
    """Collects the statements that the operations send."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.INFO:
            self.statements.append(record.getMessage())


@contextmanager
def listening() -> Iterator[Sent]:
    """Within it, the statements are collected; the schema goes in the end."""
    logger, handler = logging.getLogger("convergent_migrations"), Sent()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield handler
        reset(anew=False)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


DJANGO = Make(
    migrations.CreateModel, migrations.AddField, migrations.AddIndex, migrations.AddConstraint
)


def convergent(steps: Sequence[Any]) -> list[Any]:
    """The convergent operations in the place of Django's, as `makemigrations --convergent` writes them."""
    return flat(convert(steps, "shapes", ProjectState(), connection))


def migrate(steps: Sequence[Any], *, backwards: bool = False) -> None:
    migration: Any = Migration("shape", "shapes")
    migration.operations = list(steps)
    with connection.schema_editor(atomic=False) as editor:
        (migration.unapply if backwards else migration.apply)(ProjectState(), editor)


def state_of(steps: Sequence[Any]) -> ProjectState:
    state = ProjectState()
    for step in steps:
        step.state_forwards("shapes", state)
    return state


def describe(where: BaseDatabaseWrapper = connection, schema: str = SCHEMA) -> Counter[str]:
    """What the schema holds, without the names of indexes and constraints."""
    with where.cursor() as cursor:
        cursor.execute(_DESCRIPTION, [schema])
        return Counter(row[0] for row in cursor.fetchall())


def reset(*, anew: bool = True) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        if anew:
            cursor.execute(f"CREATE SCHEMA {SCHEMA}")
            cursor.execute(f"SET search_path = {SCHEMA}, public")


def strip() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_STRIP, [SCHEMA, SCHEMA])
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


def differences(shape: Shape, sent: Sent) -> Iterator[str]:
    """What is not as it should be, a line each."""
    steps = shape(DJANGO)
    if not is_same_state(state_of(steps), state_of(convergent(steps))):
        yield "leaves another state"
    reset()
    migrate(shape(DJANGO))
    wanted = describe()
    sent.statements.clear()
    migrate(convergent(shape(DJANGO)))
    yield from (f"sent over Django's schema: {sql}" for sql in sent.statements)
    reset()
    migrate(convergent(shape(DJANGO)))
    found = describe()
    yield from (f"lacks {text}" for text in wanted - found)
    yield from (f"has too {text}" for text in found - wanted)
    sent.statements.clear()
    migrate(convergent(shape(DJANGO)))
    yield from (f"sent again: {sql}" for sql in sent.statements)
    strip()
    migrate(convergent(shape(DJANGO)))
    yield from (f"does not heal {text}" for text in found - describe())
    migrate(convergent(shape(DJANGO)), backwards=True)
    yield from (f"left behind {text}" for text in describe())


def main(words: Sequence[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    chosen = {
        name: shape
        for name, shape in SHAPES.items()
        if not words or any(word in name for word in words)
    }
    failed = 0
    with listening() as sent:
        for name, shape in chosen.items():
            try:
                lines = list(differences(shape, sent))
            except (
                AssertionError,
                ValueError,
                DatabaseError,
                operations.ConvergenceError,
            ) as error:
                lines = [f"{type(error).__name__}: {' '.join(str(error).split())}"]
                connection.close()
            failed += bool(lines)
            sys.stdout.write("".join(f"{name}: {line}\n" for line in lines))
    sys.stdout.write(f"{len(chosen) - failed} of {len(chosen)} shapes are as Django makes them\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
