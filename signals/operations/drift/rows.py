"""The rows that verify_schema shows: one for each component of a schema."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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

        An undeclared component is one if it refuses rows that the models allow, or if `strict`; a note of
        health if `strict`. A component that awaits contract or cannot be judged is none.
        """
        status = self.finding.status
        if self.accepted:
            return False
        if status is Status.UNDECLARED:
            return strict or self.finding.refuses_writes
        if status is Status.HEALTH:
            return strict
        return not status.is_right and status not in (Status.AWAITING, Status.UNJUDGED)

    @property
    def is_shown(self) -> bool:
        """Return whether a table of what is not right has the row."""
        return self.is_wrong(strict=True) or self.finding.status is Status.AWAITING

    def is_repairable(self, *, replacing: bool = False) -> bool:
        """Return whether running the operation would repair the component.

        replacing: whether a component that differs may be replaced.
        """
        status = self.finding.status
        if self.operation is None or self.accepted:
            return False
        if status is Status.DIFFERENT:
            return replacing and self.finding.replaceable
        return status in (Status.MISSING, Status.UNFINISHED, Status.HEALTH)


@dataclass(frozen=True, slots=True)
class Problem:
    """The reason why a database, or the components of some of its tables, cannot be judged.

    fix: SQL or advice. tables: quoted; none if it is the whole database.
    is_misconfigured: whether the project's migrations or settings are the reason, and not the server.
    """

    database: str
    reason: str
    fix: str
    tables: tuple[str, ...] = ()
    components: int = 0
    is_misconfigured: bool = False

    @property
    def what(self) -> str:
        """Return the reason, after the tables that cannot be judged."""
        if not self.tables:
            return self.reason
        more = len(self.tables) - _MAX_TABLES
        tables = ", ".join(self.tables[:_MAX_TABLES]) + (f" and {more:,} more" if more > 0 else "")
        number = "1 component" if self.components == 1 else f"{self.components:,} components"
        return f"{number} of {tables} cannot be judged: {self.reason}"

    def __str__(self) -> str:
        is_said = self.is_misconfigured or self.fix in self.what
        return self.what if is_said else f"{self.what}\n  to fix: {self.fix}"

    def as_json(self) -> dict[str, Any]:
        """Return the problem as an object of the JSON output."""
        facts = ("database", "reason", "fix", "tables", "components")
        return {name: getattr(self, name) for name in facts}


_MAX_TABLES = 3  # named in a message


def unjudged(database: str, findings: Iterable[Finding]) -> list[Problem]:
    """Return the reasons why components could not be judged, each with the tables of all those."""
    tables: dict[tuple[str, str], list[str]] = {}
    for each in findings:
        if each.status is Status.UNJUDGED:
            tables.setdefault((each.note, each.fix), []).append(each.table)
    return [
        Problem(database, *why, tuple(dict.fromkeys(of)), len(of)) for why, of in tables.items()
    ]


@dataclass(frozen=True, slots=True)
class Survey:
    """The rows of one schema of one database.

    unseen: why the database declares nothing, if it does not.
    stale: a line for each accepted finding that is over or not found, if the whole schema was surveyed.
    has_shadow: whether there are rows for what only a shadow of the database shows too.
    """

    database: str
    schema: str
    migrations: int
    rows: tuple[Row, ...]
    unseen: str = ""
    stale: tuple[str, ...] = ()
    has_shadow: bool = False

    def is_clean(self, *, strict: bool = False) -> bool:
        """Return whether every component exists, or is absent, as declared."""
        return not (any(row.is_wrong(strict=strict) for row in self.rows) or self.unjudged)

    @property
    def unjudged(self) -> list[Problem]:
        """Return the reasons why components could not be judged."""
        return unjudged(self.database, (row.finding for row in self.rows))
