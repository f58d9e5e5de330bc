"""The index of a partitioned table: one of each partition, built while writers go on, then attached.

PostgreSQL builds none concurrently on the partitioned table itself. There it is made alone, empty and
invalid; with the last partition's that is attached it becomes valid. A run that dies leaves it invalid,
and the next one builds and attaches what is missing.
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

_NUMBERS = range(10)  # of the names that are tried for a partition's index


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an index of a partitioned table is made; `wanted` is that of the probe, if it can be there.

    build: builds it by name, concurrently, on the site's table. alone: makes it by name on the site's
    table without its partitions. join: of a unique constraint, makes the built index of that name one.
    deferral: of that constraint, as PostgreSQL prints it.
    """

    name: str
    wanted: Index | None
    build: Callable[[str], Statement]
    alone: Callable[[str], Statement]
    join: Callable[[str], Statement] | None = None
    deferral: str = ""

    def fits(self, part: Partition, index: Index) -> bool:
        """Whether the partition's index, which is attached to none, can be attached to the wanted one."""
        if self.wanted is None or index.part_of is not None or not same_index(index, self.wanted):
            return False
        if index.constraint is None:
            return self.join is None or part.kind != "p"
        return self.join is not None and part.uniques.get(index.constraint) == self.deferral

    def names(self, part: Partition) -> list[str]:
        """The names for the partition's index, in order of preference; they tell it from others' too.

        Without quotation marks, which Django would not double.
        """
        numbers = ["", *(f"_{number}" for number in _NUMBERS if number)]
        bare = part.name.replace('"', "")
        return [shortened(f"{bare}{number}_{self.name}") for number in numbers]


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition and the index that it has for the one above it, attached already or not."""

    part: Partition
    index: Index | None
    is_attached: bool

    @property
    def is_ready(self) -> bool:
        """Whether the index can be attached; that of a sub-partitioned table before it is valid."""
        return self.index is not None and (self.index.valid or self.part.kind == "p")


def recipe_of_index(
    site: Site, name: str, wanted: Table | None, build: Callable[[str], Statement]
) -> Recipe:
    """The recipe of an index that is no constraint's."""

    def alone(name: str) -> Statement:
        return _unhurried(site, build(name), name, "ON ONLY")

    return Recipe(name, wanted.index(name) if wanted else None, build, alone)


def compare_index_of_partitions(recipe: Recipe, finding: Finding, found: Table) -> list[Finding]:
    """The finding of the whole index, and one of each partition that is not right.

    Where the partitioned table lacks the index, its row says so of all partitions.
    """
    if found.tree is None:
        return [finding]
    is_other = finding.status is Status.DIFFERENT
    root = found.index(successor(finding.name) if is_other else finding.name)
    rows = [
        row
        for place in _places(recipe, root, found.tree)
        for row in _compare_partition(recipe, place, is_rooted=root is not None)
    ]
    if any(row.status is Status.BUILDING for row in rows):
        finding = replace(finding, status=Status.BUILDING)
    elif rows and finding.status is Status.EXISTS:
        finding = replace(finding, status=Status.UNFINISHED)
    return [finding] if is_other else [finding, *rows]


def plan_partitions(site: Site, recipe: Recipe, finding: Finding, found: Table) -> list[Statement]:
    """What gives the partitioned table the index of the finding."""
    name = finding.name
    clean = {
        each.name: drop_index(site, each.name, found) for each in replacement_leftovers(name, found)
    }
    if finding.status in (Status.MISSING, Status.UNFINISHED):
        return [*clean.values(), *_grow(site, recipe, name, found)]
    if finding.status is not Status.DIFFERENT or recipe.wanted is None:
        return []
    new, old = successor(name), predecessor(name)
    built = found.index(new)
    if built is not None and not same_index(built, recipe.wanted):
        return list(clean.values())
    clean.pop(new, None)
    growing = [*clean.values(), *_grow(site, recipe, new, found)]
    swap = [rename_index(site, name, old, found), rename_index(site, new, name, found)]
    exchange = Statement("; ".join(swap), Lock.NONE, site.table, guards.NEVER)
    return growing or [exchange, drop_index(site, old, found)]


