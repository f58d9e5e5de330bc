"""RenameColumnIfNeeded."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from django.db.migrations.operations.fields import RenameField
from django.db.migrations.state import ProjectState

from .base import Convergent
from .catalog.tables import Column, Table
from .components.columns import add_field_ddl, probe_column
from .components.old_code import drop_triggers
from .components.twins import (
    Stage,
    make_copy,
    missing_copies,
    rename_column,
    stage_of,
    swap,
    twin_trigger,
)
from .convergence import read, send_all
from .copy_in_batches import CopyInBatches
from .errors import NeedsAutocommit, Refused
from .findings import Finding, Snapshot, Status
from .refusals import require_table
from .renamed_table import RenamedTable
from .site import AnyField, Site
from .statements import Statement


class RenameColumnIfNeeded(Convergent, RenameField):
    """Rename a column unless the table has it under its new name.

    The column is renamed by one statement, so a killed run leaves it under one of the two names. Two columns
    of both names stop the run, and so does one of the new name with another type.

    In the phase expand both names go on working until contract: a copy of the column is filled in batches and
    gets the indexes of the column, then the two change names in one transaction, and a trigger writes both
    with each row. A killed run leaves the copy under the new name, where nobody uses it yet, and the next
    run continues there. That needs atomic = False on the migration.

    A ManyToManyField has a table in the place of a column, which is renamed as by RenameTableIfNeeded.

    Backwards gives the column its old name, and drops the copy.

    model_name, old_name, new_name: as for Django's RenameField.
    """

    stands_for = (RenameField,)

    def __init__(self, model_name: str, old_name: str, new_name: str) -> None:
        super().__init__(model_name, old_name, new_name)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.model_name, operation.old_name, operation.new_name)

    def describe(self) -> str:
        return f"Rename column {self.old_name} of {self.model_name} to {self.new_name} if needed"

    def targets(self, site: Site) -> Sequence[tuple[Convergent, Site]]:
        """Return the operation itself, or the one that renames the table of a ManyToManyField.

        Return nothing if the name of the column or table stays, as with db_column.
        """
        field: Any = site.model._meta.get_field(self.new_name)
        if field.many_to_many:
            return self._table_of(site, field)
        return [(self, site)] if self._names(site)[0] != self._names(site)[1] else []

    def declared(self, site: Site) -> list[AnyField]:
        return [site.field(self.new_name)]

    def probe(self, site: Site, found: Table) -> list[str]:
        field = site.field(self.new_name)
        return probe_column(site, field, found, add_field_ddl(site, field))

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        old, new = self._names(site)
        found = snapshot.found
        stage = stage_of(found, old, new) if found else Stage.ABSENT
        finding = Finding("column", new, site.table, Status.EXISTS)
        if stage in (Stage.ABSENT, Stage.OLD):
            return [replace(finding, status=Status.MISSING)]
        if stage is Stage.COPIED:
            return [replace(finding, status=Status.UNFINISHED, found=f"a copy of {old}")]
        if stage is Stage.BOTH:
            return [self._both(finding, old)]
        column, wanted = snapshot.columns(new)
        if column is not None and wanted is not None and column.type != wanted.type:
            fix = f"rename or drop the column {new} that is not the renamed {old}, and run again"
            different = replace(finding, status=Status.DIFFERENT, found=column.type)
            return [replace(different, wanted=wanted.type, fix=fix)]
        return [replace(finding, found=column.type if column else "")]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = require_table(self, site, snapshot)
        old, new = self._names(site)
        stage = stage_of(found, old, new)
        column = found.column(old)
        if stage is Stage.ABSENT:
            raise Refused(
                self.describe(),
                site.table,
                f"table {site.table} has neither a column {old} nor a column {new}",
                f"add the column {new} by hand, and run again",
            )
        if column is None:
            return []
        if site.expands:
            return self._expand(site, found, column, stage)
        rename = rename_column(site, old, new)
        triggers = list(drop_triggers(site, found, old))
        return {Stage.SWAPPED: triggers, Stage.COPIED: _together(*triggers, rename)}.get(
            stage, [*triggers, rename]
        )

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        old, new = self._names(site)
        if found is None:
            return []
        triggers = list(drop_triggers(site, found, new))
        rename = rename_column(site, new, old)
        plans = {
            Stage.COPIED: triggers,
            Stage.SWAPPED: _together(*triggers, rename),
            Stage.NEW: [*triggers, rename],
        }
        return plans.get(stage_of(found, old, new), [])

    def converge(self, site: Site, *, forwards: bool) -> None:
        if forwards and site.expands:
            self._copy(site)
        super().converge(site, forwards=forwards)

    def script(self, site: Site) -> list[Statement]:
        return [rename_column(site, *self._names(site))]

    def script_backwards(self, site: Site) -> list[Statement]:
        old, new = self._names(site)
        return [rename_column(site, new, old)]

    def _table_of(self, site: Site, field: Any) -> list[tuple[Convergent, Site]]:
        former: Any = site.before._meta.get_field(self.old_name) if site.before else field
        before, after = former.remote_field.through, field.remote_field.through
        old, new = before._meta.db_table, after._meta.db_table
        if old == new or not after._meta.auto_created:
            return []
        place = replace(site, model=after, db_table=new, before=before)
        return [(RenamedTable(self.describe(), site.quote(old), {}), place)]

    def _names(self, site: Site) -> tuple[str, str]:
        """Return the old and the new name of the column."""
        new = site.column(self.new_name)
        former: Any = site.before._meta.get_field(self.old_name) if site.before else None
        return former.column if former else new, new

    def _both(self, finding: Finding, old: str) -> Finding:
        return replace(
            finding,
            status=Status.DIFFERENT,
            found=f"a column beside {old}",
            wanted=f"the only one of the two, {old} having been renamed",
            fix="drop the one of the two that holds nothing, or move its values, and run again",
        )

    def _expand(self, site: Site, found: Table, column: Column, stage: Stage) -> list[Statement]:
        """Return what is left until both names work."""
        old, new = self._names(site)
        trigger = twin_trigger(found, old, new)
        if stage is Stage.SWAPPED:
            return []
        if trigger is not None:
            return [
                *missing_copies(site, found, old, new),
                swap(site, column, trigger, new),
            ]
        self._require_copyable(site, found, column)
        return [make_copy(site, column, new), *self._fill(site).script(site)]

    def _copy(self, site: Site) -> None:
        """Add the copy of the column, and fill it."""
        old, new = self._names(site)
        found = read(self, site, forwards=True).found
        stage = stage_of(found, old, new) if found else Stage.ABSENT
        column = found.column(old) if found else None
        if found is None or column is None or stage not in (Stage.OLD, Stage.COPIED):
            return
        if site.connection.in_atomic_block:
            raise NeedsAutocommit(self.describe(), "short transactions, in the phase expand")
        if stage is Stage.OLD:
            self._require_copyable(site, found, column)
            send_all(self, site, [make_copy(site, column, new)])
        self._fill(site).converge(replace(site, before=None, expands=False), forwards=True)

    def _fill(self, site: Site) -> CopyInBatches:
        old, _ = self._names(site)
        return CopyInBatches(self.model_name, self.new_name, old)

    def _require_copyable(self, site: Site, found: Table, column: Column) -> None:
        """Raise Refused if both names of the column cannot be kept in use."""
        old, _ = self._names(site)
        reasons = {
            "it is a primary key": site.field(self.new_name).primary_key,
            "its values are generated": bool(column.generated),
            f"table {site.table} is partitioned": found.kind == "p",
            "what an earlier release left on it still awaits contract": bool(
                found.triggers_on(old)
            ),
        }
        for reason, is_so in reasons.items():
            if is_so:
                raise Refused(
                    self.describe(),
                    site.table,
                    f"the release before uses the column {old}, and both names cannot work: {reason}",
                    "run migrate --phase contract first"
                    if "awaits" in reason
                    else f'keep the name (db_column="{old}"), or stop the release before and '
                    "run migrate --phase both",
                )


def _together(*statements: Statement) -> list[Statement]:
    """Return one statement that makes all of them in one transaction."""
    first = statements[0]
    return [replace(first, sql="; ".join(each.sql for each in statements))]
