"""The status of declared components, and the snapshots from which it follows."""

import enum
from dataclasses import dataclass, replace
from typing import Any

from .catalog.enums import Enum
from .catalog.indexes import Index
from .catalog.probes import Obstacle
from .catalog.tables import Column, Constraint, Relation, Table


class Status(enum.Enum):
    """The status of a declared component in the catalog; the value is the text that users see."""

    EXISTS = "✓ Exists"
    ABSENT = "✓ Absent"
    MISSING = "✗ Missing"
    UNFINISHED = "! Unfinished"
    BUILDING = "… Building"
    DIFFERENT = "≠ Different"
    LEFTOVER = "? Leftover"
    AWAITING = "… Awaiting contract"
    UNDECLARED = "+ Undeclared"
    UNJUDGED = "~ Not judged"
    HEALTH = "▲ Health"

    @property
    def is_right(self) -> bool:
        """Return whether nothing is left to do: the component exists, or is absent, as declared."""
        return self in (Status.EXISTS, Status.ABSENT)


@dataclass(frozen=True, slots=True)
class Finding:
    """The status of one component, and the facts behind it.

    found, wanted: the definitions in the database and in the declaration, as PostgreSQL prints them.
    fix: SQL, or advice, that makes a different component equal.
    note: a difference that does not stop a run.
    replaceable: whether `on_different="replace"` can replace the found definition by the wanted one.
    refuses_writes: whether something undeclared refuses rows that the models allow.
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
    refuses_writes: bool = False

    @property
    def label(self) -> str:
        """Return the component, its name and its table, as in: column state of "signals".

        A type has no table.
        """
        place = f" of {self.table}" if self.table else ""
        return f"{self.component} {self.name}{place}"


@dataclass(frozen=True, slots=True)
class Source:
    """The part of a model's state that declares a component.

    kind: "table", "field", "index", "constraint", "unique_together" or "index_together".
    name: the name of the field, index or constraint; for a together option the names of its fields.
    """

    kind: str
    name: str | tuple[str, ...] = ""


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """The finding on one part of a table, and the declaration of that part.

    subject: the field of a column or foreign key; for other parts the operation that builds the part.
    """

    source: Source
    subject: Any
    finding: Finding


# The components that are judged by the catalog alone, and the statuses that a comparison gives.
_OF_CATALOG = ("table", "foreign key")
_COMPARED = (Status.EXISTS, Status.DIFFERENT)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table as found in the catalog, and an empty copy on which PostgreSQL built the declaration.

    wanted: the copy; None if the table has nothing to compare with the declaration.
    has_rows: whether the table has rows; for BackfillInBatches, whether it has rows left to fill.
    rewrites: whether the new columns would rewrite the table.
    failure: why PostgreSQL could not build the declaration on the copy; empty if it could.
    declaration: the SQL that failed.
    obstacle: why the role could compare nothing.
    enum: the type, for an operation that declares one.
    behind: what has the name of a missing table or type, further back on the search_path.
    taken: the relations that have names which the indexes of a missing table are to get.
    """

    found: Table | None
    wanted: Table | None = None
    has_rows: bool = False
    rewrites: bool = False
    failure: str = ""
    declaration: str = ""
    enum: Enum | None = None
    behind: Table | Enum | None = None
    obstacle: Obstacle | None = None
    taken: tuple[Relation, ...] = ()

    def judged(self, finding: Finding) -> Finding:
        """Return the finding, or that its component is not judged, if it needed a comparison."""
        obstacle = self.obstacle
        is_fact = finding.component in _OF_CATALOG or finding.status not in _COMPARED
        if obstacle is None or is_fact:
            return finding
        finding = replace(finding, status=Status.UNJUDGED, wanted="", replaceable=False)
        return replace(finding, fix=obstacle.fix, note=obstacle.reason)

    def columns(self, name: str) -> tuple[Column | None, Column | None]:
        """Return the column of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.column(name),
            None if self.wanted is None else self.wanted.column(name),
        )

    def constraints(self, name: str) -> tuple[Constraint | None, Constraint | None]:
        """Return the constraint of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.constraint(name),
            None if self.wanted is None else self.wanted.constraint(name),
        )

    def indexes(self, name: str) -> tuple[Index | None, Index | None]:
        """Return the index of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.index(name),
            None if self.wanted is None else self.wanted.index(name),
        )
