"""When two indexes are the same index, and which columns an index needs."""

import re
from collections.abc import Callable

from django.db.models import Index as DeclaredIndex

from ..catalog.indexes import Index
from ..catalog.tables import Table
from ..findings import Finding, Snapshot, Status
from ..names import MAX_NAME_BYTES, PROBE_TABLE, predecessor, successor
from ..site import Site
from ..statements import Lock, Statement
from . import guards


def columns_of(site: Site, index: DeclaredIndex) -> list[str]:
    """The columns that the declared index reads: keys, expressions, INCLUDE and condition."""
    names = [name for name, _ in index.fields_orders] + list(index.include)
    return site.columns_of(names, [*index.expressions, index.condition])


def same_index(found: Index, wanted: Index) -> bool:
    """Equal in all but name and state."""
    return (
        found.method == wanted.method
        and [key[1:] for key in found.keys] == [key[1:] for key in wanted.keys]
        and found.include == wanted.include
        and _same_expressions(found, wanted)
        and found.unique == wanted.unique
        and found.nulls_not_distinct == wanted.nulls_not_distinct
        and sorted(map(_option, found.options)) == sorted(map(_option, wanted.options))
    )


def _same_expressions(found: Index, wanted: Index) -> bool:
    if (found.keys, found.predicate) == (wanted.keys, wanted.predicate):
        return True
    return bool(found.folded) and found.folded == wanted.folded


def _option(text: str) -> str:
    """A storage parameter in one spelling; PostgreSQL keeps that of the statement."""
    name, _, value = text.partition("=")
    return f"{name}={_SWITCHES.get(value.lower(), value)}"


def compare_index(site: Site, name: str, found: Table, wanted: Table | None) -> Finding:
    """The status of the index of that name, which may be another relation's name too."""
    index = found.index(name)
    if index is None:
        return _compare_name(site, name, found)
    target = wanted.index(name) if wanted else None
    is_free = index.constraint is None
    if index.building:
        status = Status.BUILDING
    elif target is not None and not (is_free and same_index(index, target)):
        status = Status.BUILDING if _is_replaced(name, found) else Status.DIFFERENT
    elif not index.valid or replacement_leftovers(name, found):
        status = Status.UNFINISHED
    else:
        status = Status.EXISTS
    return Finding(
        "index",
        name,
        site.table,
        status,
        index.definition + why_not_replaceable(index),
        definition_on_table(site, target) if target else "",
        f"{drop_index(site, name, found).sql}; and run again"
        if is_free
        else f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(index.constraint or name)}; "
        "and run again",
        replaceable=is_free and target is not None and not why_not_replaceable(index),
    )


def why_not_replaceable(index: Index) -> str:
    """Why the index cannot be replaced without a loss, in words behind its definition."""
    if index.identity:
        return " (the replica identity of its table)"
    if index.clustered:
        return " (CLUSTER orders its table by it)"
    if index.part_of is not None:
        return " (a part of the index of the partitioned table)"
    return " (foreign keys rest on it)" if index.referenced else ""


def _compare_name(site: Site, name: str, found: Table) -> Finding:
    """The status of an index that the table does not have: is its name free in the schema?"""
    holder = found.holder(name)
    if holder is None:
        status = Status.BUILDING if _is_replaced(name, found) else Status.MISSING
        return Finding("index", name, site.table, status)
    what = f"an index of table {holder.table}" if holder.table else "a relation that is no index"
    kind = _KINDS.get(holder.kind, "TABLE")
    fix = f"rename it: ALTER {kind} {site.beside_table(name, found)} RENAME TO ..."
    wanted = f"an index of table {site.table}"
    return Finding("index", name, site.table, Status.DIFFERENT, what, wanted, fix)


def _is_replaced(name: str, found: Table) -> bool:
    """Whether another session builds a replacement of the index now."""
    new = found.index(successor(name))
    return new is not None and new.building


def replacement_leftovers(name: str, found: Table | None) -> list[Index]:
    """What an interrupted replacement or REINDEX CONCURRENTLY left beside the index of that name.

    REINDEX leaves only invalid ones; it cuts a name to make room for its _ccnew or _ccold.
    """
    own = (successor(name), predecessor(name))

    def is_spare(index: Index) -> bool:
        reindexed = None if index.valid else _REINDEXED.fullmatch(index.name)
        is_cut = len(index.name.encode()) == MAX_NAME_BYTES
        return index.name in own or bool(
            reindexed and (reindexed[1] == name or (is_cut and name.startswith(reindexed[1])))
        )

    indexes = found.indexes if found else ()
    return [index for index in indexes if is_spare(index) and not index.building]


