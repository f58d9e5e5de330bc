"""Schemas: the current one, those that match a pattern, and the migrations that each records as applied."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..errors import UNDEFINED_TABLE, sqlstate
from .query import query_rows
from .records import RECORDER_TABLE


@dataclass(frozen=True, slots=True)
class Place:
    """The database of a session and the schema in which it creates tables.

    schema: current_schema(); None if no schema of the search_path exists. backend: the
    number of the process at the server; behind a pooler, of one of them. records: the
    schema in which the session finds the records of applied migrations, if there are any.
    """

    database: str
    schema: str | None
    backend: int
    records: str | None


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """A schema, and how a session would work in it.

    printed: the name as PostgreSQL prints it in a definition, quoted only if it must be.
    path: the session's search_path with the schema in front, as SQL.
    recorder_table: the quoted name of the table in which Django, with that path, records applied
        migrations; '' if there is none.
    readable: whether the current role may use the schema and read that table.
    """

    name: str
    printed: str
    path: str
    recorder_table: str
    readable: bool


_PLACE = f"""
SELECT pg_catalog.current_database(), pg_catalog.current_schema(), pg_catalog.pg_backend_pid(),
  (SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = pg_catalog.to_regclass('{RECORDER_TABLE}') AND c.relkind IN ('f', 'p', 'r'))
"""  # noqa: S608 - a constant

_PATH = "SELECT pg_catalog.current_setting('search_path')"

# The schemas whose names are LIKE the pattern. The recorder table is searched for in the schema itself and
# then along the session's path; current_schemas() gives those parts of the path that exist, with "$user"
# replaced by the role's own schema. Django does not take a view for its recorder table, and does not see a
# table of that name behind the view.
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

# The migrations in each recorder table; tables with the same migrations share a row.
_APPLIED = """
SELECT pg_catalog.array_agg(x.recorder_table), x.applied
FROM (<recorder_tables>) x GROUP BY x.applied ORDER BY 1
"""

_RECORDED = """SELECT %s AS recorder_table, ARRAY(
  SELECT DISTINCT m.app::pg_catalog.text || '.' || m.name::pg_catalog.text
  FROM {name} m ORDER BY 1) AS applied"""

_RECORDED_HERE = "SELECT m.app, m.name FROM django_migrations m"

# Recorder tables that one statement reads. Each takes two entries of the server's lock table, whose size
# max_locks_per_transaction limits.
_TABLES_PER_STATEMENT = 1000


def current_place(connection: BaseDatabaseWrapper) -> Place:
    """Return the database and the current schema of the session; settings may have changed since it began."""
    return Place(*query_rows(connection, _PLACE)[0])


def search_path(connection: BaseDatabaseWrapper) -> str:
    """Return the session's setting search_path, as SQL."""
    return str(query_rows(connection, _PATH)[0][0])


def schemas_like(
    connection: BaseDatabaseWrapper, pattern: str, recorder_table: str
) -> list[FoundSchema]:
    """Return the schemas whose names are LIKE the pattern, except PostgreSQL's own.

    recorder_table: the plain name of the table in which Django records applied migrations.
    """
    return [
        FoundSchema(*row) for row in query_rows(connection, _SCHEMAS, [recorder_table, pattern])
    ]


def recorded_migrations(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    """Return the migrations in the session's recorder table, as (app, name); none if there is no table."""
    is_open = connection.in_atomic_block
    try:
        with transaction.atomic(using=connection.alias) if is_open else nullcontext():
            return [(app, name) for app, name in query_rows(connection, _RECORDED_HERE)]
    except DatabaseError as error:
        if sqlstate(error) != UNDEFINED_TABLE:
            raise
    return []


def applied_migrations(
    connection: BaseDatabaseWrapper, recorder_tables: Sequence[str]
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the applied migrations by recorder table, each as (app, name).

    recorder_tables: quoted names, the keys of the result. Take one round trip for each thousand tables.
    """
    applied: dict[str, tuple[tuple[str, str], ...]] = {}
    for begin in range(0, len(recorder_tables), _TABLES_PER_STATEMENT):
        some = recorder_tables[begin : begin + _TABLES_PER_STATEMENT]
        parts = " UNION ALL ".join(_RECORDED.format(name=name.replace("%", "%%")) for name in some)
        question = _APPLIED.replace("<recorder_tables>", parts)
        for names, labels in query_rows(connection, question, list(some)):
            keys = tuple(tuple(label.split(".", 1)) for label in labels)
            applied |= dict.fromkeys(names, keys)
    return applied
