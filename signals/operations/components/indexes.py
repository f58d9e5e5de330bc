"""Compare indexes by their definition, and make the SQL that builds, replaces and drops one."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db.models import Index as DeclaredIndex

from ..catalog.indexes import Index
from ..catalog.tables import Relation, Table
from ..findings import Finding, Snapshot, Status
from ..names import MAX_NAME_BYTES, PROBE_TABLE, predecessor, successor
from ..site import Site
from ..statements import Lock, Statement
from . import guards


def columns_of(site: Site, index: DeclaredIndex) -> list[str]:
    """Return the columns that the declared index uses, in keys, expressions, INCLUDE and condition."""
    names = [name for name, _ in index.fields_orders] + list(index.include)
    return site.columns_of(names, [*index.expressions, index.condition])


def same_index(found: Index, wanted: Index) -> bool:
    """Return whether two indexes are the same in all but their name and whether they are valid."""
    return (
        found.method == wanted.method
        and [key[1:] for key in found.keys] == [key[1:] for key in wanted.keys]
        and found.include == wanted.include
        and _same_expressions(found, wanted)
        and found.unique == wanted.unique
        and found.nulls_not_distinct == wanted.nulls_not_distinct
        and set(map(_comparable_option, wanted.options))
        <= set(map(_comparable_option, found.options))
    )


def index_note(name: str, found: Table, wanted: Table | None) -> str:
    """Return what is to be said of the table's index of that name though it is as declared, if anything.

    That is what an interrupted build has left beside it, and storage parameters that are not declared.
    """
    notes = []
    if spares := [each.name for each in replacement_leftovers(name, found)]:
        left = "which an interrupted REINDEX or replacement has left"
        notes.append(f"beside it in the database: {', '.join(spares)}, {left}")
    index, target = found.index(name), wanted.index(name) if wanted else None
    if index is not None and target is not None:
        declared = {each.partition("=")[0] for each in target.options}
        further = [each for each in index.options if each.partition("=")[0] not in declared]
        if further:
            notes.append(
                f"WITH ({', '.join(further)}) in the database, not in the declaration; left as it is"
            )
    return "; ".join(notes)


def _same_expressions(found: Index, wanted: Index) -> bool:
    if (found.keys, found.predicate) == (wanted.keys, wanted.predicate):
        return True
    return bool(found.folded) and found.folded == wanted.folded


def _comparable_option(text: str) -> str:
    """Return a storage parameter in one spelling, because PostgreSQL keeps that of the statement."""
    name, _, value = text.partition("=")
    return f"{name}={_BOOLEANS.get(value.lower(), value)}"


def compare_index(site: Site, name: str, found: Table, wanted: Table | None) -> Finding:
    """Return the status of the table's index of that name.

    It is DIFFERENT too if another relation of the schema has the name.
    """
    index = found.index(name)
    if index is None:
        return _compare_missing_index(site, name, found)
    target = wanted.index(name) if wanted else None
    is_free = index.constraint is None
    if index.building:
        status = Status.BUILDING
    elif target is not None and not (is_free and same_index(index, target)):
        status = Status.BUILDING if _is_being_replaced(name, found) else Status.DIFFERENT
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
        note="" if status is Status.DIFFERENT else index_note(name, found, wanted),
        replaceable=is_free and target is not None and not why_not_replaceable(index),
    )


def why_not_replaceable(index: Index) -> str:
    """Return, in parentheses, why replacing the index would lose something; empty if it would not."""
    if index.identity:
        return " (the replica identity of its table)"
    if index.clustered:
        return " (CLUSTER orders its table by it)"
    if index.part_of is not None:
        return " (a part of the index of the partitioned table)"
    return " (foreign keys depend on it)" if index.referenced else ""


def _compare_missing_index(site: Site, name: str, found: Table) -> Finding:
    """Return the status of an index that the table lacks: MISSING if its name is free in the schema."""
    holder = found.holder(name)
    if holder is not None:
        return compare_name(site, holder, found)
    status = Status.BUILDING if _is_being_replaced(name, found) else Status.MISSING
    return Finding("index", name, site.table, status)


def compare_name(site: Site, holder: Relation, found: Table | None) -> Finding:
    """Return the finding on an index whose name another relation has; found: the table, if it exists."""
    what = f"an index of table {holder.table}" if holder.table else "a relation that is no index"
    kind = _ALTER_KEYWORDS.get(holder.kind, "TABLE")
    fix = f"rename it: ALTER {kind} {site.beside_table(holder.name, found)} RENAME TO ..."
    wanted = f"an index of table {site.table}"
    return Finding("index", holder.name, site.table, Status.DIFFERENT, what, wanted, fix)


def _is_being_replaced(name: str, found: Table) -> bool:
    """Return whether another session builds a replacement of the index now."""
    new = found.index(successor(name))
    return new is not None and new.building


def replacement_leftovers(name: str, found: Table | None) -> list[Index]:
    """Return the indexes that an interrupted replacement or REINDEX CONCURRENTLY of that index has left.

    REINDEX leaves only invalid indexes, named after the index with _ccnew or _ccold, for which it cuts a
    long name.
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
    """Return the steps that give the table the index of the finding.

    create: returns the statement that builds the index under a name.

    Replace an index of another definition without a gap: build the wanted one under the name of a successor,
    swap the names, which locks no table, and only then drop the old one. A run that dies on the way leaves a
    second index. The next run uses it if it is a valid successor, and drops it otherwise.
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
    """Return SQL that renames an index. It locks the index alone; readers and writers go on."""
    return f"ALTER INDEX {site.beside_table(name, found)} RENAME TO {site.quote(to)}"


def with_renamed_index(found: Table, name: str, to: str) -> Table:
    """Return the table in which the index or constraint of that name has another one."""

    def new(each: str | None) -> Any:
        return to if each == name else each

    return replace(
        found,
        indexes=tuple(
            replace(each, name=new(each.name), constraint=new(each.constraint))
            for each in found.indexes
        ),
        constraints=tuple(replace(each, name=new(each.name)) for each in found.constraints),
    )


def definition_on_table(site: Site, wanted: Index) -> str:
    """Return the definition of an index of the probe, with the table in the place of the probe."""
    return _PROBE.sub(lambda _: site.table, wanted.definition, count=1)


def refuse_invalid(site: Site, name: str, *elsewhere: str) -> Statement:
    """Return the statement that stops a printed script at an invalid index, left by a failed build.

    elsewhere: conditions under which the script does not need the index and goes on.
    """
    invalid = guards.has_index(site.table, name, valid=False)
    return Statement(
        guards.refusal(
            f"index {name} is invalid: drop it, and run again "
            "(migrate completes that of a partitioned table)"
        ),
        Lock.NONE,
        site.table,
        guards.either(*elsewhere, guards.negated(invalid)),
    )


def refuse_partitioned(site: Site, name: str, sql: str) -> str:
    """Return a SELECT, for Statement.question, of the SQL or, if the table is partitioned, of a refusal.

    The SQL builds the index of an ordinary table. The steps for a partitioned one depend on its partitions,
    and would bury the script of every ordinary table.
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
    """Return the statement that drops the table's index while readers and writers go on.

    PostgreSQL cannot drop the index of a partitioned table concurrently. It drops that together with those
    attached to it, under ACCESS EXCLUSIVE on the table and all partitions, for an instant.
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
        bare=f"DROP INDEX CONCURRENTLY IF EXISTS {site.beside_table(name, found)}",
    )


def tables_below(found: Table) -> tuple[str, ...]:
    """Return the quoted names of the partitions, which a step on the partitioned table locks too."""
    return tuple(part.table for part in found.tree.parts) if found.tree else ()


# Other spellings of true and false in a storage parameter.
_BOOLEANS = {"on": "true", "yes": "true", "1": "true", "off": "false", "no": "false", "0": "false"}
# The name of a leftover of REINDEX CONCURRENTLY.
_REINDEXED = re.compile(r"(.+)_cc(?:new|old)\d*")
_PROBE = re.compile(rf"\bpg_temp\w*\.{PROBE_TABLE}\b")

# What ALTER calls a relation, by pg_class.relkind.
_ALTER_KEYWORDS = {
    "i": "INDEX",
    "I": "INDEX",
    "S": "SEQUENCE",
    "v": "VIEW",
    "m": "MATERIALIZED VIEW",
}
