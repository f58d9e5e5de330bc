"""AddCheckIfMissing."""

from django.db.migrations.operations.models import AddConstraint
from django.db.models import CheckConstraint

from signals.operations import guards
from signals.operations.base import Convergent, Finding, Snapshot, Status, require_table
from signals.operations.catalog import Table
from signals.operations.constraints import drop_constraint, validate_constraint
from signals.operations.site import Site
from signals.operations.statements import Lock, Statement

_NOT_VALID = " NOT VALID"


class AddCheckIfMissing(Convergent, AddConstraint):
    """Adds the check without blocking writers: NOT VALID at once, then validated.

    A run that dies between the two leaves a check that guards new rows; the next run validates it.
    The same name with another expression stops the run. Backwards drops the check of that name from
    this table, and from no other.

    model_name, constraint: as for Django's AddConstraint; the constraint is a CheckConstraint.
    """

    constraint: CheckConstraint

    def __init__(self, model_name: str, constraint: CheckConstraint) -> None:
        if not isinstance(constraint, CheckConstraint):
            raise TypeError(
                f"AddCheckIfMissing takes a CheckConstraint, not a {type(constraint).__name__} "
                "(add a UniqueConstraint with AddUniqueIfMissing)"
            )
        super().__init__(model_name, constraint)

    def describe(self) -> str:
        return f"Add check {self.constraint.name} to {self.model_name} if missing"

    def probe(self, site: Site, found: Table) -> list[str]:
        is_rival = found.constraint(self.constraint.name) is not None
        return [self._ddl(site)] if is_rival and found.has_columns(self._columns(site)) else []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        name = self.constraint.name
        found, wanted = snapshot.constraints(name)
        if found is None:
            return [Finding("check", name, site.table, Status.MISSING)]
        declared = wanted.definition if wanted else f"CHECK on ({', '.join(self._columns(site))})"
        status = Status.EXISTS if found.validated else Status.UNFINISHED
        if found.definition.removesuffix(_NOT_VALID) != declared:
            status = Status.DIFFERENT
        quoted = site.quote(name)
        fix = f"ALTER TABLE {site.table} DROP CONSTRAINT {quoted}; and run again"
        return [Finding("check", name, site.table, status, found.definition, declared, fix)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        require_table(self, site, snapshot)
        add, validate = self.script(site)
        status = self.inspect(site, snapshot)[0].status
        return {Status.MISSING: [add, validate], Status.UNFINISHED: [validate]}.get(status, [])

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found, _ = snapshot.constraints(self.constraint.name)
        return self.script_backwards(site) if found and found.kind == "c" else []

    def script(self, site: Site) -> list[Statement]:
        name = self.constraint.name
        return [
            Statement(
                self._ddl(site) + _NOT_VALID,
                Lock.ACCESS_EXCLUSIVE,
                site.table,
                guards.has_constraint(site.table, name),
            ),
            validate_constraint(site, name),
        ]

    def script_backwards(self, site: Site) -> list[Statement]:
        return [drop_constraint(site, self.constraint.name)]

    def _columns(self, site: Site) -> list[str]:
        return site.columns_of([], [self.constraint.condition])

    def _ddl(self, site: Site) -> str:
        ddl = site.ddl(lambda editor: editor.add_constraint(site.model, self.constraint))
        return ddl.now[0]
