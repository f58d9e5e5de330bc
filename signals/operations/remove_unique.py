"""RemoveUniqueIfPresent."""

from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import RemoveConstraint
from django.db.migrations.state import ProjectState
from django.db.models import UniqueConstraint

from .add_unique import AddUniqueIfMissing
from .catalog.tables import Table
from .refusals import declared_part
from .removal import Removal
from .site import Site


class RemoveUniqueIfPresent(Removal, RemoveConstraint):
    """Drop the unique constraint or unique index of that name from the table, if there is one.

    Anything else of that name stops the run. A constraint is dropped by one statement, so a killed run
    leaves it whole or gone. An index without a constraint is dropped concurrently: a killed run leaves it
    invalid, and the next run drops it. Backwards makes the columns unique again as AddUniqueIfMissing does,
    which needs atomic = False on the migration.

    model_name, name: as for Django's RemoveConstraint; the constraint is a UniqueConstraint.
    """

    stands_for = (migrations.RemoveConstraint,)

    needs_state = True

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        model = before.models[app_label, operation.model_name_lower]
        if type(model.get_constraint_by_name(operation.name)) is not UniqueConstraint:
            return None
        return cls(operation.model_name, operation.name)

    def describe(self) -> str:
        return f"Remove unique {self.name} from {self.model_name} if present"

    def addition(self, site: Site) -> AddUniqueIfMissing:
        constraint = declared_part(site, self.name, site.model._meta.constraints, UniqueConstraint)
        return AddUniqueIfMissing(self.model_name, constraint)

    def is_present(self, site: Site, found: Table) -> bool:
        return bool(found.index(self.name) or found.constraint(self.name))

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether the uniqueness is an index without a constraint, which is dropped concurrently."""
        constraint = before.models[app_label, self.model_name_lower].get_constraint_by_name(
            self.name
        )
        if not isinstance(constraint, UniqueConstraint):
            return False
        return AddUniqueIfMissing(self.model_name, constraint).is_index
