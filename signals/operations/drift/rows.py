"""The rows that verify_schema shows: one for each component of a schema."""

from dataclasses import dataclass

from ..base import Convergent
from ..findings import Finding, Status
from ..site import Site


@dataclass(frozen=True, slots=True)
class Row:
    """The finding on a component, the migration that declares it, and the operation that would build it.

    site: where the operation would run.
    progress: how far another session has built the component, as in 42 %.
    """

    finding: Finding
    migration: str
    operation: Convergent | None = None
    site: Site | None = None
    progress: str = ""

    def is_wrong(self, *, strict: bool = False) -> bool:
        """Return whether the row is a finding; an undeclared component is one only if `strict`."""
        status = self.finding.status
        return strict if status is Status.UNDECLARED else not status.is_right

    def is_repairable(self, *, replacing: bool = False) -> bool:
        """Return whether running the operation would repair the component.

        replacing: whether a component that differs may be replaced.
        """
        status = self.finding.status
        if self.operation is None:
            return False
        if status is Status.DIFFERENT:
            return replacing and self.finding.replaceable
        return status in (Status.MISSING, Status.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Survey:
    """The rows of one schema of one database.

    unseen: why the database declares nothing, if it does not.
    """

    database: str
    schema: str
    migrations: int
    rows: tuple[Row, ...]
    unseen: str = ""

    def is_clean(self, *, strict: bool = False) -> bool:
        """Return whether every component exists, or is absent, as declared."""
        return not any(row.is_wrong(strict=strict) for row in self.rows)