def plan_index(
    site: Site, create: Callable[[str], Statement], finding: Finding, snapshot: Snapshot
) -> list[Statement]:
    """What gives the table the index of the finding; `create` makes the statement that builds it by name.

    A different one is replaced without a gap: the wanted one is built beside it, takes its name, which
    locks no table, and only then the other one goes.
    """
    name, found = finding.name, snapshot.found
    clean = [drop_index(site, each.name, found) for each in replacement_leftovers(name, found)]
    if finding.status is Status.MISSING:
        return [*clean, create(name)]
    index, target = snapshot.indexes(name)
    if finding.status is Status.UNFINISHED and index is not None:
        return clean if index.valid else [*clean, drop_index(site, name, found), create(name)]
    if finding.status is not Status.DIFFERENT or target is None:
        return []
    new, old = successor(name), predecessor(name)
    built, _ = snapshot.indexes(new)
    is_ready = built is not None and built.valid and same_index(built, target)
    if is_ready:
        clean = [each for each in clean if each != drop_index(site, new, found)]
    swap = [rename_index(site, name, old, found), rename_index(site, new, name, found)]
    return [
        *clean,
        *([] if is_ready else [create(new)]),
        Statement("; ".join(swap), Lock.NONE, site.table, guards.NEVER),
        drop_index(site, old, found),
    ]


def rename_index(site: Site, name: str, to: str, found: Table | None) -> str:
    """SQL that locks the index alone, and lets its readers and writers go on."""
    return f"ALTER INDEX {site.beside_table(name, found)} RENAME TO {site.quote(to)}"


def definition_on_table(site: Site, wanted: Index) -> str:
    """The definition of an index of the probe as it would stand on the table."""
    return _PROBE.sub(lambda _: site.table, wanted.definition, count=1)


def refuse_invalid(site: Site, name: str, *elsewhere: str) -> Statement:
    """For printed scripts: stops at an index that a failed build left, unless a condition holds."""
    invalid = guards.has_index(site.table, name, valid=False)
    return Statement(
        guards.refusal(
            f"index {name} is invalid: drop it, and run again "
            "(that of a partitioned table is finished by migrate)"
        ),
        Lock.NONE,
        site.table,
        guards.either(*elsewhere, guards.negated(invalid)),
    )


def refuse_partitioned(site: Site, name: str, sql: str) -> str:
    """For printed scripts: the question for the SQL, which builds the index of an ordinary table alone.

    What a partitioned one needs depends on its partitions, and would bury the script of every other.
    """
    refusal = guards.refusal(
        f"table {site.table} is partitioned: index {name} is built on each partition by migrate, "
        "not by this script"
    )
    return (
        f"SELECT CASE WHEN {guards.is_partitioned(site.table)} THEN {guards.literal(refusal)} "
        f"ELSE {guards.literal(sql)} END"
    )


def drop_index(site: Site, name: str, found: Table | None = None) -> Statement:
    """Drops the table's index while readers and writers go on.

    PostgreSQL drops that of a partitioned table with those attached to it, for an instant under ACCESS
    EXCLUSIVE on all of them.
    """
    if found is not None and found.kind == "p":
        return Statement(
            f"DROP INDEX {site.beside_table(name, found)}",
            Lock.ACCESS_EXCLUSIVE,
            site.table,
            guards.negated(guards.has_index(site.table, name)),
            also=tables_below(found),
        )
    return Statement(
        f"DROP INDEX CONCURRENTLY {site.beside_table(name, found)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
        site.table,
        guards.negated(guards.has_index(site.table, name)),
        transactional=False,
        question=f"SELECT CASE WHEN {guards.is_partitioned(site.table)} THEN 'DROP INDEX ' "
        f"ELSE 'DROP INDEX CONCURRENTLY ' END || {guards.index_of(site.table, name)}",
    )


def tables_below(found: Table) -> tuple[str, ...]:
    """The quoted names of the partitions, which a step on the partitioned table locks too."""
    return tuple(part.table for part in found.tree.parts) if found.tree else ()


_SWITCHES = {"on": "true", "yes": "true", "1": "true", "off": "false", "no": "false", "0": "false"}
_REINDEXED = re.compile(r"(.+)_cc(?:new|old)\d*")
_PROBE = re.compile(rf"\bpg_temp\w*\.{PROBE_TABLE}\b")

_KINDS = {"i": "INDEX", "I": "INDEX", "S": "SEQUENCE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
