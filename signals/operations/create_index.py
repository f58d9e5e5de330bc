"""CreateIndexConcurrentlyIfMissing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.migrations.operations.models import AddIndex
from django.db.models import Index

from signals.operations import guards
from signals.operations.base import Convergent, Finding, Snapshot, Status, require_table
from signals.operations.catalog import Table
from signals.operations.errors import Refused
from signals.operations.indexes import columns_of, drop_index, judge, refuse_invalid
from signals.operations.site import Site
from signals.operations.statements import Lock, Statement


class CreateIndexConcurrentlyIfMissing(Convergent, AddIndex):
    """Builds the index while writers go on; needs atomic = False on the migration.

    The index is the first of `index` and `fallbacks` whose columns the table has. Another variant
    that exists already stays; it is no reason to do without a better one. A run that dies leaves an
    invalid index, which the next run drops and builds anew; one that another session is building is
    waited for. That name with another definition, or on another table, stops the run. Backwards
    drops every declared variant that this table has.

    model_name, index: as for Django's AddIndex.
    fallbacks: indexes in order of preference, for tables that lack columns of the first.
    keep_on_reverse: backwards leaves the indexes.
    """

    def __init__(
        self,
        model_name: str,
        index: Index,
        fallbacks: Sequence[Index] = (),
        *,
        keep_on_reverse: bool = False,
    ) -> None:
        for variant in (index, *fallbacks):
            if not isinstance(variant, Index):
                raise TypeError(f"{variant!r} is not an Index (use django.db.models.Index)")
            if not variant.name:
                raise ValueError(f"{variant!r} has no name (give it name=...)")
        names = [variant.name for variant in (index, *fallbacks)]
        if len(set(names)) < len(names):
            raise ValueError(f"the variants share a name: {', '.join(names)} (name each its own)")
        super().__init__(model_name, index)
        self.fallbacks = tuple(fallbacks)
        self.keep_on_reverse = keep_on_reverse

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        kwargs = dict(kwargs)
        if self.fallbacks:
            kwargs["fallbacks"] = self.fallbacks
        if self.keep_on_reverse:
            kwargs["keep_on_reverse"] = True
        return name, list(args), kwargs

    def describe(self) -> str:
        count = len(self.fallbacks)
        others = {0: "", 1: " or a fallback"}.get(count, f" or {count} fallbacks")
        return (
            f"Create index {self.index.name}{others} on {self.model_name} concurrently if missing"
        )

    @property
    def variants(self) -> tuple[Index, ...]:
        """The declared indexes, the best first."""
        return (self.index, *self.fallbacks)

    def names(self, site: Site) -> Sequence[str]:
        return [variant.name for variant in self.variants]

    def probe(self, site: Site, found: Table) -> list[str]:
        chosen = self._chosen(site, found)
        if chosen is None or found.index(chosen.name) is None:
            return []
        return [self._ddl(site, chosen, concurrently=False)]

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        if snapshot.found is None:
            return [Finding("index", self.index.name, site.table, Status.MISSING)]
        chosen = self._chosen(site, snapshot.found)
        finding = judge(site, (chosen or self.index).name, snapshot.found, snapshot.wanted)
        if chosen is None and finding.status is Status.EXISTS:
            columns = ", ".join(columns_of(site, self.index))
            finding = replace(finding, status=Status.DIFFERENT, wanted=f"an index on ({columns})")
        return [finding]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        table = require_table(self, site, snapshot)
        chosen = self._chosen(site, table)
        if chosen is None:
            raise Refused(
                self.describe(),
                site.table,
                f"table {site.table} has the columns of none of "
                + ", ".join(
                    f"{each.name} ({', '.join(columns_of(site, each))})" for each in self.variants
                ),
                "add the missing column, or a fallback on columns that the table has",
            )
        if table.kind == "p":
            raise Refused(
                self.describe(),
                site.table,
                f"PostgreSQL cannot build an index on the partitioned table {site.table} concurrently",
                "build it on each partition concurrently, then on the parent, and run again",
            )
        drop, create = drop_index(site, chosen.name, table), self._create(site, chosen)
        status = self.inspect(site, snapshot)[0].status
        return {Status.MISSING: [create], Status.UNFINISHED: [drop, create]}.get(status, [])

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        if found is None or self.keep_on_reverse:
            return []
        present = [found.index(variant.name) for variant in self.variants]
        return [
            drop_index(site, index.name, found)
            for index in present
            if index is not None and index.constraint is None
        ]

    def script(self, site: Site) -> list[Statement]:
        steps = []
        better: list[str] = []
        for variant in self.variants:
            possible = " AND ".join(
                guards.has_column(site.table, column) for column in columns_of(site, variant)
            )
            elsewhere = [guards.negated(possible), *better]
            steps.append(refuse_invalid(site, variant.name, *elsewhere))
            create = self._create(site, variant)
            done = guards.either(*elsewhere, guards.has_index(site.table, variant.name))
            steps.append(Statement(create.sql, create.lock, site.table, done, transactional=False))
            better.append(possible)
        names = ", ".join(variant.name for variant in self.variants)
        refusal = guards.refusal(f"table {site.table} has the columns of none of {names}")
        return [*steps, Statement(refusal, Lock.NONE, site.table, guards.either(*better))]

    def script_backwards(self, site: Site) -> list[Statement]:
        if self.keep_on_reverse:
            return []
        return [drop_index(site, variant.name) for variant in self.variants]

    def _chosen(self, site: Site, found: Table) -> Index | None:
        possible = (each for each in self.variants if found.has_columns(columns_of(site, each)))
        return next(possible, None)

    def _create(self, site: Site, variant: Index) -> Statement:
        return Statement(
            self._ddl(site, variant, concurrently=True),
            Lock.SHARE_UPDATE_EXCLUSIVE,
            site.table,
            guards.has_index(site.table, variant.name),
            transactional=False,
        )

    def _ddl(self, site: Site, variant: Index, *, concurrently: bool) -> str:
        return str(variant.create_sql(site.model, site.editor(), concurrently=concurrently))
