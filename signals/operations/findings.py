"""What is said of a declared component, and what it is said from: values, no behaviour."""

import enum
from dataclasses import dataclass
from typing import Any

from .catalog.enums import Enum
from .catalog.indexes import Index
from .catalog.tables import Column, Constraint, Table


class Status(enum.Enum):
    """What the catalog says of a declared component; the value is how it is shown."""

    EXISTS = "✓ Exists"
    ABSENT = "✓ Absent"
    MISSING = "✗ Missing"
    UNFINISHED = "! Unfinished"
    BUILDING = "… Building"
    DIFFERENT = "≠ Different"
    LEFTOVER = "? Leftover"
    UNDECLARED = "+ Undeclared"

    @property
    def is_right(self) -> bool:
        """Whether nothing is to be done: it stands as declared, or is gone as declared."""
        return self in (Status.EXISTS, Status.ABSENT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One component's status; found and wanted as PostgreSQL prints them, fix for what differs.

    note: a difference that is no reason to stop. replaceable: whether `on_different="replace"` can put
    the wanted definition in the place of the found one.
    """

    component: str
    name: str
    table: str
    status: Status
    found: str = ""
    wanted: str = ""
    fix: str = ""
    note: str = ""
    replaceable: bool = False

    @property
    def label(self) -> str:
        """What it is of, as in: column state of "signals"; a type is of no table."""
        place = f" of {self.table}" if self.table else ""
        return f"{self.component} {self.name}{place}"


@dataclass(frozen=True, slots=True)
class Source:
    """What in a model's state asks for a component: `kind` is field, index, constraint or an old together.

    name: the field's, index's or constraint's; for a together, the names of its fields.
    """

    kind: str
    name: str | tuple[str, ...] = ""


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """A finding on a table with what asks for it; `subject` is its field, or the operation for the part."""

    source: Source
    subject: Any
    finding: Finding


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The table as it is, and its copy with the declaration put on it where there is a rival to compare.

    has_rows, rewrites: what a plan may depend on and a status does not; known after `with_row_facts`.
    failure: why PostgreSQL cannot put the declaration on the copy; declaration: its SQL. enum: the type, of
    an operation that declares one.
    """

    found: Table | None
    wanted: Table | None = None
    has_rows: bool = False
    rewrites: bool = False
    failure: str = ""
    declaration: str = ""
    enum: Enum | None = None

    def columns(self, name: str) -> tuple[Column | None, Column | None]:
        """The column of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.column(name),
            None if self.wanted is None else self.wanted.column(name),
        )

    def constraints(self, name: str) -> tuple[Constraint | None, Constraint | None]:
        """The constraint of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.constraint(name),
            None if self.wanted is None else self.wanted.constraint(name),
        )

    def indexes(self, name: str) -> tuple[Index | None, Index | None]:
        """The index of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.index(name),
            None if self.wanted is None else self.wanted.index(name),
        )
