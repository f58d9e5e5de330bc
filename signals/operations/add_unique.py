"""AddUniqueIfMissing."""

from dataclasses import replace
from functools import partial
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import AddConstraint
from django.db.migrations.state import ProjectState
from django.db.models import Index, UniqueConstraint

from .base import Convergent
from .catalog.indexes import Index as CatalogIndex
from .catalog.tables import Table
from .components import guards, partitions
from .components.constraints import drop_constraint
from .components.indexes import (
    compare_index,
    definition_on_table,
    drop_index,
    index_note,
    plan_index,
    refuse_invalid,
    refuse_partitioned,
    rename_index,
    replacement_leftovers,
    same_index,
    tables_below,
    why_not_replaceable,
)
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .names import predecessor, successor
from .refusals import require_choice, require_name, require_table
from .site import Site
from .statements import Lock, Statement


class AddUniqueIfMissing(Convergent, AddConstraint):
    """Make columns unique while writers go on; needs atomic = False on the migration.

    A unique index is built concurrently and then turned into the constraint, which takes an instant. A
    uniqueness with a condition, INCLUDE, operator classes or expressions remains a unique index without a
    constraint, as with Django's own operation.

    Duplicate rows raise DuplicateRows; the index of the failed build is dropped, because an invalid unique
    index would go on refusing rows. A killed run leaves an invalid index, which the next run drops and
    builds again, or a valid one, which the next run turns into the constraint.

    A constraint or index of that name with another definition stops the run or, with
    on_different="replace", is replaced by one that is built under another name and then takes its name, so
    that there is no moment without either. Backwards drops the constraint or unique index of that name from
    this table.

    model_name, constraint: as for Django's AddConstraint; the constraint is a UniqueConstraint.
    on_different: "stop", or "replace" a constraint or index of that name that has another definition.
    """

    component = "unique"
    stands_for = (migrations.AddConstraint,)

    constraint: UniqueConstraint

    def __init__(
        self, model_name: str, constraint: UniqueConstraint, *, on_different: str = "stop"
    ) -> None:
        if not isinstance(constraint, UniqueConstraint):
            raise TypeError(
                f"AddUniqueIfMissing takes a UniqueConstraint, not a {type(constraint).__name__} "
                "(add a CheckConstraint with AddCheckIfMissing)"
            )
        require_name(constraint.name)
        super().__init__(model_name, constraint)
        self.on_different = require_choice(on_different)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        if type(operation.constraint) is not UniqueConstraint:
            return None
        return cls(operation.model_name, operation.constraint)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.on_different != "stop":
            kwargs = {**kwargs, "on_different": self.on_different}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Make {self.constraint.name} of {self.model_name} unique if missing"

    def names(self, site: Site) -> list[str]:
        return [self.constraint.name]

    def probe(self, site: Site, found: Table) -> list[str]:
        name = self.constraint.name
        has_rival = (
            found.index(name) or found.constraint(name) or found.index(successor(name)) is not None
        )
        has_rival = has_rival or found.kind == "p"  # the indexes of partitions may have any name
        return [self._ddl(site)] if has_rival and found.has_columns(self._columns(site)) else []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        finding = self._compare_unique(site, snapshot)
        if snapshot.found is None or snapshot.found.kind != "p":
            return [finding]
        return partitions.compare_index_of_partitions(
            self._recipe(site, snapshot), finding, snapshot.found
        )

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        table = require_table(self, site, snapshot)
        finding, *_ = self.inspect(site, snapshot)
        if table.kind == "p":
            return self._plan_partitions(site, snapshot, finding, table)
        if self.is_index:
            return plan_index(site, partial(self._build, site), finding, snapshot)
        return self._plan_constraint(site, snapshot, finding, table)

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name = self.constraint.name
        constraint, _ = snapshot.constraints(name)
        index, _ = snapshot.indexes(name)
        steps = [
            drop_index(site, each.name, snapshot.found)
            for each in replacement_leftovers(name, snapshot.found)
        ]
        found = snapshot.found
        if found is not None and found.kind == "p":
            steps += partitions.leftovers(site, self._recipe(site, snapshot), found)
        if constraint is not None and constraint.kind == "u":
            below = tables_below(found) if found else ()
            steps.append(replace(drop_constraint(site, name), also=below))
        elif index is not None and index.unique and index.constraint is None:
            steps.append(drop_index(site, name, snapshot.found))
        return steps

    def script(self, site: Site) -> list[Statement]:
        name = self.constraint.name
        steps = [refuse_invalid(site, name), self._build(site, name)]
        return steps if self.is_index else [*steps, self._attach(site, name)]

    def script_backwards(self, site: Site) -> list[Statement]:
        name = self.constraint.name
        return [drop_constraint(site, name), drop_index(site, name)]

    @property
    def is_index(self) -> bool:
        """Return whether Django and PostgreSQL keep the uniqueness as an index without a constraint."""
        constraint: Any = self.constraint
        return bool(
            constraint.condition
            or constraint.include
            or constraint.opclasses
            or constraint.contains_expressions
        )

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        return True

    def _compare_unique(self, site: Site, snapshot: Snapshot) -> Finding:
        name, found = self.constraint.name, snapshot.found
        if found is None:
            return Finding("unique", name, site.table, Status.MISSING)
        existing, declared = snapshot.constraints(name)
        index, target = snapshot.indexes(name)
        if index is None and (existing is None or self.is_index):
            return replace(compare_index(site, name, found, None), component="unique")
        finding = compare_index(site, name, found, snapshot.wanted)
        wanted = f"UNIQUE on ({', '.join(self._columns(site))})"
        if target is not None:
            wanted = declared.definition if declared else definition_on_table(site, target)
        status = finding.status
        if index is None or target is None:
            status = Status.DIFFERENT
        elif not index.building and not self.is_index:
            status = self._constraint_status(snapshot, index, target)
        found_text = existing.definition if existing else finding.found
        if found_text == wanted and target is not None:  # the text omits storage parameters
            found_text, wanted = finding.found, definition_on_table(site, target)
        is_joint = found.kind == "p" and not self.is_index
        return Finding(
            "unique",
            name,
            site.table,
            status,
            found_text,
            wanted,
            f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(name)}; and run again"
            if existing
            else finding.fix,
            note="" if status is Status.DIFFERENT else index_note(name, found, snapshot.wanted),
            replaceable=index is not None
            and not why_not_replaceable(index)
            and target is not None
            and not is_joint
            and (existing is None or (existing.kind == "u" and declared is not None)),
        )

    def _constraint_status(
        self, snapshot: Snapshot, index: CatalogIndex, target: CatalogIndex
    ) -> Status:
        existing, declared = snapshot.constraints(self.constraint.name)
        is_other = existing is not None and (
            declared is None or existing.deferral != declared.deferral
        )
        if existing is None and snapshot.found is not None and snapshot.found.kind == "p":
            is_other = True  # PostgreSQL rejects USING INDEX on a partitioned table
        if is_other or not same_index(index, target):
            return Status.DIFFERENT
        if not index.valid or existing is None or replacement_leftovers(index.name, snapshot.found):
            return Status.UNFINISHED
        return Status.EXISTS

    def _plan_constraint(
        self, site: Site, snapshot: Snapshot, finding: Finding, found: Table
    ) -> list[Statement]:
        name, status = finding.name, finding.status
        index, target = snapshot.indexes(name)
        clean = [drop_index(site, each.name, found) for each in replacement_leftovers(name, found)]
        if status is Status.DIFFERENT and target is not None:
            return self._replace(site, snapshot, target)
        if status is Status.MISSING:
            return [*clean, self._build(site, name), self._attach(site, name)]
        if status is not Status.UNFINISHED or index is None:
            return []
        if not index.valid:
            again = [drop_index(site, name, found), self._build(site, name)]
            return [*clean, *again, self._attach(site, name)]
        return clean if found.constraint(name) else [*clean, self._attach(site, name)]

    def _plan_partitions(
        self, site: Site, snapshot: Snapshot, finding: Finding, found: Table
    ) -> list[Statement]:
        recipe = self._recipe(site, snapshot)
        steps = partitions.plan_partitions(site, recipe, finding, found)
        constraint: Any = self.constraint
        columns = site.columns_of(constraint.fields)
        if not columns and recipe.wanted is not None:
            columns = [key[0] for key in recipe.wanted.keys]
        if steps:
            partitions.require_owned(self, site, found)
        if steps and columns:
            partitions.require_unique(self, site, found, columns)
        return steps

    def _recipe(self, site: Site, snapshot: Snapshot) -> partitions.Recipe:
        name, build = self.constraint.name, partial(self._build, site)
        recipe = partitions.recipe_of_index(site, name, snapshot.wanted, build)
        if self.is_index:
            return recipe
        _, declared = snapshot.constraints(name)
        deferral = declared.deferral if declared else ""
        alone, join = partial(self._add_alone, site), partial(self._join, site)
        return replace(recipe, alone=alone, join=join, deferral=deferral)

    def _add_alone(self, site: Site, name: str) -> Statement:
        """Return the statement that adds the constraint to a partitioned table without its partitions.

        ONLY keeps it from scanning a row.
        """
        constraint = self.constraint.clone()
        constraint.name = name
        (sql,) = site.ddl(lambda editor: editor.add_constraint(site.model, constraint)).now
        sql = sql.replace("ALTER TABLE ", "ALTER TABLE ONLY ", 1)
        done = guards.has_constraint(site.table, name)
        return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, done, part=True)

    def _join(self, site: Site, name: str) -> Statement:
        return self._attach(site, name, constraint=name)

    def _build(self, site: Site, name: str) -> Statement:
        sql = self._index_ddl(site, name)
        return Statement(
            sql,
            Lock.SHARE_UPDATE_EXCLUSIVE,
            site.table,
            guards.has_index(site.table, name),
            transactional=False,
            question=refuse_partitioned(site, name, sql),
            unique=name,
        )

    def _attach(self, site: Site, index: str, *before: str, constraint: str = "") -> Statement:
        """Return the statement that turns the index into the constraint, and so renames it.

        before: SQL to run first in the same transaction.
        constraint: the constraint's name, if not the declared one.
        """
        name = constraint or self.constraint.name
        deferral = self.constraint.deferrable
        sql = f"ALTER TABLE {site.table} ADD CONSTRAINT {site.quote(name)} "
        sql += f"UNIQUE USING INDEX {site.quote(index)}"
        if deferral is not None:
            sql += f" DEFERRABLE INITIALLY {deferral.value.upper()}"
        unbuilt = guards.negated(guards.has_index(site.table, name))
        done = guards.either(guards.has_constraint(site.table, name), unbuilt)
        return Statement("; ".join([*before, sql]), Lock.ACCESS_EXCLUSIVE, site.table, done)

    def _replace(self, site: Site, snapshot: Snapshot, target: CatalogIndex) -> list[Statement]:
        """Return the steps that build the wanted index under another name and swap the two at once."""
        name, found = self.constraint.name, snapshot.found
        new, old = successor(name), predecessor(name)
        built, _ = snapshot.indexes(new)
        is_ready = built is not None and built.valid and same_index(built, target)
        ready = new if is_ready else ""
        steps = [
            drop_index(site, each.name, found)
            for each in replacement_leftovers(name, found)
            if each.name != ready
        ]
        if not is_ready:
            steps.append(self._build(site, new))
        existing, _ = snapshot.constraints(name)
        if existing is not None:
            return [*steps, self._attach(site, new, drop_constraint(site, name).sql)]
        swap = self._attach(site, new, rename_index(site, name, old, found))
        return [*steps, swap, drop_index(site, old, found)]

    def _columns(self, site: Site) -> list[str]:
        constraint: Any = self.constraint
        names = [*constraint.fields, *constraint.include]
        return site.columns_of(names, [*constraint.expressions, constraint.condition])

    def _require_support(self, site: Site) -> None:
        features = site.connection.features
        if self.constraint.nulls_distinct is not None and not getattr(
            features, "supports_nulls_distinct_unique_constraints", False
        ):
            raise Refused(
                self.describe(),
                site.table,
                "NULLS [NOT] DISTINCT came with PostgreSQL 15, and this server is older",
                "leave nulls_distinct out, or upgrade the server",
            )

    def _ddl(self, site: Site) -> str:
        self._require_support(site)
        return site.ddl(lambda editor: editor.add_constraint(site.model, self.constraint)).now[0]

    def _index_ddl(self, site: Site, name: str) -> str:
        # PostgreSQL adds a constraint without CONCURRENTLY only, so its index is built beforehand.
        if self.is_index:
            opening = f"CREATE UNIQUE INDEX {site.quote(self.constraint.name)}"
            concurrently = f"CREATE UNIQUE INDEX CONCURRENTLY {site.quote(name)}"
            return concurrently + self._ddl(site).removeprefix(opening)
        self._require_support(site)
        constraint: Any = self.constraint
        index = Index(fields=constraint.fields)
        index.name = name
        sql = str(index.create_sql(site.model, site.editor(), concurrently=True))
        nulls = " NULLS NOT DISTINCT" if constraint.nulls_distinct is False else ""
        return sql.replace("CREATE INDEX", "CREATE UNIQUE INDEX", 1) + nulls
