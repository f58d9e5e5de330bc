"""Build the index of a partitioned table: one on each partition while writers go on, then attach these.

PostgreSQL cannot build an index of a partitioned table concurrently. So create it ON ONLY that table, where
it is empty and invalid, build the index of each partition concurrently, and attach it. When the last one is
attached, PostgreSQL makes the whole index valid. A run that dies leaves it invalid, and the next run builds
and attaches what is missing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from django.db.migrations.operations.base import Operation

from ..catalog.indexes import Index
from ..catalog.partitions import Partition, Tree
from ..catalog.query import quoted
from ..catalog.tables import Table
from ..errors import Refused
from ..findings import Finding, Status
from ..names import predecessor, shortened, successor
from ..site import Site
from ..statements import Lock, Statement
from . import guards
from .constraints import drop_constraint
from .indexes import drop_index, rename_index, replacement_leftovers, same_index, tables_below

_NUMBERS = range(10)  # for the names that are tried for a partition's index


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe by which the statements for an index of a partitioned table are made.

    wanted: the index as PostgreSQL built it on the probe; None if it is not there.
    build: takes a name; returns the statement that builds the index concurrently on the site's table.
    alone: takes a name; returns the statement that creates the index ON ONLY the site's table.
    join: for a unique constraint, takes the name of a built index; returns the statement that makes it the
        index of the constraint. None for an index without a constraint.
    deferral: that of the constraint, as in Constraint.
    """

    name: str
    wanted: Index | None
    build: Callable[[str], Statement]
    alone: Callable[[str], Statement]
    join: Callable[[str], Statement] | None = None
    deferral: str = ""

    def fits(self, part: Partition, index: Index) -> bool:
        """Return whether the partition's index is not attached yet, and can be attached to the wanted one."""
        if self.wanted is None or index.part_of is not None or not same_index(index, self.wanted):
            return False
        if index.constraint is None:
            # PostgreSQL has no ADD UNIQUE USING INDEX for a partitioned table, so an index cannot join there.
            return self.join is None or part.kind != "p"
        return self.join is not None and part.uniques.get(index.constraint) == self.deferral

    def names(self, part: Partition) -> list[str]:
        """Return the names for the partition's index, in order of preference.

        The next run recognizes by them what a run that died has built. They are without quotation marks,
        because Django would not double these.
        """
        numbers = ["", *(f"_{number}" for number in _NUMBERS if number)]
        bare = part.name.replace('"', "")
        return [shortened(f"{bare}{number}_{self.name}") for number in numbers]


@dataclass(frozen=True, slots=True)
class _PartitionIndex:
    """A partition, with its index that is or can be attached to the index of the table above."""

    part: Partition
    index: Index | None
    is_attached: bool

    @property
    def is_ready(self) -> bool:
        """Return whether the index can be attached; that of a partitioned table need not be valid for it."""
        return self.index is not None and (self.index.valid or self.part.kind == "p")


def recipe_of_index(
    site: Site, name: str, wanted: Table | None, build: Callable[[str], Statement]
) -> Recipe:
    """Return the recipe of an index that belongs to no constraint."""

    def alone(name: str) -> Statement:
        return _not_concurrently(site, build(name), name, "ON ONLY")

    return Recipe(name, wanted.index(name) if wanted else None, build, alone)


def compare_index_of_partitions(recipe: Recipe, finding: Finding, found: Table) -> list[Finding]:
    """Return the finding of the whole index, and one for each partition whose index is not right.

    If the partitioned table itself lacks the index, there are no findings for partitions that lack it too.
    """
    if found.tree is None:
        return [finding]
    is_other = finding.status is Status.DIFFERENT
    root = found.index(successor(finding.name) if is_other else finding.name)
    rows = [
        row
        for entry in _partition_indexes(recipe, root, found.tree)
        for row in _compare_partition(recipe, entry, is_rooted=root is not None)
    ]
    if any(row.status is Status.BUILDING for row in rows):
        finding = replace(finding, status=Status.BUILDING)
    elif rows and finding.status is Status.EXISTS:
        finding = replace(finding, status=Status.UNFINISHED)
    return [finding] if is_other else [finding, *rows]


