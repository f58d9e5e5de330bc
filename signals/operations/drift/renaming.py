"""Declared indexes and constraints that the table has under another name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..base import Convergent
from ..catalog.probes import Probe
from ..catalog.tables import Table
from ..components import guards
from ..components.indexes import rename_index, with_renamed_index
from ..components.snapshots import Case
from ..convergence import send_all
from ..findings import Finding, Snapshot, Status
from ..site import Site
from ..statements import Lock, Statement

_NAMED = ("index", "constraint")  # kinds of Source that have a declared name


@dataclass(frozen=True, slots=True)
class Candidate:
    """An undeclared index or constraint of the table that may be the missing part under another name.

    former: its name. pretended: the table as it would be with the declared name.
    """

    part: Convergent
    name: str
    former: str
    pretended: Table

    def case(self, site: Site, path: str) -> Case:
        """Return the case that compares the part with the pretended table; path as in `Probe`."""
        with site.on_probe():
            ddl = tuple(self.part.probe(site, self.pretended))
        return Case(self.part, site, Probe(self.pretended, ddl, path))

    def renaming(self, site: Site, snapshot: Snapshot) -> "Renaming | None":
        """Return the operation that renames it, if it has the declared definition; else None."""
        if snapshot.failure or snapshot.wanted is None or snapshot.found is None:
            return None
        statuses = {each.status for each in self.part.inspect(site, snapshot)}
        if not statuses <= {Status.EXISTS, Status.UNFINISHED}:
            return None
        return Renaming(self.part, self.name, self.former, snapshot.found)


class Renaming(Convergent):
    """Give an index or constraint its declared name, and do what is then left of the declared part.

    It takes an instant; a run that dies before it leaves the former name, and the next run renames.
    """

    has_safe_script = True

    def __init__(self, part: Convergent, name: str, former: str, pretended: Table) -> None:
        self.part, self.name, self.former = part, name, former
        self.component, self.pretended = part.component, pretended

    def describe(self) -> str:
        return f"Rename {self.former} to {self.name}"

    def converge(self, site: Site, *, forwards: bool) -> None:
        send_all(self, site, [self._rename(site)])
        self.part.converge(site, forwards=forwards)

    def script(self, site: Site) -> list[Statement]:
        return [self._rename(site), *self.part.script(site)]

    def finding(self, site: Site) -> Finding:
        """Return the finding on the part: all that it lacks is its name."""
        index, constraint = (
            self.pretended.index(self.name),
            self.pretended.constraint(self.name),
        )
        found: Any = constraint or index
        return Finding(
            self.component or "exclusion",
            self.name,
            site.table,
            Status.UNFINISHED,
            found.definition,
            fix=f"{self._rename(site).sql};",
            note=f"it is there under the name {self.former}; --repair renames it",
        )

    def _rename(self, site: Site) -> Statement:
        """Return the statement; that of an index renames its constraint too and lets writers go on."""
        if self.pretended.index(self.name) is not None:
            sql = rename_index(site, self.former, self.name, self.pretended)
            return Statement(sql, Lock.NONE, site.table, guards.has_index(site.table, self.name))
        former, name = site.quote(self.former), site.quote(self.name)
        sql = f"ALTER TABLE {site.table} RENAME CONSTRAINT {former} TO {name}"
        done = guards.has_constraint(site.table, self.name)
        return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, done)


def candidates(
    operation: Any, site: Site, found: Table, declared: Iterable[str]
) -> Iterator[Candidate]:
    """Yield the undeclared indexes and constraints that may be declared parts which the table lacks.

    operation: CreateTableIfMissing of the table. declared: the names that are declared, or accepted in the
    place of declared ones.
    """
    known = set(declared)
    for source, part in operation.sources(site, found):
        name = str(source.name)
        names = {name, *part.names(site)}
        is_missing = not any(found.index(each) or found.constraint(each) for each in names)
        if source.kind not in _NAMED or not is_missing or found.holder(name):
            continue
        for former, definition in _alike(part, found):
            columns = map(site.column, _plain_fields(part))
            if former not in known and all(column in definition for column in columns):
                yield Candidate(part, name, former, with_renamed_index(found, former, name))


def _alike(part: Convergent, found: Table) -> Iterator[tuple[str, str]]:
    """Yield name and definition of what the table has of the part's kind."""
    if part.component in ("index", "unique"):
        is_unique = part.component == "unique"
        kinds = {each.name: each.kind for each in found.constraints}
        for index in found.indexes:
            if index.unique == is_unique and kinds.get(index.constraint or "", "u") == "u":
                yield index.name, index.definition
    else:
        kind = "c" if part.component == "check" else "x"
        for constraint in found.constraints:
            if constraint.kind == kind:
                yield constraint.name, constraint.definition


def _plain_fields(part: Any) -> Iterable[str]:
    declared = getattr(part, "index", None) or part.constraint
    names: Iterable[str] = (name.removeprefix("-") for name in getattr(declared, "fields", ()))
    return names
