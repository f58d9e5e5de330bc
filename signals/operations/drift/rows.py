"""The rows that verify_schema shows: one for each component of a schema."""

from dataclasses import dataclass

from ..base import Convergent
from ..findings import Finding, Status
from ..site import Site
from .accepted import Accepted


@dataclass(frozen=True, slots=True)
class Row:
    """The finding on a component, the migration that declares it, and the operation that would build it.

    site: where the operation would run.
    progress: how far another session has built the component, as in 42 %.
    accepted: who accepts the finding, why and until when, if anybody does.
    """

    finding: Finding
    migration: str
    operation: Convergent | None = None
    site: Site | None = None
    progress: str = ""
    accepted: Accepted | None = None

    def is_wrong(self, *, strict: bool = False) -> bool:
        """Return whether the row is a finding that nobody accepts.

        An undeclared component is one if it refuses rows that the models allow, or if `strict`.
        """
        status = self.finding.status
        if self.accepted:
            return False
        if status is Status.UNDECLARED:
            return strict or self.finding.refuses_writes
        return not status.is_right

    def is_repairable(self, *, replacing: bool = False) -> bool:
        """Return whether running the operation would repair the component.

        replacing: whether a component that differs may be replaced.
        """
        status = self.finding.status
        if self.operation is None or self.accepted:
            return False
        if status is Status.DIFFERENT:
            return replacing and self.finding.replaceable
        return status in (Status.MISSING, Status.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Survey:
    """The rows of one schema of one database.

    unseen: why the database declares nothing, if it does not.
    stale: a line for each accepted finding that is over or not found, if the whole schema was surveyed.
    """

    database: str
    schema: str
    migrations: int
    rows: tuple[Row, ...]
    unseen: str = ""
    stale: tuple[str, ...] = ()

    def is_clean(self, *, strict: bool = False) -> bool:
        """Return whether every component exists, or is absent, as declared."""
        return not any(row.is_wrong(strict=strict) for row in self.rows)
