"""AlterTogether, what the operations on unique_together and index_together share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.db.migrations.state import ProjectState
from django.db.models.options import normalize_together

from .base import Convergent
from .catalog.indexes import Index
from .catalog.tables import Table
from .components import guards
from .components.constraints import drop_constraint
from .components.indexes import drop_index, tables_below
from .findings import Finding, Snapshot, Status
from .implied import bare_name, is_index_declared
from .refusals import require_table
from .site import Site
from .statements import Statement

Fields = tuple[str, ...]


class AlterTogether(Convergent):
    """Base class of the operations that alter a model's together option; a mixin, as Convergent is.

    Sets of fields that are new are built, each by the operation that its `part` returns. Of a set that is
    gone, every index is dropped that refuses what it refused or, if it is not unique, that does nothing else,
    whatever its name. A subclass says which of both. What is new comes first, so that there is no moment
    without either.
    """

    is_unique: ClassVar[bool]
    option_name: str

    def names(self, site: Site) -> list[str]:
        both = [(each, names) for each in (site, site.turned()) for names in self._new(each)]
        return [name for each, names in both for name in self.named(each, names).names(each)]

    def probe(self, site: Site, found: Table) -> list[str]:
        former = site.turned()
        with former.on_probe():
            ddl = [*self._ddl(former, found)]
        return [*ddl, *self._ddl(site, found)]

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found = snapshot.found
        if found is None:
            made = [self._name(site, names) for names in self._new(site)]
            return [self._finding(site, name, Status.MISSING) for name in made]
        findings = []
        for names, part in self._parts(site, found):
            if part is not None:
                findings += part.inspect(site, snapshot)
            else:
                serving = self._serving(site, found, names)
                findings.append(self._of_index(site, serving, Status.EXISTS))
        for names in self._gone(site):
            leaving = self._leaving(site, found, names)
            if not leaving:
                name = self._name(site.turned(), names)
                findings.append(self._finding(site, name, Status.ABSENT))
            for index in leaving:
                status = Status.BUILDING if index.building else Status.LEFTOVER
                findings.append(self._of_index(site, index, status))
        return findings

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        if snapshot.found is None and not self._new(site):
            return []  # what was to be removed is gone with the table
        found, steps = require_table(self, site, snapshot), []
        for _, part in self._parts(site, found):
            steps += part.plan(site, snapshot) if part is not None else []
        return [*steps, *self._drop_gone(site, snapshot, found)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        return self.plan(site.turned(), snapshot) if snapshot.found is not None else []

    def script(self, site: Site) -> list[Statement]:
        steps = []
        for names in self._new(site):
            steps += self._script_of_new(site, names)
        return steps + [self._script_of_gone(site, names) for names in self._gone(site)]

    def script_backwards(self, site: Site) -> list[Statement]:
        return self.script(site.turned())

    def part(self, site: Site, names: Fields, found: Table | None) -> Iterator[Convergent]:
        """Yield the operation that builds the set; none if another index of the table serves."""
        raise NotImplementedError

    def serves(self, index: Index, columns: Sequence[str], *, exactly: bool) -> bool:
        """Return whether the index does what a set of these columns asks for.

        exactly: whether in their order too, which no uniqueness depends on.
        """
        keys = [bare_name(key[0]) for key in index.keys]
        in_order = exactly or not self.is_unique
        is_on = keys == list(columns) if in_order else sorted(keys) == sorted(columns)
        is_one = index.method == "btree" and index.predicate is None
        return (
            is_on
            and is_one
            and index.unique == self.is_unique
            and (index.unique or _is_plain(index))
        )

    def named(self, site: Site, names: Fields) -> Convergent:
        """Return the operation that builds the set under the name that Django gives it."""
        (part,) = self.part(site, names, None)
        return part

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether a set is new, whose index is built concurrently."""
        model: Any = before.models[app_label, self.model_key]
        former = _normalized(model.options.get(self.option_name))
        return bool(_normalized(getattr(self, self.option_name)) - former)

    def _ddl(self, site: Site, found: Table) -> Iterator[str]:
        for _, part in self._parts(site, found):
            if part is not None:
                yield from part.probe(site, found)

    def _new(self, site: Site) -> list[Fields]:
        """Return the sets that the operation adds."""
        return sorted(self._declared(site) - self._declared(site.turned()))

    def _gone(self, site: Site) -> list[Fields]:
        """Return the sets that the operation removes, without those that a field asks for by itself."""

        def is_asked_for(name: str) -> bool:
            field = site.field(name)
            return field.unique if self.is_unique else is_index_declared(field)

        gone = self._new(site.turned())
        return [names for names in gone if len(names) > 1 or not is_asked_for(names[0])]

    def _declared(self, site: Site) -> set[Fields]:
        return _normalized(site.options.get(self.option_name))

    def _name(self, site: Site, names: Fields) -> str:
        return self.named(site, names).names(site)[0]

    def _parts(self, site: Site, found: Table) -> Iterator[tuple[Fields, Convergent | None]]:
        """Yield each new set with the operation that builds it; None if an index that stays serves."""
        left = self._without_gone(site, found)
        for names in self._new(site):
            yield names, next(self.part(site, names, left), None)

    def _serving(self, site: Site, found: Table, names: Fields) -> Index:
        """Return the index that stays and serves in the place of the set's own one."""
        columns, left = _columns(site, names), self._without_gone(site, found)
        return next(each for each in left.indexes if self.serves(each, columns, exactly=False))

    def _without_gone(self, site: Site, found: Table) -> Table:
        gone = [each for names in self._gone(site) for each in self._leaving(site, found, names)]
        return replace(found, indexes=tuple(each for each in found.indexes if each not in gone))

    def _leaving(self, site: Site, found: Table, names: Fields) -> list[Index]:
        """Return the indexes that do what the gone set asked for, and nothing that is still declared."""
        columns, declared = _columns(site, names), _declared_names(site)
        declared |= {each.name for each in found.constraints if each.kind == "p"}
        staying = [_columns(site, each) for each in self._declared(site)]

        def stays(index: Index) -> bool:
            is_own = self.serves(index, columns, exactly=True)
            return any(self.serves(index, kept, exactly=is_own) for kept in staying)

        alike = [each for each in found.indexes if self.serves(each, columns, exactly=False)]
        return [each for each in alike if each.name not in declared and not stays(each)]

    def _drop_gone(self, site: Site, snapshot: Snapshot, found: Table) -> list[Statement]:
        former, steps = site.turned(), []
        for names in self._gone(site):
            leaving = self._leaving(site, found, names)
            name = self._name(former, names)
            own = found.index(name)
            if own is None or own in leaving:  # with what a killed build has left beside it
                steps += self.named(former, names).plan_backwards(former, snapshot)
            steps += [_drop(site, each, found) for each in leaving if each.name != name]
        return steps

    def _script_of_new(self, site: Site, names: Fields) -> list[Statement]:
        return self.named(site, names).script(site)

    def _script_of_gone(self, site: Site, names: Fields) -> Statement:
        """Return the step that drops the indexes of the set, which are looked up when the script runs."""
        drop, *_ = self.named(site.turned(), names).script_backwards(site)
        is_replaced = any(sorted(each) == sorted(names) for each in self._declared(site))
        lookup = guards.drops_of_indexes_on(
            site.table,
            _columns(site, names),
            _declared_names(site),
            unique=self.is_unique,
            exactly=is_replaced or not self.is_unique,
        )
        return replace(drop, question=lookup, unless=guards.NEVER)

    def _of_index(self, site: Site, index: Index, status: Status) -> Finding:
        finding = self._finding(site, index.name, status)
        return replace(finding, found=index.definition)

    def _finding(self, site: Site, name: str, status: Status) -> Finding:
        return Finding("unique" if self.is_unique else "index", name, site.table, status)


def _is_plain(index: Index) -> bool:
    """Return whether queries by the index get what one by its columns alone would give them."""
    is_usual = (key[3] == "0" and not key[1].endswith("_pattern_ops") for key in index.keys)
    return not index.include and all(is_usual)


def _normalized(value: Any) -> set[Fields]:
    return set(map(tuple, normalize_together(value or ())))


def _columns(site: Site, names: Fields) -> list[str]:
    return [site.column(name) for name in names]


def _declared_names(site: Site) -> set[str]:
    """Return the names of the indexes and constraints that the model declares by themselves."""
    meta = site.model._meta
    return {each.name for each in (*meta.indexes, *meta.constraints)}


def _drop(site: Site, index: Index, found: Table) -> Statement:
    if index.constraint is None:
        return drop_index(site, index.name, found)
    return replace(drop_constraint(site, index.constraint), also=tables_below(found))
