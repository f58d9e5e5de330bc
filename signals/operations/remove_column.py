"""RemoveColumnIfPresent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.fields import RemoveField
from django.db.migrations.state import ProjectState

from .add_column import AddColumnIfMissing
from .base import Convergent
from .catalog.tables import Table
from .components.constraints import drop_constraint
from .components.defaults import drop_default
from .components.leaving import (
    drop_all_foreign_keys,
    ease_inserts,
    eased_default,
    with_column,
)
from .contract import OF_A_KEY
from .create_table import through_table
from .errors import Refused
from .execution.run import run_of
from .findings import Snapshot
from .removal import Removal, RemovalOf
from .set_not_null import SetNotNullIfNullable
from .site import AnyField, Site
from .statements import Statement


class RemoveColumnIfPresent(Removal, RemoveField):
    """Drop a column with its data, its indexes and its constraints, if the table has it.

    The column is dropped by one statement, so a killed run leaves it whole or gone. A column of another
    type than the declared one holds somebody else's data and stops the run. Backwards adds the column
    again, without its data.

    In the phase expand the column stays until contract: its foreign keys are dropped, and a NOT NULL column
    gets the field's default in the database, or may be NULL where there is none or one default would not do.
    A killed run leaves some of this, and the next run does the rest. Backwards from there takes it back.

    model_name, name: as for Django's RemoveField.
    """

    stands_for = (migrations.RemoveField,)

    def __init__(self, model_name: str, name: str) -> None:
        super().__init__(model_name, name)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        model = before.models[app_label, operation.model_name_lower]
        if model.fields[operation.name].primary_key:
            return OF_A_KEY
        return cls(operation.model_name, operation.name)

    def describe(self) -> str:
        return f"Remove column {self.name} from {self.model_name} if present"

    def addition(self, site: Site) -> AddColumnIfMissing:
        return AddColumnIfMissing(self.model_name, self.name, site.field(self.name))

    def targets(self, site: Site) -> Sequence[tuple[Convergent, Site]]:
        """Return the targets of AddColumnIfMissing, each as a removal."""
        field = site.model._meta.get_field(self.name)
        if field.many_to_many:
            tables = through_table(site, field, keep_on_reverse=False, with_rows=True)
            return [(RemovalOf(self.describe(), table), place) for table, place in tables]
        return [(self, site)] if getattr(field, "column", None) else []

    def is_present(self, site: Site, found: Table) -> bool:
        return found.column(site.column(self.name)) is not None

    def is_removable(self, site: Site, snapshot: Snapshot) -> bool:
        return self.addition(site).is_declared(site, snapshot)

    def harmless(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements after which INSERTs that do not name the column succeed."""
        found, field = snapshot.found, site.field(self.name)
        column = found.column(site.column(self.name)) if found else None
        if found is None or column is None:
            return []
        if run_of(site.connection).declares_again(self):
            raise Refused(
                self.describe(),
                site.table,
                f"a later migration of this run adds {self.name} again, and the phase expand leaves the old "
                "column until contract",
                "release the later migration after contract, or let its column have another name (db_column)",
            )
        keys = drop_all_foreign_keys(site, found, column.name)
        return [*keys, *self._drop_proof(site, found), *ease_inserts(site, field, found, column)]

    def _build_again(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return what takes the phase expand back, then what the column lacks besides.

        Return nothing, as the base does, if the column would still differ from its declaration.
        """
        field, addition = site.field(self.name), self.addition(site)
        column, wanted = snapshot.columns(site.column(self.name))
        found = snapshot.found
        if found is None or column is None or wanted is None or column.generated:
            return super()._build_again(site, snapshot)
        needs_value = wanted.not_null and not column.not_null
        default = eased_default(field, column, wanted)
        restored = with_column(
            snapshot, replace(column, not_null=column.not_null or needs_value, default=default)
        )
        if any(map(addition.stops_at, addition.compare(site, restored))):
            return super()._build_again(site, snapshot)
        steps = [drop_default(site, column)] if default != column.default else []
        if needs_value:
            steps += self._strict(field).remaining(replace(site, before=None), found, column)
        else:
            steps += self._drop_proof(site, found)
        return [*steps, *super()._build_again(site, restored)]

    def _strict(self, field: AnyField) -> SetNotNullIfNullable:
        return SetNotNullIfNullable(self.model_name, self.name, field)

    def _drop_proof(self, site: Site, found: Table) -> list[Statement]:
        """Return the statement that drops the check that a killed run left on its way to NOT NULL."""
        field = site.field(self.name)
        name = "" if field.null else self._strict(field).proof_name(site)
        return [drop_constraint(site, name)] if found.constraint(name) else []