def plan_partitions(site: Site, recipe: Recipe, finding: Finding, found: Table) -> list[Statement]:
    """Return the steps that give the partitioned table the index of the finding.

    Replace an index of another definition without a gap: complete the wanted one under the name of a
    successor, and, when the catalog is read again and shows it complete, swap the names and drop the old one.
    """
    name = finding.name
    clean = {
        each.name: drop_index(site, each.name, found) for each in replacement_leftovers(name, found)
    }
    if finding.status in (Status.MISSING, Status.UNFINISHED):
        return [*clean.values(), *_complete_index(site, recipe, name, found)]
    if finding.status is not Status.DIFFERENT or recipe.wanted is None:
        return []
    new, old = successor(name), predecessor(name)
    built = found.index(new)
    if built is not None and not same_index(built, recipe.wanted):
        return list(clean.values())
    clean.pop(new, None)
    completing = [*clean.values(), *_complete_index(site, recipe, new, found)]
    swap = [rename_index(site, name, old, found), rename_index(site, new, name, found)]
    exchange = Statement("; ".join(swap), Lock.NONE, site.table, guards.NEVER)
    return completing or [exchange, drop_index(site, old, found)]


def leftovers(site: Site, recipe: Recipe, found: Table) -> list[Statement]:
    """Return the steps that drop the partitions' indexes that a run has built and not attached."""
    if found.tree is None:
        return []
    return [
        _drop_partition_index(site, part, index)
        for part in found.tree.parts
        for index in part.indexes
        if recipe.fits(part, index) and index.name in recipe.names(part)
    ]


def require_owned(operation: Operation, site: Site, found: Table) -> None:
    """Raise Refused, before anything is changed, if the current role may not alter each partition."""
    tables = [found.tree.root, *found.tree.parts] if found.tree else []
    for part in tables:
        if not part.owned:
            raise Refused(
                operation.describe(),
                site.table,
                f"the partition {part.table} belongs to another role, and only that role may index it",
                f"migrate as a member of that role, or ALTER TABLE {part.table} OWNER TO ...",
            )


def require_unique(operation: Operation, site: Site, found: Table, columns: list[str]) -> None:
    """Raise Refused if PostgreSQL cannot make the columns unique over all partitions.

    It cannot if a partition is a foreign table, or if the columns do not contain a partition key.
    """
    if found.tree is None:
        return
    tables = [found.tree.root, *found.tree.parts]
    for part in tables:
        if part.kind == "f":
            raise Refused(
                operation.describe(),
                site.table,
                f"the partition {part.table} is a foreign table, which PostgreSQL cannot make unique",
                "detach it, or make each other partition unique by a unique index of its own",
            )
        lacking = [
            each for each in part.key if each and not {each, quoted(each)}.intersection(columns)
        ]
        if lacking or None in part.key:
            key = ", ".join(each or "an expression" for each in part.key)
            raise Refused(
                operation.describe(),
                site.table,
                f"{part.table} is partitioned by ({key}), and PostgreSQL makes a partitioned table unique "
                f"only on columns that contain these, not on ({', '.join(columns)})",
                "declare it with these columns, or make each partition unique by a unique index of its own"
                if None not in part.key
                else "make each partition unique by a unique index of its own",
            )


def _compare_partition(
    recipe: Recipe, entry: _PartitionIndex, *, is_rooted: bool
) -> Iterator[Finding]:
    """Yield a finding if the partition's index is not as declared.

    is_rooted: whether the partitioned table has its index.
    """
    part, index = entry.part, entry.index
    if part.kind == "f" or (index is not None and index.valid and entry.is_attached):
        return
    if index is None:
        if is_rooted:
            yield Finding("index", part.name, part.table, Status.MISSING)
        return
    status = Status.BUILDING if index.building else Status.UNFINISHED
    if is_rooted or index.building or index.name in recipe.names(part):
        yield Finding("index", index.name, part.table, status, index.definition)


