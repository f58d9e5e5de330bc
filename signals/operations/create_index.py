"""CreateIndexConcurrentlyIfMissing."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.migrations.operations.models import AddIndex
from django.db.migrations.state import ProjectState
from django.db.models import Index

from .base import Convergent
from .catalog.tables import Table
from .components import guards, partitions
from .components.indexes import (
    columns_of,
    compare_index,
    drop_index,
    plan_index,
    refuse_invalid,
    refuse_partitioned,
    replacement_leftovers,
)
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .names import successor
from .refusals import require_choice, require_name, require_table
from .site import Site
from .statements import Lock, Statement


class CreateIndexConcurrentlyIfMissing(Convergent, AddIndex):
    """Build an index while writers go on; needs atomic = False on the migration.

    The index is the first of `index` and `fallbacks` whose columns the table has. Another variant that
    exists already is kept, and the better one is built all the same. A killed run leaves an invalid index,
    which the next run drops and builds again; if another session is building it, the run waits for that.

    An index of that name on another table stops the run. One with another definition stops it too or, with
    on_different="replace", is replaced by one that is built under another name and then takes its name, so
    that there is no moment without either. Backwards drops every declared variant that this table has.

    model_name, index: as for Django's AddIndex.
    fallbacks: indexes in order of preference, for tables that lack columns of the first.
    on_different: "stop", or "replace" an index of that name that has another definition.
    keep_on_reverse: backwards keeps the indexes.
    """

    component = "index"
    stands_for = (migrations.AddIndex, AddIndexConcurrently)

    def __init__(
        self,
        model_name: str,
        index: Index,
        fallbacks: Sequence[Index] = (),
        *,
        on_different: str = "stop",
        keep_on_reverse: bool = False,
    ) -> None:
        for variant in (index, *fallbacks):
            if not isinstance(variant, Index):
                raise TypeError(f"{variant!r} is not an Index (use django.db.models.Index)")
            if not variant.name:
                raise ValueError(f"{variant!r} has no name (give it name=...)")
            require_name(variant.name)
        names = [variant.name for variant in (index, *fallbacks)]
        if len(set(names)) < len(names):
            raise ValueError(
                f"the variants share a name: {', '.join(names)} (give each its own name)"
            )
        super().__init__(model_name, index)
        self.fallbacks = tuple(fallbacks)
        self.on_different = require_choice(on_different)
        self.keep_on_reverse = keep_on_reverse

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.model_name, operation.index)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        kwargs = dict(kwargs)
        if self.fallbacks:
            kwargs["fallbacks"] = self.fallbacks
        if self.on_different != "stop":
            kwargs["on_different"] = self.on_different
        if self.keep_on_reverse:
            kwargs["keep_on_reverse"] = True
        return name, list(args), kwargs

    def describe(self) -> str:
        count = len(self.fallbacks)
        others = {0: "", 1: " or a fallback"}.get(count, f" or {count} fallbacks")
        return (
            f"Create index {self.index.name}{others} on {self.model_name} concurrently if missing"
        )

    def names(self, site: Site) -> Sequence[str]:
        return [variant.name for variant in self.variants]

    def probe(self, site: Site, found: Table) -> list[str]:
        chosen = self._chosen(site, found)
        if chosen is None:
            return []
        has_rival = any(map(found.index, (chosen.name, successor(chosen.name))))
        # The indexes of the partitions may have any name.
        is_compared = found.kind == "p" and found.has_columns(columns_of(site, chosen))
        if not (has_rival or is_compared):
            return []
        return [self._ddl(site, chosen, concurrently=False)]

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        if snapshot.found is None:
            return [Finding("index", self.index.name, site.table, Status.MISSING)]
        chosen = self._chosen(site, snapshot.found)
        finding = compare_index(site, (chosen or self.index).name, snapshot.found, snapshot.wanted)
        if chosen is None and finding.status is Status.EXISTS:
            columns = ", ".join(columns_of(site, self.index))
            finding = replace(finding, status=Status.DIFFERENT, wanted=f"an index on ({columns})")
        if chosen is None or snapshot.found.kind != "p":
            return [finding]
        recipe = self._recipe(site, chosen, snapshot)
        return partitions.compare_index_of_partitions(recipe, finding, snapshot.found)

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
        finding, *_ = self.inspect(site, snapshot)
        if table.kind == "p":
            steps = partitions.plan_partitions(
                site, self._recipe(site, chosen, snapshot), finding, table
            )
            if steps:
                partitions.require_owned(self, site, table)
            return steps
        return plan_index(site, partial(self._create, site, chosen), finding, snapshot)

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        if found is None or self.keep_on_reverse:
            return []
        names = [variant.name for variant in self.variants]
        names += [spare.name for name in names for spare in replacement_leftovers(name, found)]
        present = [found.index(name) for name in names]
        recipes = (self._recipe(site, variant, snapshot) for variant in self.variants)
        loose = [step for each in recipes for step in partitions.leftovers(site, each, found)]
        return loose + [
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
            create = self._create(site, variant, variant.name)
            done = guards.either(*elsewhere, guards.has_index(site.table, variant.name))
            steps.append(replace(create, unless=done))
            better.append(possible)
        names = ", ".join(variant.name for variant in self.variants)
        refusal = guards.refusal(f"table {site.table} has the columns of none of {names}")
        return [*steps, Statement(refusal, Lock.NONE, site.table, guards.either(*better))]

    def script_backwards(self, site: Site) -> list[Statement]:
        if self.keep_on_reverse:
            return []
        return [drop_index(site, variant.name) for variant in self.variants]

    def plain_script(self, site: Site, *, forwards: bool) -> list[Statement]:
        columns = {field.column for field in site.model._meta.local_concrete_fields}
        variant = next(
            (each for each in self.variants if columns.issuperset(columns_of(site, each))),
            self.index,
        )
        if forwards:
            return [self._create(site, variant, variant.name)]
        return [] if self.keep_on_reverse else [drop_index(site, variant.name)]

    @property
    def variants(self) -> tuple[Index, ...]:
        """Return the declared indexes, the best first."""
        return (self.index, *self.fallbacks)

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        return True

    def _chosen(self, site: Site, found: Table) -> Index | None:
        """Return the best variant whose columns the table has, or is about to get; None if there is none."""
        for variant in self.variants:
            if found.has_columns(set(columns_of(site, variant)) - site.coming):
                return variant
        return None

    def _recipe(self, site: Site, chosen: Index, snapshot: Snapshot) -> partitions.Recipe:
        build = partial(self._create, site, chosen)
        return partitions.recipe_of_index(site, chosen.name, snapshot.wanted, build)

    def _create(self, site: Site, variant: Index, name: str) -> Statement:
        named = variant.clone()
        named.name = name
        sql = self._ddl(site, named, concurrently=True)
        return Statement(
            sql,
            Lock.SHARE_UPDATE_EXCLUSIVE,
            site.table,
            guards.has_index(site.table, name),
            transactional=False,
            question=refuse_partitioned(site, name, sql),
        )

    def _ddl(self, site: Site, variant: Index, *, concurrently: bool) -> str:
        return str(variant.create_sql(site.model, site.editor(), concurrently=concurrently))
