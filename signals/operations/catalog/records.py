"""Where Django records applied migrations, and how the tables of a session stand to that place."""

from dataclasses import dataclass
from enum import StrEnum

from django.db.backends.base.base import BaseDatabaseWrapper

from .query import query_rows

RECORDER_TABLE = "django_migrations"


class Standing(StrEnum):
    """How the schema of a table or type stands to the one in which CREATE TABLE would put it.

    CURRENT: it is that schema, current_schema().
    RECORDED: further back on the search_path, and so are the records of the session's migrations.
    ANOTHER: further back, with records of its own beside it: a part of another installation.
    ROLES: further back, and the role's own schema stands before it by the "$user" of the search_path.
    FILLED, EMPTY: further back otherwise, with rows or without.
    """

    CURRENT = "current"
    RECORDED = "recorded"
    ANOTHER = "another"
    ROLES = "roles"
    FILLED = "filled"
    EMPTY = "empty"


# Whether current_schema() is the role's own schema, which "$user" puts before all others.
_IS_ROLES = """pg_catalog.current_schema() = CURRENT_USER
    AND pg_catalog.current_setting('search_path') ~ '^ *"?[$]user'"""

# `n` is the schema of the table or type. format() ignores n.oid, which makes the question one of each row:
# PostgreSQL would ask another one only once, though questions.py changes the search_path from row to row.
_STANDING = """
CASE WHEN n.nspname = pg_catalog.current_schema() THEN 'current'
WHEN EXISTS (SELECT FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace h ON h.oid = r.relnamespace
    WHERE r.oid = pg_catalog.to_regclass(pg_catalog.format('<recorder_table>', n.oid))
    AND r.relkind IN ('f', 'p', 'r') AND h.nspname <> pg_catalog.current_schema()) THEN 'recorded'
WHEN EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.relnamespace = n.oid
    AND r.relname = '<recorder_table>' AND r.relkind IN ('f', 'p', 'r')) THEN 'another'
WHEN <is_roles> THEN 'roles'
WHEN <is_filled> THEN 'filled' ELSE 'empty' END
""".replace("<recorder_table>", RECORDER_TABLE).replace("<is_roles>", _IS_ROLES)

# Enough to know whether to ask for more.
QUICK_STANDING = "CASE WHEN n.nspname = pg_catalog.current_schema() THEN 'current' ELSE 'empty' END"

TYPE_STANDING = _STANDING.replace("<is_filled>", "false")

# The size needs no right to read the rows. A partitioned table has none of its own.
TABLE_STANDING = _STANDING.replace(
    "<is_filled>", "c.relkind = 'p' OR pg_catalog.pg_relation_size(c.oid) > 0"
)


@dataclass(frozen=True, slots=True)
class Records:
    """The table in which Django records applied migrations, as a session sees it.

    role, path: the current role, and the search_path as SQL.
    schema: current_schema(); None if no schema of the path exists or may be used.
    is_roles: whether that is the role's own schema, which "$user" puts before all others.
    table: the table's quoted name with its schema; '' if the path leads to none.
    place: the name of its schema.
    kind: pg_class.relkind of the relation of that name.
    readable: whether the role may read the table.
    hides_rows: whether row level security may hide rows of it from the role.
    closed: the quoted schemas with such a table that the role may not use.
    elsewhere: the other quoted schemas with such a table to which the path does not lead.
    """

    role: str
    path: str
    schema: str | None
    is_roles: bool
    table: str
    place: str
    kind: str
    readable: bool
    hides_rows: bool
    closed: tuple[str, ...]
    elsewhere: tuple[str, ...]


_RECORDS = f"""
SELECT CURRENT_USER, pg_catalog.current_setting('search_path'), pg_catalog.current_schema(),
  COALESCE({_IS_ROLES}, false),
  COALESCE(pg_catalog.quote_ident(n.nspname) || '.' || c.relname, ''), COALESCE(n.nspname, ''),
  COALESCE(c.relkind, ''), COALESCE(pg_catalog.has_table_privilege(c.oid, 'SELECT'), false),
  COALESCE(pg_catalog.row_security_active(c.oid), false), e.closed, e.open
FROM (SELECT pg_catalog.to_regclass('{RECORDER_TABLE}')) q (oid)
LEFT JOIN pg_catalog.pg_class c ON c.oid = q.oid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT COALESCE(pg_catalog.array_agg(o.name ORDER BY o.name) FILTER (WHERE NOT o.usable), ARRAY[]::text[]),
    COALESCE(pg_catalog.array_agg(o.name ORDER BY o.name) FILTER (WHERE o.usable), ARRAY[]::text[])
  FROM (SELECT pg_catalog.quote_ident(m.nspname), pg_catalog.has_schema_privilege(m.oid, 'USAGE')
    FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace m ON m.oid = r.relnamespace
    WHERE r.relname = '{RECORDER_TABLE}' AND r.relkind IN ('f', 'p', 'r')
    AND r.oid IS DISTINCT FROM c.oid) o (name, usable)) e (closed, open)
"""  # noqa: S608 - a constant


def records_of(connection: BaseDatabaseWrapper) -> Records:
    """Return where the migrations of the session are recorded, and where else there are such records."""
    *facts, closed, elsewhere = query_rows(connection, _RECORDS)[0]
    return Records(*[*facts, tuple(closed), tuple(elsewhere)])