def leftovers(site: Site, recipe: Recipe, found: Table) -> list[Statement]:
    """Drops what a run built for the index and did not come to attach."""
    if found.tree is None:
        return []
    return [
        _drop_part(site, part, index)
        for part in found.tree.parts
        for index in part.indexes
        if recipe.fits(part, index) and index.name in recipe.names(part)
    ]


def require_owned(operation: Operation, site: Site, found: Table) -> None:
    """Refuses before anything is changed what the current role could not do to each partition."""
    tables = [found.tree.root, *found.tree.parts] if found.tree else []
    for part in tables:
        if not part.owned:
            raise Refused(
                operation.describe(),
                site.table,
                f"the partition {part.table} belongs to another role, which alone may index it",
                f"migrate as a member of that role, or ALTER TABLE {part.table} OWNER TO ...",
            )


def require_unique(operation: Operation, site: Site, found: Table, columns: list[str]) -> None:
    """Refuses what PostgreSQL cannot make unique over all partitions."""
    if found.tree is None:
        return
    tables = [found.tree.root, *found.tree.parts]
    for part in tables:
        if part.kind == "f":
            raise Refused(
                operation.describe(),
                site.table,
                f"the partition {part.table} is a foreign table, and PostgreSQL makes none unique",
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


def _compare_partition(recipe: Recipe, place: _Place, *, is_rooted: bool) -> Iterator[Finding]:
    part, index = place.part, place.index
    if part.kind == "f" or (index is not None and index.valid and place.is_attached):
        return
    if index is None:
        if is_rooted:
            yield Finding("index", part.name, part.table, Status.MISSING)
        return
    status = Status.BUILDING if index.building else Status.UNFINISHED
    if is_rooted or index.building or index.name in recipe.names(part):
        yield Finding("index", index.name, part.table, status, index.definition)


def _places(recipe: Recipe, root: Index | None, tree: Tree) -> Iterator[_Place]:
    """Each partition with its index, those above before those below."""
    above: dict[int | None, Index | None] = {tree.root.oid: root}
    for part in tree.parts:
        over = above.get(part.parent)
        attached = (each for each in part.indexes if over and each.part_of == over.oid)
        index = next(attached, None)
        is_attached = index is not None
        index = index or _candidate(recipe, part)
        above[part.oid] = index
        yield _Place(part, index, is_attached)


def _candidate(recipe: Recipe, part: Partition) -> Index | None:
    """What can be attached, else what is being built, else what a run has left unfinished."""
    names = recipe.names(part)
    fitting = [index for index in part.indexes if recipe.fits(part, index)]
    fitting = [each for each in fitting if each.valid or each.building or each.name in names]
    return min(
        fitting,
        key=lambda each: (not each.valid, not each.building, each.name not in names),
        default=None,
    )


def _grow(site: Site, recipe: Recipe, name: str, found: Table) -> list[Statement]:
    """What the index of that name lacks to be valid."""
    root, tree = found.index(name), found.tree
    if tree is None:
        return []
    has_foreign = any(part.kind == "f" for part in tree.parts)
    if has_foreign and not (root and root.valid):
        return _grow_around_foreign(site, recipe, name, found, tree)
    steps = [] if root else [recipe.alone(name)]
    names = {tree.root.oid: site.beside_table(name, found)}
    places = [place for place in _places(recipe, root, tree) if place.part.kind != "f"]
    for place in places:
        index, more = _make(site, recipe, place, tree)
        names[place.part.oid] = place.part.beside(index)
        steps += more
        if not place.is_attached or more:
            steps.append(_attach(names[place.part.parent or 0], names[place.part.oid]))
    if steps or root is None or root.valid:
        return steps
    return _revalidate(names, places, tree) or [_drop_whole(site, recipe, name, found)]


def _make(site: Site, recipe: Recipe, place: _Place, tree: Tree) -> tuple[str, list[Statement]]:
    """The name of the partition's index, and what makes it ready to be attached."""
    part, index = place.part, place.index
    if index is not None and place.is_attached:
        return index.name, [] if place.is_ready else [_rebuild(part, index)]
    if index is not None and place.is_ready:
        needs_join = recipe.join is not None and index.constraint is None
        return index.name, _on(site, part, recipe.join, index.name) if needs_join else []
    broken = [_drop_part(site, part, index)] if index is not None else []
    names = recipe.names(part)
    free = (each for each in names if (part.schema, each) not in tree.taken)
    name = index.name if index is not None else next(free, names[0])
    if part.kind == "p":
        return name, [*broken, *_on(site, part, recipe.alone, name)]
    return name, [
        *broken,
        *_on(site, part, recipe.build, name),
        *_on(site, part, recipe.join, name),
    ]


def _grow_around_foreign(
    site: Site, recipe: Recipe, name: str, found: Table, tree: Tree
) -> list[Statement]:
    """What gives the index to a tree with foreign tables, which have none.

    There it would never become valid by attaching. CREATE INDEX on the whole makes it valid at once,
    and takes in the partitions' own that stand already, in an instant.
    """
    if found.index(name) is not None:
        return [_drop_whole(site, recipe, name, found)]
    steps: list[Statement] = []
    for place in _places(recipe, None, tree):
        if place.part.kind == "r" and not place.is_ready:
            steps += _make(site, recipe, place, tree)[1]
    whole = _unhurried(site, recipe.build(name), name, "ON")
    return steps or [replace(whole, also=tables_below(found))]


def _revalidate(names: dict[int, str], places: list[_Place], tree: Tree) -> list[Statement]:
    """Attaches again what is attached: PostgreSQL looks then whether none is lacking any more.

    That is so after the only partition that lacked its index is gone. Nothing where the last partition
    of a table is: its index stays invalid for ever, and so do those above.
    """
    firsts = {place.part.parent: place.part for place in reversed(places)}
    invalid = [place.part for place in places if place.index and not place.index.valid]
    nodes = [*reversed(invalid), tree.root]
    if any(node.oid not in firsts for node in nodes):
        return []
    return [_attach(names[node.oid], names[firsts[node.oid].oid]) for node in nodes]


def _on(
    site: Site, part: Partition, make: Callable[[str], Statement] | None, name: str
) -> list[Statement]:
    """What `make` makes for the name, on the partition in place of the table."""
    if make is None:
        return []
    with site.on(part.table):
        return [replace(make(name), part=True)]


def _unhurried(site: Site, build: Statement, name: str, on: str) -> Statement:
    """The concurrent build as one that is not; on a table without rows of its own it takes an instant."""
    head = f"INDEX CONCURRENTLY {site.quote(name)} ON "
    sql = build.sql.replace(head, f"INDEX {site.quote(name)} {on} ", 1)
    return replace(build, sql=sql, lock=Lock.SHARE, transactional=True, unique="", part=True)


def _attach(above: str, index: str) -> Statement:
    """Locks the partition's index, which whoever reads or writes the partition holds, for an instant."""
    sql = f"ALTER INDEX {above} ATTACH PARTITION {index}"
    return Statement(sql, Lock.ACCESS_EXCLUSIVE, index, guards.NEVER, part=True)


def _rebuild(part: Partition, index: Index) -> Statement:
    """Heals an attached index, which cannot be dropped alone."""
    return Statement(
        f"REINDEX INDEX CONCURRENTLY {part.beside(index.name)}",
        Lock.SHARE_UPDATE_EXCLUSIVE,
        part.table,
        guards.NEVER,
        transactional=False,
        part=True,
    )


def _drop_part(site: Site, part: Partition, index: Index) -> Statement:
    """Drops a partition's index that is not attached."""
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


def _drop_whole(site: Site, recipe: Recipe, name: str, found: Table) -> Statement:
    if recipe.join is None:
        return drop_index(site, name, found)
    return replace(drop_constraint(site, name), also=tables_below(found))
