"""Compare the fields before and after an AlterField, for the operations that make its changes."""

from dataclasses import dataclass
from typing import Any

from django.db import migrations

from .site import AnyField


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """The properties of a field that the database stores."""

    column: str | None
    kind: tuple[str | None, str | None]  # type and collation
    default: Any
    is_null: bool
    is_key: bool
    numbering: tuple[Any, ...]  # identity or serial, and the expression of a generated column
    reference: tuple[str, str] | None  # table and column
    parts: frozenset[str]  # uniqueness, index, check
    comment: str | None


@dataclass(frozen=True, slots=True)
class Alteration:
    """Django's AlterField, and the changes that it makes in the database.

    before: the field that the model had.
    old, new: the facts of that field and of the altered one.
    value: the expression that fills the column's NULLs, or None.
    """

    operation: migrations.AlterField
    before: AnyField
    old: FieldFacts
    new: FieldFacts
    value: Any = None

    @property
    def becomes_not_null(self) -> bool:
        """Return whether the column allowed NULL and no longer does."""
        return self.old.is_null and not self.new.is_null

    @property
    def becomes_foreign_key(self) -> bool:
        """Return whether the column becomes a foreign key."""
        return self.new.reference is not None and self.old.reference is None

    @property
    def changes_column(self) -> bool:
        """Return whether AlterColumnTypeIfDifferent has something to change.

        The operation changes the type, the collation and the default, allows NULL, and builds an index, a
        uniqueness or a check. If the column becomes a foreign key, AddForeignKeyIfMissing builds its index.
        """
        old, new = self.old, self.new
        is_changed = (old.kind, old.default) != (new.kind, new.default) or new.is_null > old.is_null
        return is_changed or (old.parts != new.parts and not self.becomes_foreign_key)

    def arguments(self, *, is_last: bool, **changes: Any) -> tuple[Any, ...]:
        """Return the arguments for the operation that makes one of the changes.

        is_last: whether no other operation of the alteration follows. Otherwise the operation gets a copy of
            the field with the attributes in `changes`.
        """
        made = self.operation
        field = made.field if is_last else altered_field(made.field, **changes)
        return made.model_name, made.name, field, made.preserve_default


def altered_field(field: AnyField, **changes: Any) -> AnyField:
    """Return a copy of the field with other attributes."""
    copied = field.clone()
    for name, value in changes.items():
        setattr(copied, name, value)
    return copied
