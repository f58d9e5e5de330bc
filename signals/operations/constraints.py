"""The statements that every kind of constraint shares."""

from signals.operations import guards
from signals.operations.site import Site
from signals.operations.statements import Lock, Statement


def validate_constraint(site: Site, name: str) -> Statement:
    """Proves a constraint that was added NOT VALID on the rows, while readers and writers go on."""
    return Statement(
        f"ALTER TABLE {site.table} VALIDATE CONSTRAINT {site.quote(name)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
        site.table,
        guards.has_constraint(site.table, name, validated=True),
    )


def drop_constraint(site: Site, name: str) -> Statement:
    """Drops the table's constraint."""
    return Statement(
        f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(name)}",
        Lock.ACCESS_EXCLUSIVE,
        site.table,
        guards.negated(guards.has_constraint(site.table, name)),
    )
