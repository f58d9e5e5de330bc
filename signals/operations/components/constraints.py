"""Statements that are the same for every kind of constraint, and the comparison of checks."""

from ..catalog.tables import Constraint
from ..site import Site
from ..statements import Lock, Statement
from . import guards

_NOT_VALID = " NOT VALID"


def same_check(found: Constraint, wanted: Constraint) -> bool:
    """Return whether two checks are the same in all but their name and whether they are validated."""
    if found.definition.removesuffix(_NOT_VALID) == wanted.definition:
        return True
    return bool(found.folded) and found.folded == wanted.folded


def validate_constraint(site: Site, name: str, rows: str = "") -> Statement:
    """Return the statement that validates a NOT VALID constraint while readers and writers go on.

    rows: an SQL condition that holds for the rows that violate the constraint.
    """
    return Statement(
        f"ALTER TABLE {site.table} VALIDATE CONSTRAINT {site.quote(name)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
        site.table,
        guards.has_constraint(site.table, name, validated=True),
        rows=rows,
    )


def drop_constraint(site: Site, name: str) -> Statement:
    """Return the statement that drops the table's constraint."""
    return Statement(
        f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(name)}",
        Lock.ACCESS_EXCLUSIVE,
        site.table,
        guards.negated(guards.has_constraint(site.table, name)),
        bare=f"ALTER TABLE {site.table} DROP CONSTRAINT IF EXISTS {site.quote(name)}",
    )


def take_name(site: Site, name: str, successor: str) -> Statement:
    """Return the statement that drops a constraint and gives its name to its successor.

    Both happen in one transaction, so that rows are checked all the time.
    """
    table, old, new = site.table, site.quote(name), site.quote(successor)
    return Statement(
        f"ALTER TABLE {table} DROP CONSTRAINT {old}; "
        f"ALTER TABLE {table} RENAME CONSTRAINT {new} TO {old}",
        Lock.ACCESS_EXCLUSIVE,
        table,
        guards.negated(guards.has_constraint(table, successor)),
    )
