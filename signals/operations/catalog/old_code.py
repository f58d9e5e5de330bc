"""Look up what the phase expand left for old code on any table."""

from django.db.backends.base.base import BaseDatabaseWrapper

from ..names import NAME
from .details import OLD_VIEW
from .query import query_rows

_LEFT = """
SELECT pg_catalog.obj_description(t.oid, 'pg_trigger'), 'trigger ' || t.tgname
FROM pg_catalog.pg_trigger t
WHERE pg_catalog.starts_with(t.tgname, %s) AND t.tgparentid = 0 AND pg_catalog.pg_table_is_visible(t.tgrelid)
UNION ALL
SELECT pg_catalog.substr(d.description, pg_catalog.length(%s) + 1), 'view ' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_description d
ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
WHERE c.relkind = 'v' AND pg_catalog.starts_with(d.description, %s) AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 1, 2
"""


def made_for_old_code(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    """Return the visible triggers and views that expand left until contract, by migration label."""
    found: dict[str, list[str]] = {}
    for label, what in query_rows(connection, _LEFT, [f"{NAME}_", OLD_VIEW, OLD_VIEW]):
        found.setdefault(label or "", []).append(what)
    return found
