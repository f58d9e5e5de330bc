"""What an altered field changes in the database, for the operations that make its changes."""

from dataclasses import dataclass
from typing import Any

from django.db import migrations

from .site import AnyField


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """What the database has of a field, as Django declares it."""

    column: str | None
    kind: tuple[str | None, str | None]  # type and collation
    default: Any
    is_null: bool
    is_key: bool
    numbering: tuple[Any, ...]
    reference: tuple[str, str] | None
    parts: frozenset[str]  # uniqueness, index, check
    comment: str | None


@dataclass(frozen=True, slots=True)
class Alteration:
    """An AlterField of Django's, and what it changes.

    before: the field that the model had; old, new: its facts and those of the altered one. value: what
    fills its NULLs, None for nothing.
    """

    operation: migrations.AlterField
    before: AnyField
    old: FieldFacts
    new: FieldFacts
    value: Any = None

    @property
    def closes(self) -> bool:
        """Whether NULL is allowed no more."""
        return self.old.is_null and not self.new.is_null

    @property
    def refers(self) -> bool:
        """Whether it makes a foreign key."""
        return self.new.reference is not None and self.old.reference is None

    @property
    def retypes(self) -> bool:
        """Whether type, default or NULL of the column become others, or what is built beside it."""
        old, new = self.old, self.new
        is_changed = (old.kind, old.default) != (new.kind, new.default) or new.is_null > old.is_null
        return is_changed or (old.parts != new.parts and not self.refers)

    def arguments(self, *, is_last: bool, **changes: Any) -> tuple[Any, ...]:
        """Return the arguments of the operation that makes one of the changes.

        is_last: whether nothing of the alteration follows; else the field differs by `changes`.
        """
        made = self.operation
        field = made.field if is_last else altered_field(made.field, **changes)
        return made.model_name, made.name, field, made.preserve_default


def altered_field(field: AnyField, **changes: Any) -> AnyField:
    """Return a copy of the field that has other attributes."""
    copied = field.clone()
    for name, value in changes.items():
        setattr(copied, name, value)
    return copied
