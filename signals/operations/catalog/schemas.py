"""Schemas: where the session is, which there are, and the migrations that each records as applied."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from .query import query_rows


@dataclass(frozen=True, slots=True)
class Place:
    """The database of the session, and the schema where it creates tables; None where it has none.

    backend: the number of the process at the server; behind a pooler, of one of them.
    """

    database: str
    schema: str | None
    backend: int


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """A schema, and the search_path of the session with it in front.

    printed: the name as PostgreSQL prints it in a definition. recorder_table: the quoted one in which Django
    keeps what is applied there, '' where the path has none. readable: whether the current
    role may use the schema and read that table.
    """

    name: str
    printed: str
    path: str
    recorder_table: str
    readable: bool


_PLACE = """
SELECT pg_catalog.current_database(), pg_catalog.current_schema(), pg_catalog.pg_backend_pid()
"""

_PATH = "SELECT pg_catalog.current_setting('search_path')"

# The schemas whose names are LIKE the pattern. Of the path that a session would have, only the parts that
# are schemas have the table of records; "$user" is the role's own. To Django a view is no such table, and
# hides others.
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

# What each table of records says, those that say the same as one.
_APPLIED = """
SELECT pg_catalog.array_agg(x.recorder_table), x.applied
FROM (<recorder_tables>) x GROUP BY x.applied ORDER BY 1
"""

_RECORDED = """SELECT %s AS recorder_table, ARRAY(
  SELECT DISTINCT m.app::pg_catalog.text || '.' || m.name::pg_catalog.text
  FROM {name} m ORDER BY 1) AS applied"""

_AT_ONCE = 1000  # tables that one statement reads; each takes two of the server's places for locks


def current_place(connection: BaseDatabaseWrapper) -> Place:
    """Return where the session is, whatever its settings were when it began."""
    return Place(*query_rows(connection, _PLACE)[0])


def search_path(connection: BaseDatabaseWrapper) -> str:
    """Return the setting, as SQL."""
    return str(query_rows(connection, _PATH)[0][0])


def schemas_like(
    connection: BaseDatabaseWrapper, pattern: str, recorder_table: str
) -> list[FoundSchema]:
    """Return the schemas whose names are LIKE the pattern, but for PostgreSQL's own.

    recorder_table: the name of the table in which Django records what is applied.
    """
    return [
        FoundSchema(*row) for row in query_rows(connection, _SCHEMAS, [recorder_table, pattern])
    ]


def applied_migrations(
    connection: BaseDatabaseWrapper, recorder_tables: Sequence[str]
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the migrations that each of the quoted tables of records has, as app and name.

    One round trip for each thousand tables.
    """
    applied: dict[str, tuple[tuple[str, str], ...]] = {}
    for begin in range(0, len(recorder_tables), _AT_ONCE):
        some = recorder_tables[begin : begin + _AT_ONCE]
        parts = " UNION ALL ".join(_RECORDED.format(name=name.replace("%", "%%")) for name in some)
        question = _APPLIED.replace("<recorder_tables>", parts)
        for names, labels in query_rows(connection, question, list(some)):
            keys = tuple(tuple(label.split(".", 1)) for label in labels)
            applied |= dict.fromkeys(names, keys)
    return applied
