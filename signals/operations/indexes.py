"""When two indexes are the same index, and which columns an index needs."""

import re

from django.db.models import Index as DeclaredIndex

from signals.operations import guards
from signals.operations.base import Finding, Status
from signals.operations.catalog import Index, Table
from signals.operations.site import Site
from signals.operations.statements import Lock, Statement


def columns_of(site: Site, index: DeclaredIndex) -> list[str]:
    """The columns that the declared index reads: keys, expressions, INCLUDE and condition."""
    names = [name for name, _ in index.fields_orders] + list(index.include)
    return site.columns_of(names, [*index.expressions, index.condition])


def same_index(found: Index, wanted: Index) -> bool:
    """Equal in all but name and state."""
    return (
        found.method == wanted.method
        and found.keys == wanted.keys
        and found.include == wanted.include
        and found.predicate == wanted.predicate
        and found.unique == wanted.unique
        and found.nulls_not_distinct == wanted.nulls_not_distinct
        and sorted(found.options) == sorted(wanted.options)
    )


def judge(site: Site, name: str, found: Table, wanted: Table | None) -> Finding:
    """The status of the index of that name, which may be another relation's name too."""
    index = found.index(name)
    if index is None:
        holder = found.holder(name)
        if holder is None:
            return Finding("index", name, site.table, Status.MISSING)
        what = (
            f"an index of table {holder.table}" if holder.table else "a relation that is no index"
        )
        kind = _KINDS.get(holder.kind, "TABLE")
        fix = f"rename it: ALTER {kind} {site.beside_table(name, found)} RENAME TO ..."
        return Finding(
            "index",
            name,
            site.table,
            Status.DIFFERENT,
            what,
            f"an index of table {site.table}",
            fix,
        )
    target = wanted.index(name) if wanted else None
    if target is None or index.building:
        status = Status.BUILDING if index.building else Status.EXISTS
    elif index.constraint is not None or not same_index(index, target):
        status = Status.DIFFERENT
    else:
        status = Status.EXISTS if index.valid else Status.UNFINISHED
    return Finding(
        "index",
        name,
        site.table,
        status,
        index.definition,
        shown(site, target) if target else "",
        f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(index.constraint)}; and run again"
        if index.constraint
        else f"DROP INDEX CONCURRENTLY {site.beside_table(name, found)}; and run again",
    )


def shown(site: Site, wanted: Index) -> str:
    """The definition of an index of the probe as it would stand on the table."""
    return _PROBE.sub(lambda _: site.table, wanted.definition, count=1)


def refuse_invalid(site: Site, name: str, *elsewhere: str) -> Statement:
    """For printed scripts: stops at an index that a failed build left, unless a condition holds."""
    invalid = guards.has_index(site.table, name, valid=False)
    return Statement(
        guards.refusal(f"index {name} is invalid: drop it, and run again"),
        Lock.NONE,
        site.table,
        guards.either(*elsewhere, guards.negated(invalid)),
    )


def drop_index(site: Site, name: str, found: Table | None = None) -> Statement:
    """Drops the table's index while readers and writers go on."""
    return Statement(
        f"DROP INDEX CONCURRENTLY {site.beside_table(name, found)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
        site.table,
        guards.negated(guards.has_index(site.table, name)),
        transactional=False,
        question=f"SELECT 'DROP INDEX CONCURRENTLY ' || {guards.index_of(site.table, name)}",
    )


_PROBE = re.compile(r"\bpg_temp\w*\.signals_operations_probe\b")

_KINDS = {"i": "INDEX", "I": "INDEX", "S": "SEQUENCE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
