"""What is said of a missing table or type if one of its name stands further back on the search_path."""

from typing import Any

from .catalog.query import quoted
from .catalog.records import Standing
from .components.indexes import compare_name
from .execution.settings import is_own
from .findings import Finding, Snapshot, Status
from .site import Site

# Where a new one would hide the one that is meant, and a new table its rows.
_HIDES = {
    Standing.RECORDED: (
        "the migrations are recorded there or further back too: do not name a schema without a "
        "django_migrations of its own"
    ),
    Standing.ROLES: (
        "a new one in the role's own schema would hide it: ALTER ROLE … SET search_path = {place}, "
        "or let the search_path name the role's schema instead of $user"
    ),
    Standing.FILLED: (
        "a new one would hide its rows: let the search_path begin with {place}, or leave that schema out"
    ),
}


def own_or_behind(site: Site, name: str, found: Any) -> tuple[Any, Any]:
    """Return a table or enum as the declared one, or else as one further back; None for the other."""
    if found is None or "." in name or is_own(site.connection, found.standing):
        return found, None
    return None, found


def missing_part(
    component: str, name: str, table: str, snapshot: Snapshot, wanted: str = ""
) -> Finding:
    """Return the finding on what is missing, or on the one further back that a new one would hide."""
    behind = snapshot.behind
    if behind is None:
        return Finding(component, name, table, Status.MISSING, "", wanted)
    place = quoted(behind.schema)
    text = f"{component} {name} of schema {place}, further back on the search_path"
    fix = _HIDES.get(behind.standing)
    if fix is None:
        note = "" if behind.standing is Standing.ANOTHER else f"there is a {text}"
        return Finding(component, name, table, Status.MISSING, "", wanted, note=note)
    wanted = wanted or "none there, or that schema as the first of the search_path"
    return Finding(component, name, table, Status.DIFFERENT, text, wanted, fix.format(place=place))


def missing_table(site: Site, snapshot: Snapshot) -> list[Finding]:
    """Return the findings on a missing table: itself, and each name that its indexes cannot get."""
    missing = missing_part("table", site.model._meta.db_table, site.table, snapshot)
    return [missing, *(compare_name(site, each, None) for each in snapshot.taken)]