def _partition_indexes(recipe: Recipe, root: Index | None, tree: Tree) -> Iterator[_PartitionIndex]:
    """Yield each partition with its index, after the table that it is a partition of.

    root: the index of the partitioned table; None if it does not exist yet.
    """
    above: dict[int | None, Index | None] = {tree.root.oid: root}
    for part in tree.parts:
        over = above.get(part.parent)
        attached = (each for each in part.indexes if over and each.part_of == over.oid)
        index = next(attached, None)
        is_attached = index is not None
        index = index or _find_candidate(recipe, part)
        above[part.oid] = index
        yield _PartitionIndex(part, index, is_attached)


def _find_candidate(recipe: Recipe, part: Partition) -> Index | None:
    """Return the partition's index that can be attached, is being built, or was left unfinished by a run.

    Of several, return the first in that order.
    """
    names = recipe.names(part)
    fitting = [index for index in part.indexes if recipe.fits(part, index)]
    fitting = [each for each in fitting if each.valid or each.building or each.name in names]
    return min(
        fitting,
        key=lambda each: (not each.valid, not each.building, each.name not in names),
        default=None,
    )


def _complete_index(site: Site, recipe: Recipe, name: str, found: Table) -> list[Statement]:
    """Return the steps that the index of that name still needs to become valid."""
    root, tree = found.index(name), found.tree
    if tree is None:
        return []
    has_foreign = any(part.kind == "f" for part in tree.parts)
    if has_foreign and not (root and root.valid):
        return _complete_around_foreign_tables(site, recipe, name, found, tree)
    steps = [] if root else [recipe.alone(name)]
    names = {tree.root.oid: site.beside_table(name, found)}
    entries = [entry for entry in _partition_indexes(recipe, root, tree) if entry.part.kind != "f"]
    for entry in entries:
        index, more = _prepare_index(site, recipe, entry, tree)
        names[entry.part.oid] = entry.part.beside(index)
        steps += more
        if not entry.is_attached or more:
            steps.append(_attach(names[entry.part.parent or 0], names[entry.part.oid]))
    if steps or root is None or root.valid:
        return steps
    return _attach_again(names, entries, tree) or [_drop_whole_index(site, recipe, name, found)]


def _prepare_index(
    site: Site, recipe: Recipe, entry: _PartitionIndex, tree: Tree
) -> tuple[str, list[Statement]]:
    """Return the name of the partition's index, and the steps after which it can be attached."""
    part, index = entry.part, entry.index
    if index is not None and entry.is_attached:
        return index.name, [] if entry.is_ready else [_rebuild(part, index)]
    if index is not None and entry.is_ready:
        needs_join = recipe.join is not None and index.constraint is None
        return index.name, _on_partition(site, part, recipe.join, index.name) if needs_join else []
    broken = [_drop_partition_index(site, part, index)] if index is not None else []
    names = recipe.names(part)
    free = (each for each in names if (part.schema, each) not in tree.taken)
    name = index.name if index is not None else next(free, names[0])
    if part.kind == "p":
        return name, [*broken, *_on_partition(site, part, recipe.alone, name)]
    return name, [
        *broken,
        *_on_partition(site, part, recipe.build, name),
        *_on_partition(site, part, recipe.join, name),
    ]


