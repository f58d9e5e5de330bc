"""Compare the comment of a table or a column with the declared one, and set it."""

from ..findings import Finding, Status
from ..site import Site
from ..statements import Lock, Statement
from . import guards


def compare_comment(
    site: Site, name: str, found: str | None, wanted: str | None, column: str = ""
) -> Finding:
    """Return the finding on the comment of the table or, if one is given, of its column.

    name: the plain name of the table or column. No comment and an empty one are the same, as in PostgreSQL.
    """
    if (found or "") == (wanted or ""):
        return Finding("comment", name, site.table, Status.EXISTS, found or "", wanted or "")
    return Finding(
        "comment",
        name,
        site.table,
        Status.DIFFERENT if found else Status.MISSING,
        found or "",
        wanted or "",
        f"{set_comment(site, wanted, column).sql};",
        replaceable=True,
    )


def set_comment(site: Site, text: str | None, column: str = "") -> Statement:
    """Return the statement that gives the table, or its column, the comment; None or '' takes it away."""
    place = f"COLUMN {site.table}.{site.quote(column)}" if column else f"TABLE {site.table}"
    sql = f"COMMENT ON {place} IS {guards.literal(text) if text else 'NULL'}"
    done = guards.has_comment(site.table, column, text)
    return Statement(sql, Lock.SHARE_UPDATE_EXCLUSIVE, site.table, done)
