"""RemoveExclusionIfPresent."""

from typing import Any, Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import migrations
from django.db.migrations.operations.models import RemoveConstraint
from django.db.migrations.state import ProjectState

from .add_exclusion import AddExclusionIfMissing
from .catalog.tables import Table
from .refusals import declared_part
from .removal import Removal
from .site import Site


class RemoveExclusionIfPresent(Removal, RemoveConstraint):
    """Drop the exclusion constraint of that name from the table, if there is one, whatever it excludes.

    Anything else of that name stops the run. The constraint is dropped by one statement, so a killed run
    leaves it whole or gone. Backwards adds it again as AddExclusionIfMissing does, which refuses a table
    with rows unless allow_blocking_build is given.

    model_name, name: as for Django's RemoveConstraint; the constraint is an ExclusionConstraint.
    allow_blocking_build: as for AddExclusionIfMissing, for the way back.
    """

    stands_for = (migrations.RemoveConstraint,)

    def __init__(self, model_name: str, name: str, *, allow_blocking_build: bool = False) -> None:
        super().__init__(model_name, name)
        self.allow_blocking_build = allow_blocking_build

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        model = before.models[app_label, operation.model_name_lower]
        if type(model.get_constraint_by_name(operation.name)) is not ExclusionConstraint:
            return None
        return cls(operation.model_name, operation.name)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.allow_blocking_build:
            kwargs = {**kwargs, "allow_blocking_build": True}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Remove exclusion {self.name} from {self.model_name} if present"

    def addition(self, site: Site) -> AddExclusionIfMissing:
        constraint = declared_part(
            site, self.name, site.model._meta.constraints, ExclusionConstraint
        )
        return AddExclusionIfMissing(
            self.model_name, constraint, allow_blocking_build=self.allow_blocking_build
        )

    def is_present(self, site: Site, found: Table) -> bool:
        return bool(found.constraint(self.name) or found.index(self.name))