def _complete_around_foreign_tables(
    site: Site, recipe: Recipe, name: str, found: Table, tree: Tree
) -> list[Statement]:
    """Return the steps that give the index to a tree with foreign tables, which cannot have an index.

    There, attaching indexes would never make the whole index valid. CREATE INDEX on the whole table makes
    it valid at once, and takes an instant if the partitions have their indexes already: it attaches these.
    """
    if found.index(name) is not None:
        return [_drop_whole_index(site, recipe, name, found)]
    steps: list[Statement] = []
    for entry in _partition_indexes(recipe, None, tree):
        if entry.part.kind == "r" and not entry.is_ready:
            steps += _prepare_index(site, recipe, entry, tree)[1]
    whole = _not_concurrently(site, recipe.build(name), name, "ON")
    return steps or [replace(whole, also=tables_below(found))]


def _attach_again(
    names: dict[int, str], entries: list[_PartitionIndex], tree: Tree
) -> list[Statement]:
    """Return the steps that make a complete index valid, by attaching indexes that are attached already.

    PostgreSQL checks whether the index of a partitioned table is complete only when an index is attached to
    it. So it stays invalid after the last partition without an index was dropped or detached.

    Return no steps if a partitioned table has no partition any more: nothing can be attached to its index,
    which stays invalid for ever, and so do the indexes above it.
    """
    firsts = {entry.part.parent: entry.part for entry in reversed(entries)}
    invalid = [entry.part for entry in entries if entry.index and not entry.index.valid]
    nodes = [*reversed(invalid), tree.root]
    if any(node.oid not in firsts for node in nodes):
        return []
    return [_attach(names[node.oid], names[firsts[node.oid].oid]) for node in nodes]


def _on_partition(
    site: Site, part: Partition, make: Callable[[str], Statement] | None, name: str
) -> list[Statement]:
    """Return the statement that make(name) returns, for the partition instead of the table.

    Return no statement if `make` is None.
    """
    if make is None:
        return []
    with site.on(part.table):
        return [replace(make(name), part=True)]


def _not_concurrently(site: Site, build: Statement, name: str, on: str) -> Statement:
    """Return the concurrent build as an ordinary one, which takes an instant on a table without rows.

    on: "ON", or "ON ONLY" to leave the partitions out.
    """
    head = f"INDEX CONCURRENTLY {site.quote(name)} ON "
    sql = build.sql.replace(head, f"INDEX {site.quote(name)} {on} ", 1)
    return replace(build, sql=sql, lock=Lock.SHARE, transactional=True, unique="", part=True)


def _attach(above: str, index: str) -> Statement:
    """Return the statement that attaches a partition's index; above, index: quoted names.

    It locks that index for an instant, and waits for the sessions that read or write the partition, because
    they hold locks on its indexes.
    """
    sql = f"ALTER INDEX {above} ATTACH PARTITION {index}"
    return Statement(sql, Lock.ACCESS_EXCLUSIVE, index, guards.NEVER, part=True)


def _rebuild(part: Partition, index: Index) -> Statement:
    """Return the statement that heals an invalid index which is attached, and so cannot be dropped alone."""
    return Statement(
        f"REINDEX INDEX CONCURRENTLY {part.beside(index.name)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
        part.table,
        guards.NEVER,
        transactional=False,
        part=True,
    )


def _drop_partition_index(site: Site, part: Partition, index: Index) -> Statement:
    """Return the statement that drops a partition's index which is not attached."""
    with site.on(part.table):
        if index.constraint is not None:
            return replace(drop_constraint(site, index.constraint), part=True)
    concurrently = "" if part.kind == "p" else "CONCURRENTLY "
    return Statement(
        f"DROP INDEX {concurrently}{part.beside(index.name)}",
        Lock.SHARE_UPDATE_EXCLUSIVE if concurrently else Lock.ACCESS_EXCLUSIVE,
        part.table,
        guards.NEVER,
        transactional=not concurrently,
        part=True,
    )


def _drop_whole_index(site: Site, recipe: Recipe, name: str, found: Table) -> Statement:
    """Return the statement that drops the whole index, with its constraint if it has one."""
    if recipe.join is None:
        return drop_index(site, name, found)
    return replace(drop_constraint(site, name), also=tables_below(found))
