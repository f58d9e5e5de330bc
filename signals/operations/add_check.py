"""AddCheckIfMissing."""

from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import AddConstraint
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint

from .base import Convergent
from .catalog.tables import Constraint, Table
from .components import guards
from .components.constraints import drop_constraint, same_check, take_name, validate_constraint
from .findings import Finding, Snapshot, Status
from .names import successor
from .refusals import require_choice, require_name, require_table
from .site import Site
from .statements import Lock, Statement


class AddCheckIfMissing(Convergent, AddConstraint):
    """Add a check constraint unless the table has it, while writers go on.

    The check is added NOT VALID, which takes an instant, and then validated. A run that is killed between
    the two leaves a check that PostgreSQL enforces for new rows only; the next run validates it. Rows that
    fail the check raise RowsViolateCheck.

    A check of that name with another expression stops the run or, with on_different="replace", is replaced:
    the wanted check is added under another name and validated; one transaction then drops the old check and
    gives its name to the new one.

    Backwards drops the check of that name from this table, and never from another one.

    model_name, constraint: as for Django's AddConstraint; the constraint is a CheckConstraint.
    on_different: "stop", or "replace" a check of that name that has another expression.
    """

    component = "check"
    stands_for = (migrations.AddConstraint,)

    constraint: CheckConstraint

    def __init__(
        self, model_name: str, constraint: CheckConstraint, *, on_different: str = "stop"
    ) -> None:
        if not isinstance(constraint, CheckConstraint):
            raise TypeError(
                f"AddCheckIfMissing takes a CheckConstraint, not a {type(constraint).__name__} "
                "(add a UniqueConstraint with AddUniqueIfMissing)"
            )
        require_name(constraint.name)
        super().__init__(model_name, constraint)
        self.on_different = require_choice(on_different)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        if type(operation.constraint) is not CheckConstraint:
            return None
        return cls(operation.model_name, operation.constraint)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.on_different != "stop":
            kwargs = {**kwargs, "on_different": self.on_different}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Add check {self.constraint.name} to {self.model_name} if missing"

    def probe(self, site: Site, found: Table) -> list[str]:
        name = self.constraint.name
        has_rival = found.constraint(name) or found.constraint(successor(name))
        return [self._ddl(site)] if has_rival and found.has_columns(self._columns(site)) else []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        name = self.constraint.name
        found, wanted = snapshot.constraints(name)
        if found is None:
            return [Finding("check", name, site.table, Status.MISSING)]
        leftover, _ = snapshot.constraints(successor(name))
        if wanted is None or not same_check(found, wanted):
            status = Status.DIFFERENT
        elif found.validated and leftover is None:
            status = Status.EXISTS
        else:
            status = Status.UNFINISHED
        return [
            Finding(
                "check",
                name,
                site.table,
                status,
                found.definition,
                wanted.definition if wanted else f"CHECK on ({', '.join(self._columns(site))})",
                f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(name)}; and run again",
                note=f"beside it in the database: {leftover.name}, which an interrupted replacement has left"
                if leftover and status is Status.UNFINISHED
                else "",
                replaceable=found.kind == "c" and wanted is not None,
            )
        ]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        require_table(self, site, snapshot)
        name = self.constraint.name
        status = self.inspect(site, snapshot)[0].status
        found, wanted = snapshot.constraints(name)
        spare, _ = snapshot.constraints(successor(name))
        if status is Status.DIFFERENT:
            swap = take_name(site, name, successor(name))
            return [*self._build(site, successor(name), spare, wanted), swap]
        leftover = [drop_constraint(site, spare.name)] if spare else []
        return [*leftover, *self._build(site, name, found, wanted)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        checks = (snapshot.constraints(name)[0] for name in self._names)
        return [drop_constraint(site, each.name) for each in checks if each and each.kind == "c"]

    def script(self, site: Site) -> list[Statement]:
        return self._steps(site, self.constraint.name)

    def script_backwards(self, site: Site) -> list[Statement]:
        names = self._names if self.on_different == "replace" else self._names[:1]
        return [drop_constraint(site, name) for name in names]

    @property
    def _names(self) -> tuple[str, str]:
        """Return the check's name, and the name under which a replacement is built."""
        return self.constraint.name, successor(self.constraint.name)

    def _build(
        self, site: Site, name: str, found: Constraint | None, wanted: Constraint | None
    ) -> list[Statement]:
        """Return the statements that make a validated check of that name.

        found: the table's check of that name, if any.
        wanted: the declared check as PostgreSQL stores it, if known.
        """
        add, validate = self._steps(site, name)
        if found is None:
            return [add, validate]
        if wanted is None or not same_check(found, wanted):
            return [drop_constraint(site, name), add, validate]
        return [] if found.validated else [validate]

    def _steps(self, site: Site, name: str) -> list[Statement]:
        """Return the statements that add the check NOT VALID under that name and validate it."""
        # Django adds a check and validates it under ACCESS EXCLUSIVE; NOT VALID leaves the scan to VALIDATE.
        expression = self._ddl(site).removeprefix(self._opening(site, self.constraint.name))
        return [
            Statement(
                f"{self._opening(site, name)}{expression} NOT VALID",
                Lock.ACCESS_EXCLUSIVE,
                site.table,
                guards.has_constraint(site.table, name),
            ),
            validate_constraint(site, name, f"NOT {expression}"),
        ]

    def _opening(self, site: Site, name: str) -> str:
        return f"ALTER TABLE {site.table} ADD CONSTRAINT {site.quote(name)} CHECK "

    def _columns(self, site: Site) -> list[str]:
        return site.columns_of([], [self.constraint.condition])

    def _ddl(self, site: Site) -> str:
        ddl = site.ddl(lambda editor: editor.add_constraint(site.model, self.constraint))
        return ddl.now[0]
