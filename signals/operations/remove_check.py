"""RemoveCheckIfPresent."""

from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import RemoveConstraint
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint

from .add_check import AddCheckIfMissing
from .catalog.tables import Table
from .refusals import declared_part
from .removal import Removal
from .site import Site


class RemoveCheckIfPresent(Removal, RemoveConstraint):
    """Drop the check of that name from the table, if there is one, whatever its expression.

    Another kind of constraint of that name stops the run. The check is dropped by one statement, so a
    killed run leaves it whole or gone. Backwards adds it again as AddCheckIfMissing does.

    model_name, name: as for Django's RemoveConstraint; the constraint is a CheckConstraint.
    """

    stands_for = (migrations.RemoveConstraint,)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        model = before.models[app_label, operation.model_name_lower]
        if type(model.get_constraint_by_name(operation.name)) is not CheckConstraint:
            return None
        return cls(operation.model_name, operation.name)

    def describe(self) -> str:
        return f"Remove check {self.name} from {self.model_name} if present"

    def addition(self, site: Site) -> AddCheckIfMissing:
        constraint = declared_part(site, self.name, site.model._meta.constraints, CheckConstraint)
        return AddCheckIfMissing(self.model_name, constraint)

    def is_present(self, site: Site, found: Table) -> bool:
        return found.constraint(self.name) is not None
