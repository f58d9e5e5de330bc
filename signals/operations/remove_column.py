"""RemoveColumnIfPresent."""

from collections.abc import Sequence
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.fields import RemoveField
from django.db.migrations.state import ProjectState

from .add_column import AddColumnIfMissing
from .base import Convergent
from .catalog.tables import Table
from .contract import OF_A_KEY
from .create_table import through_table
from .findings import Snapshot
from .removal import Removal, RemovalOf
from .site import Site


class RemoveColumnIfPresent(Removal, RemoveField):
    """Drop a column with its data, its indexes and its constraints, if the table has it.

    The column is dropped by one statement, so a killed run leaves it whole or gone. A column of another
    type than the declared one holds somebody else's data and stops the run. Backwards adds the column
    again, without its data.

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
