"""AddUniqueIfMissing."""

from dataclasses import replace
from typing import Any

from django.db.migrations.operations.models import AddConstraint
from django.db.models import Index, UniqueConstraint

from signals.operations import guards
from signals.operations.base import Convergent, Finding, Snapshot, Status, require_table
from signals.operations.catalog import Table
from signals.operations.constraints import drop_constraint
from signals.operations.errors import Refused
from signals.operations.indexes import drop_index, judge, refuse_invalid, same_index, shown
from signals.operations.site import Site
from signals.operations.statements import Lock, Statement


class AddUniqueIfMissing(Convergent, AddConstraint):
    """Makes the columns unique while writers go on; needs atomic = False on the migration.

    The unique index is built concurrently and then becomes the constraint, in an instant. What
    PostgreSQL keeps as an index alone (a condition, operator classes, expressions) stays one. A build
    that fails on duplicates is dropped, because an invalid unique index would go on refusing rows.
    Backwards drops the constraint or index of that name from this table.

    model_name, constraint: as for Django's AddConstraint; the constraint is a UniqueConstraint.
    """

    constraint: UniqueConstraint

    def __init__(self, model_name: str, constraint: UniqueConstraint) -> None:
        if not isinstance(constraint, UniqueConstraint):
            raise TypeError(
                f"AddUniqueIfMissing takes a UniqueConstraint, not a {type(constraint).__name__} "
                "(add a CheckConstraint with AddCheckIfMissing)"
            )
        super().__init__(model_name, constraint)

    def describe(self) -> str:
        return f"Make {self.constraint.name} of {self.model_name} unique if missing"

    def names(self, site: Site) -> list[str]:
        return [self.constraint.name]

    def probe(self, site: Site, found: Table) -> list[str]:
        name = self.constraint.name
        is_rival = found.index(name) is not None or found.constraint(name) is not None
        return [self._ddl(site)] if is_rival and found.has_columns(self._columns(site)) else []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        name = self.constraint.name
        index, target = snapshot.indexes(name)
        if snapshot.found is None:
            return [Finding("unique", name, site.table, Status.MISSING)]
        theirs, mine = snapshot.constraints(name)
        has_rival = index is not None or (theirs is not None and not self._is_index)
        if not has_rival:
            return [replace(judge(site, name, snapshot.found, None), component="unique")]
        declared = f"UNIQUE on ({', '.join(self._columns(site))})"
        if target is not None:
            declared = mine.definition if mine else shown(site, target)
        if index is None or target is None:
            status = Status.DIFFERENT
        elif index.building:
            status = Status.BUILDING
        elif not same_index(index, target) or (
            theirs is not None and (mine is None or theirs.deferral != mine.deferral)
        ):
            status = Status.DIFFERENT
        elif not index.valid or (mine is not None and theirs is None):
            status = Status.UNFINISHED
        else:
            status = Status.EXISTS
        return [
            Finding(
                "unique",
                name,
                site.table,
                status,
                theirs.definition if theirs else index.definition if index else "",
                declared,
                f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(name)}; and run again"
                if theirs
                else f"{drop_index(site, name, snapshot.found).sql}; and run again",
            )
        ]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        table = require_table(self, site, snapshot)
        status = self.inspect(site, snapshot)[0].status
        steps = self._steps(site)
        if status is Status.MISSING:
            return steps
        if status is not Status.UNFINISHED:
            return []
        index = table.index(self.constraint.name)
        if index is not None and index.valid:
            return steps[1:]
        return [drop_index(site, self.constraint.name, table), *steps]

    def plan_retreat(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        index, _ = snapshot.indexes(self.constraint.name)
        if index is None or index.valid or index.building:
            return []
        return [drop_index(site, index.name, snapshot.found)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name = self.constraint.name
        constraint, _ = snapshot.constraints(name)
        index, _ = snapshot.indexes(name)
        if constraint is not None and constraint.kind == "u":
            return self.script_backwards(site)[:1]
        if index is not None and index.unique and index.constraint is None:
            return [drop_index(site, name, snapshot.found)]
        return []

    def script(self, site: Site) -> list[Statement]:
        return [refuse_invalid(site, self.constraint.name), *self._steps(site)]

    def script_backwards(self, site: Site) -> list[Statement]:
        name = self.constraint.name
        return [drop_constraint(site, name), drop_index(site, name)]

    def _steps(self, site: Site) -> list[Statement]:
        name = self.constraint.name
        quoted = site.quote(name)
        build = Statement(
            self._index_ddl(site),
            Lock.SHARE_UPDATE_EXCLUSIVE,
            site.table,
            guards.has_index(site.table, name),
            transactional=False,
        )
        if self._is_index:
            return [build]
        deferral = self.constraint.deferrable
        sql = f"ALTER TABLE {site.table} ADD CONSTRAINT {quoted} UNIQUE USING INDEX {quoted}"
        if deferral is not None:
            sql += f" DEFERRABLE INITIALLY {deferral.value.upper()}"
        unbuilt = guards.negated(guards.has_index(site.table, name))
        done = guards.either(guards.has_constraint(site.table, name), unbuilt)
        return [build, Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, done)]

    def _columns(self, site: Site) -> list[str]:
        constraint: Any = self.constraint
        names = [*constraint.fields, *constraint.include]
        return site.columns_of(names, [*constraint.expressions, constraint.condition])

    @property
    def _is_index(self) -> bool:
        """Whether Django and PostgreSQL keep it as a unique index without a constraint."""
        constraint: Any = self.constraint
        return bool(
            constraint.condition
            or constraint.include
            or constraint.opclasses
            or constraint.contains_expressions
        )

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

    def _index_ddl(self, site: Site) -> str:
        if self._is_index:
            return self._ddl(site).replace("UNIQUE INDEX", "UNIQUE INDEX CONCURRENTLY", 1)
        self._require_support(site)
        constraint: Any = self.constraint
        index = Index(fields=constraint.fields, name=constraint.name)
        sql = str(index.create_sql(site.model, site.editor(), concurrently=True))
        nulls = " NULLS NOT DISTINCT" if constraint.nulls_distinct is False else ""
        return sql.replace("CREATE INDEX", "CREATE UNIQUE INDEX", 1) + nulls
