"""RenameIndexIfNeeded."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import RenameIndex
from django.db.migrations.state import ProjectState
from django.db.models import Index

from .base import Convergent
from .catalog.indexes import Index as CatalogIndex
from .catalog.tables import Table
from .components import guards
from .components.indexes import (
    compare_index,
    drop_index,
    rename_index,
    same_index,
    with_renamed_index,
)
from .create_index import CreateIndexConcurrentlyIfMissing
from .findings import Finding, Snapshot, Status
from .implied import serving
from .refusals import declared_part, require_name, require_table
from .site import Site
from .statements import Lock, Statement


class RenameIndexIfNeeded(Convergent, RenameIndex):
    """Rename an index, or give the index of an index_together a name, while readers and writers go on.

    If the table has the index under its old name, it is renamed, which takes an instant. If it has it under
    the new one, nothing is sent; one of the old name beside it that is just the same is dropped concurrently.
    If it has neither, the index is built as by CreateIndexConcurrentlyIfMissing, which needs atomic = False.

    A killed run leaves the index under one of the names, or an invalid one that the next run builds again. An
    index of the old or the new name with another definition stops the run, unless the one of the new name is
    as declared. Backwards gives the index its old name; one without a name of its own keeps the new one.

    model_name, new_name, old_name, old_fields: as for Django's RenameIndex.
    """

    stands_for = (migrations.RenameIndex,)

    def __init__(
        self,
        model_name: str,
        new_name: str,
        old_name: str | None = None,
        old_fields: Sequence[str] | None = None,
    ) -> None:
        for name in (new_name, old_name):
            require_name(name or "")
        super().__init__(model_name, new_name, old_name, old_fields)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        names = operation.model_name, operation.new_name
        return cls(*names, operation.old_name, operation.old_fields)

    def describe(self) -> str:
        what = self.old_name or f"of {', '.join(self.old_fields or ())}"
        return f"Rename index {what} on {self.model_name} to {self.new_name} if needed"

    def names(self, site: Site) -> list[str]:
        return [self.new_name, self._former_name(site)]

    def probe(self, site: Site, found: Table) -> list[str]:
        return self._addition(site).probe(site, self._renamed(site, found))

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found, name = snapshot.found, self._former_name(site)
        former = self._former(site, found)
        addition = self._addition(site)
        if found is None or found.index(self.new_name) or found.holder(self.new_name) or not former:
            finding, *rest = addition.inspect(site, snapshot)
            is_left = former is not None and self._is_same(snapshot, former)
            status = Status.LEFTOVER if is_left else Status.ABSENT
            other = Finding("index", name, site.table, status)
            return [finding, *rest, *([other] if name != self.new_name else [])]
        finding, *rest = addition.inspect(site, self._as_renamed(site, snapshot))
        if finding.status is Status.DIFFERENT:
            other = compare_index(site, former.name, found, None)
            return [replace(other, status=Status.DIFFERENT, wanted=finding.wanted)]
        if finding.status is Status.EXISTS:
            finding = Finding("index", self.new_name, site.table, Status.MISSING)
        return [finding, *rest, Finding("index", former.name, site.table, Status.LEFTOVER)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = require_table(self, site, snapshot)
        former, addition = self._former(site, found), self._addition(site)
        if former is None:
            return addition.plan(site, snapshot)
        if found.index(self.new_name) is None:
            rename = self._rename(site, rename_index(site, former.name, self.new_name, found))
            return [rename, *addition.plan(site, self._as_renamed(site, snapshot))]
        steps = addition.plan(site, snapshot)
        is_left = self._is_same(snapshot, former)
        return [*steps, drop_index(site, former.name, found)] if is_left else steps

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        if self.old_fields or snapshot.found is None:
            return []
        wanted = snapshot.wanted
        if wanted is not None:
            wanted = with_renamed_index(wanted, self.new_name, str(self.old_name))
        return self._way_back().plan(site.turned(), replace(snapshot, wanted=wanted))

    def script(self, site: Site) -> list[Statement]:
        refuse, *create = self._addition(site).script(site)
        former = self._former_name(site)
        sql = rename_index(site, former, self.new_name, None)
        has_new = guards.has_index(site.table, self.new_name)
        if self.old_fields:
            columns = [site.column(name) for name in self.old_fields]
            lookup = guards.rename_of_index_on(
                site.table, columns, self._declared(site), site.quote(self.new_name)
            )
            rename = self._rename(site, sql, lookup, unless=has_new)
        else:
            gone = guards.negated(guards.has_index(site.table, former))
            rename = self._rename(site, sql, unless=guards.either(has_new, gone))
        return [refuse, rename, *create]

    def script_backwards(self, site: Site) -> list[Statement]:
        return [] if self.old_fields else self._way_back().script(site.turned())

    def plain_script(self, site: Site, *, forwards: bool) -> list[Statement]:
        steps = self.script(site) if forwards else self.script_backwards(site)
        return steps[1:2]

    def _addition(self, site: Site) -> CreateIndexConcurrentlyIfMissing:
        """Return the operation that builds the index under its new name."""
        index = declared_part(site, self.new_name, site.model._meta.indexes, Index)
        return CreateIndexConcurrentlyIfMissing(self.model_name, index)

    def _way_back(self) -> "RenameIndexIfNeeded":
        return self.altered(new_name=self.old_name, old_name=self.new_name)

    def _declared(self, site: Site) -> set[str]:
        return {each.name for each in site.model._meta.indexes}

    def _former_name(self, site: Site) -> str:
        """Return the old name; that of an index_together is the one that Django gave it."""
        columns = [site.column(name) for name in self.old_fields or ()]
        return self.old_name or site.name_for(columns, "_idx")

    def _former(self, site: Site, found: Table | None) -> CatalogIndex | None:
        """Return the index of the old name; of an index_together any index of its columns alone."""
        name = self._former_name(site)
        index = found.index(name) if found and name != self.new_name else None
        if found is None or index is not None or self.old_name or found.index(self.new_name):
            return index
        columns = [site.column(each) for each in self.old_fields or ()]
        alike = (each for each in serving(name, found, columns) if not each.unique)
        return next((each for each in alike if each.name not in self._declared(site)), None)

    def _renamed(self, site: Site, found: Table) -> Table:
        """Return the table as it is once the index has its new name."""
        former = self._former(site, found)
        if former is None or found.index(self.new_name):
            return found
        return with_renamed_index(found, former.name, self.new_name)

    def _as_renamed(self, site: Site, snapshot: Snapshot) -> Snapshot:
        found = snapshot.found
        return replace(snapshot, found=self._renamed(site, found) if found else None)

    def _is_same(self, snapshot: Snapshot, former: CatalogIndex) -> bool:
        """Return whether the index of the old name does nothing but what that of the new one does."""
        index, wanted = snapshot.indexes(self.new_name)
        is_built = index is not None and index.valid and wanted is not None
        is_free = former.constraint is None and former.part_of is None
        return bool(is_built and is_free and wanted and same_index(former, wanted))

    def _rename(
        self, site: Site, sql: str, lookup: str = "", unless: str = guards.NEVER
    ) -> Statement:
        return Statement(sql, Lock.NONE, site.table, unless, question=lookup)
