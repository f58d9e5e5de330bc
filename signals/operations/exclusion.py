"""Exclusion constraints of a declared table, which PostgreSQL cannot build while writers go on."""

from dataclasses import replace
from typing import Any

from django.db.migrations.operations.models import AddConstraint

from .base import Convergent
from .catalog.contents import has_rows
from .catalog.tables import Table
from .components import guards
from .components.constraints import drop_constraint
from .components.indexes import compare_index, index_note, same_index
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .refusals import require_rows, require_table
from .site import Site
from .statements import Lock, Statement


class Exclusion(Convergent):
    """Add a constraint that is neither a check nor a uniqueness, as a part of CreateTableIfMissing.

    PostgreSQL builds its index while nobody can write, so it is added to a new or an empty table, and
    raises Refused for a table with rows.
    """

    def __init__(self, model_name: str, constraint: Any) -> None:
        self.model_name = model_name
        self.constraint = constraint

    def describe(self) -> str:
        return f"Add constraint {self.constraint.name} to {self.model_name} if missing"

    @property
    def migration_name_fragment(self) -> str:
        return AddConstraint(self.model_name, self.constraint).migration_name_fragment

    def names(self, site: Site) -> list[str]:
        return [self.constraint.name]

    def probe(self, site: Site, found: Table) -> list[str]:
        return [] if self.is_missing(found) else list(self._ddl(site))

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
        if not self.is_missing(require_table(self, site, snapshot)):
            return []
        if snapshot.has_rows:
            raise Refused(
                self.describe(),
                site.table,
                f"{self.constraint.name} is built while nobody can write, and table {site.table} has rows",
                "add it by hand at a quiet time, and run again",
            )
        return self.script(site)

    def script(self, site: Site) -> list[Statement]:
        sql, done = "; ".join(self._ddl(site)), self.constraint.name
        guard = guards.has_constraint(site.table, done)
        return [Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard)]

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

    def _ddl(self, site: Site) -> tuple[str, ...]:
        return site.ddl(lambda editor: editor.add_constraint(site.model, self.constraint)).now
