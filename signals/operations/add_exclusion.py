"""AddExclusionIfMissing."""

from dataclasses import replace
from typing import Any, Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import migrations
from django.db.migrations.operations.models import AddConstraint
from django.db.migrations.state import ProjectState

from .base import Convergent
from .catalog.contents import has_rows
from .catalog.tables import Table
from .components import guards
from .components.constraints import drop_constraint
from .components.indexes import compare_index, index_note, same_index, tables_below
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .names import PROBE
from .refusals import require_name, require_rows, require_table
from .site import Site
from .statements import Lock, Statement


class AddExclusionIfMissing(Convergent, AddConstraint):
    """Add an exclusion constraint unless the table has it.

    PostgreSQL builds the index of an exclusion while nobody can read or write, and knows no other way. So a
    table with rows is refused, unless allow_blocking_build is given. Then the constraint is first built on a
    temporary copy of the columns, which stops nobody: rows that exclude each other raise RowsViolate before
    the table is locked, and the time that the copy takes is about the time for which it will be.

    The constraint is added by one statement, so a killed run leaves nothing of it or all; the copy goes with
    its transaction. A constraint or index of that name with another definition stops the run. Backwards
    drops the exclusion constraint of that name from this table.

    model_name, constraint: as for Django's AddConstraint; the constraint is an ExclusionConstraint.
    allow_blocking_build: build the index on a table with rows, although nobody can read or write meanwhile.
    """

    component = "exclusion"
    stands_for = (migrations.AddConstraint,)
    takes: type[Any] = ExclusionConstraint
    instead = "insist: allow_blocking_build=True"

    def __init__(
        self, model_name: str, constraint: Any, *, allow_blocking_build: bool = False
    ) -> None:
        if not isinstance(constraint, self.takes):
            raise TypeError(
                f"AddExclusionIfMissing takes an ExclusionConstraint, not a {type(constraint).__name__} "
                "(add a CheckConstraint with AddCheckIfMissing, a UniqueConstraint with AddUniqueIfMissing)"
            )
        require_name(constraint.name)
        super().__init__(model_name, constraint)
        self.allow_blocking_build = allow_blocking_build

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        if type(operation.constraint) is not ExclusionConstraint:
            return None
        return cls(operation.model_name, operation.constraint)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.allow_blocking_build:
            kwargs = {**kwargs, "allow_blocking_build": True}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Add exclusion {self.constraint.name} to {self.model_name} if missing"

    def names(self, site: Site) -> list[str]:
        return [self.constraint.name]

    def probe(self, site: Site, found: Table) -> list[str]:
        return [] if self.is_missing(found) else [self._ddl(site)]

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        found = snapshot.found
        if found is None or not forwards or not self.is_missing(found):
            return snapshot
        require_rows(self, site, found)
        return replace(snapshot, has_rows=has_rows(site.connection, found))

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        name = self.constraint.name
        found, wanted = snapshot.constraints(name)
        if found is None:
            return [self._compare_name(site, snapshot.found)]
        status = Status.EXISTS if self._is_same(snapshot) else Status.DIFFERENT
        declared = wanted.definition if wanted else ""
        fix = f"{drop_constraint(site, name).sql}; and run again"
        finding = Finding("exclusion", name, site.table, status, found.definition, declared, fix)
        if status is Status.EXISTS and snapshot.found is not None:
            note = index_note(name, snapshot.found, snapshot.wanted)
            finding = replace(finding, note=note)
        return [finding]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = require_table(self, site, snapshot)
        if not self.is_missing(found):
            return []
        add = replace(self._add(site), also=tables_below(found))
        if not snapshot.has_rows:
            return [add]
        if not self.allow_blocking_build:
            raise Refused(
                self.describe(),
                site.table,
                f"{self.constraint.name} is built while nobody can read or write, and table {site.table} has "
                "rows",
                f"add it by hand at a quiet time and run again, or {self.instead}",
            )
        return [self._rehearse(site), add]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name, found = self.constraint.name, snapshot.found
        constraint = found.constraint(name) if found else None
        if found is None or constraint is None or constraint.kind != "x":
            return []
        return [replace(drop_constraint(site, name), also=tables_below(found))]

    def script(self, site: Site) -> list[Statement]:
        add = self._add(site)
        if self.allow_blocking_build:
            return [add]
        text = f"table {site.table} has rows, and nobody could read or write it meanwhile"
        is_empty = guards.negated(guards.is_filled(site.table))
        refusal = guards.refusal(f"{self.constraint.name} is not built: {text}")
        return [
            Statement(refusal, Lock.NONE, site.table, guards.either(add.unless, is_empty)),
            add,
        ]

    def script_backwards(self, site: Site) -> list[Statement]:
        return [drop_constraint(site, self.constraint.name)]

    def is_missing(self, found: Table) -> bool:
        """Return whether the table has no constraint of that name."""
        return found.constraint(self.constraint.name) is None

    def _is_same(self, snapshot: Snapshot) -> bool:
        """Return whether the constraint is as declared: by its definition or, if that is spelled otherwise,
        by its index and operators.
        """
        found, wanted = snapshot.constraints(self.constraint.name)
        index, target = snapshot.indexes(self.constraint.name)
        if found is None or wanted is None or found.definition == wanted.definition:
            return found is not None and wanted is not None
        comparing = ((each.operators, each.deferral) for each in (found, wanted))
        is_alike = len(set(comparing)) == 1 and bool(wanted.operators)
        return is_alike and index is not None and target is not None and same_index(index, target)

    def _compare_name(self, site: Site, found: Table | None) -> Finding:
        """Return the finding on a constraint that the table lacks.

        Its index needs the name too, so an index of that name is a difference.
        """
        name = self.constraint.name
        if found is None:
            return Finding("exclusion", name, site.table, Status.MISSING)
        finding = replace(
            compare_index(site, name, found, None), component="exclusion", replaceable=False
        )
        if finding.status is Status.MISSING:
            return finding
        wanted = finding.wanted or "an exclusion constraint"
        return replace(finding, status=Status.DIFFERENT, wanted=wanted)

    def _rehearse(self, site: Site) -> Statement:
        """Return the statement that builds the constraint on a temporary copy of its columns."""
        columns = ", ".join(map(site.quote, self._columns(site)))
        rows = f"SELECT {columns} FROM {site.table}"  # noqa: S608 - quoted
        copied = f"CREATE TEMPORARY TABLE {PROBE} ON COMMIT DROP AS {rows}"
        with site.on_probe():
            built = self._ddl(site)
        sql = f"{copied}; {built}; DROP TABLE {PROBE}"
        return Statement(sql, Lock.ACCESS_SHARE, site.table, guards.NEVER)

    def _add(self, site: Site) -> Statement:
        done = guards.has_constraint(site.table, self.constraint.name)
        return Statement(self._ddl(site), Lock.ACCESS_EXCLUSIVE, site.table, done)

    def _columns(self, site: Site) -> list[str]:
        constraint: Any = self.constraint
        expressions = [each for each, _ in constraint.expressions]
        names = [each for each in expressions if isinstance(each, str)]
        others = [each for each in expressions if not isinstance(each, str)]
        return site.columns_of([*names, *constraint.include], [*others, constraint.condition])

    def _ddl(self, site: Site) -> str:
        return "; ".join(
            site.ddl(lambda editor: editor.add_constraint(site.model, self.constraint)).now
        )
