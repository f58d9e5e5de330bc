"""Keep the old name of a renamed table in use: a view, through which old code reads and writes."""

from collections.abc import Mapping
from typing import Any

from ..catalog.details import OLD_VIEW, OldView
from ..catalog.query import quoted
from ..catalog.tables import Table
from ..site import Site
from ..statements import Lock, Statement
from . import guards

_INVOKER = (
    150000  # the first version whose views check the rights and the policies of who uses them
)

# Give the view the owner of the table, and the rights on it. Before PostgreSQL 15 a view would show its users
# all rows, whatever the policies of the table say.
_RIGHTS = """
DECLARE each record;
BEGIN
  IF <is_older> AND (SELECT relrowsecurity FROM pg_catalog.pg_class WHERE oid = <table>) THEN
    RAISE feature_not_supported USING MESSAGE = 'a view would show all rows of a table with row security '
      'before PostgreSQL 15 (stop the release before, and run migrate --phase both)';
  END IF;
  EXECUTE (SELECT 'ALTER VIEW <view> OWNER TO '
             || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(relowner))
           FROM pg_catalog.pg_class WHERE oid = <table>);
  FOR each IN
    SELECT a.privilege_type, a.grantee, '' AS columns
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    WHERE c.oid = <table> AND a.grantee <> c.relowner
    UNION ALL
    SELECT a.privilege_type, a.grantee, ' (' || pg_catalog.quote_ident(k.attname) || ')'
    FROM pg_catalog.pg_attribute k, pg_catalog.aclexplode(k.attacl) a
    WHERE k.attrelid = <table> AND NOT k.attisdropped AND EXISTS (SELECT FROM pg_catalog.pg_attribute v
      WHERE v.attrelid = <view_oid> AND v.attname = k.attname)
  LOOP
    IF each.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') THEN
      EXECUTE 'GRANT ' || each.privilege_type || each.columns || ' ON <view> TO ' || CASE each.grantee
        WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(each.grantee)) END;
    END IF;
  END LOOP;
END"""


def rename_table(
    site: Site, old: str, *, found: Table | None = None, columns: Mapping[str, str]
) -> Statement:
    """Return the statement that gives the table of the quoted old name the one of the site's model.

    found: the table of the old name; None for a printed script. columns: the new names of its columns by the
    old ones.
    """
    renamed = last_name(site.table)
    place = f"{quoted(found.schema)}.{renamed}" if found else site.table
    steps = [f"ALTER TABLE {old} RENAME TO {renamed}"]
    steps += [
        f"ALTER TABLE {place} RENAME COLUMN {quoted(former)} TO {quoted(name)}"
        for former, name in columns.items()
        if found is None or found.column(former)
    ]
    return Statement("; ".join(steps), Lock.ACCESS_EXCLUSIVE, old, guards.has_table(site.table))


def make_old_view(site: Site, old: str, found: Table, columns: Mapping[str, str]) -> str:
    """Return the SQL that makes a view of the quoted old name with the columns of the renamed table.

    found: the table, under either name. columns: as in `rename_table`.
    """
    connection: Any = site.connection  # PostgreSQL's knows its version
    schema = quoted(found.schema)
    view, table = f"{schema}.{last_name(old)}", f"{schema}.{last_name(site.table)}"
    former = {name: was for was, name in columns.items()}
    names = [columns.get(each.name, each.name) for each in found.columns]
    shown = ", ".join(f"{quoted(name)} AS {quoted(former.get(name, name))}" for name in names)
    is_older = connection.pg_version < _INVOKER
    invoker = "" if is_older else " WITH (security_invoker = true)"
    rights = _RIGHTS.replace("<is_older>", str(is_older)).replace("<view>", view)
    for part, name in (("<table>", table), ("<view_oid>", view)):
        rights = rights.replace(part, f"{guards.literal(name)}::pg_catalog.regclass")
    select = f"SELECT {shown} FROM {table}"  # noqa: S608 - quoted names
    steps = [
        f"CREATE VIEW {view}{invoker} AS {select}",
        f"COMMENT ON VIEW {view} IS {guards.literal(OLD_VIEW + site.migration)}",
        f"DO {guards.literal(rights)}",
    ]
    return "; ".join(steps)


def drop_old_view(view: OldView) -> Statement:
    """Return the statement that drops the view."""
    gone = f"pg_catalog.to_regclass({guards.literal(view.full_name)}) IS NULL"
    return Statement(f"DROP VIEW {view.full_name}", Lock.ACCESS_EXCLUSIVE, view.full_name, gone)


def last_name(table: str) -> str:
    """Return the quoted name without its schema."""
    return table.rpartition('"."')[2].join(['"', ""]) if '"."' in table else table
