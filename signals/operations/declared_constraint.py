"""The operation for each constraint that a model declares, one of a third party's class included."""

from typing import Any

from django.db.models import BaseConstraint, CheckConstraint, UniqueConstraint

from .add_check import AddCheckIfMissing
from .add_exclusion import AddExclusionIfMissing
from .add_unique import AddUniqueIfMissing
from .base import Convergent


class OtherConstraint(AddExclusionIfMissing):
    """Add a constraint of any class, as a part of CreateTableIfMissing.

    What is neither a check nor a uniqueness is treated as an exclusion: nobody can tell how long PostgreSQL
    locks the table for it.
    """

    takes = BaseConstraint
    instead = "before by AddExclusionIfMissing with allow_blocking_build=True"

    def describe(self) -> str:
        return f"Add constraint {self.constraint.name} to {self.model_name} if missing"


def operation_of(model_name: str, constraint: Any) -> Convergent:
    """Return the operation that adds the constraint."""
    kinds: Any = {CheckConstraint: AddCheckIfMissing, UniqueConstraint: AddUniqueIfMissing}
    made = next((kinds[kind] for kind in kinds if isinstance(constraint, kind)), OtherConstraint)
    operation: Convergent = made(model_name, constraint)
    return operation
