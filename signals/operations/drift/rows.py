"""A component as verify_schema shows it, and all of one schema."""

from dataclasses import dataclass

from ..base import Convergent
from ..findings import Finding, Status
from ..site import Site


@dataclass(frozen=True, slots=True)
class Row:
    """A component: what is found of it, the migration that declares it, and what would build it where.

    progress: of another session's build, as in 42 %.
    """

    finding: Finding
    migration: str
    operation: Convergent | None = None
    site: Site | None = None
    progress: str = ""

    def is_wrong(self, *, strict: bool = False) -> bool:
        """Whether it is a finding; what no migration declares is a note, unless strict."""
        status = self.finding.status
        return strict if status is Status.UNDECLARED else not status.is_right

    def is_repairable(self, *, replacing: bool = False) -> bool:
        """Whether a run of the operation would put it right."""
        status = self.finding.status
        if self.operation is None:
            return False
        if status is Status.DIFFERENT:
            return replacing and self.finding.replaceable
        return status in (Status.MISSING, Status.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Survey:
    """The rows of one schema of one database."""

    database: str
    schema: str
    migrations: int
    rows: tuple[Row, ...]

    def is_clean(self, *, strict: bool = False) -> bool:
        """Whether every component stands as declared, or is gone as declared."""
        return not any(row.is_wrong(strict=strict) for row in self.rows)
