"""End what the phase expand made for old code around a column."""

from typing import Any

from ..base import Convergent
from ..catalog.tables import Table
from ..components.old_code import end_for_old_code, left_for_old_code
from ..findings import Finding, Snapshot
from ..site import Site
from ..statements import Statement


class EndForOldCode(Convergent):
    """Drop the default, trigger or copy of a column, or the view, that the phase expand made for old code.

    Each goes with what belongs to it by one statement, so that a run that dies leaves it whole or gone.

    model_name: the model of the table. name: the column, or the view of the table's old name.
    """

    reads_details = True

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name, self.name = model_name, name

    def describe(self) -> str:
        return f"End what {self.model_name} has for the release before: {self.name}"

    def probe(self, site: Site, found: Table) -> list[str]:
        return []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found = snapshot.found
        left = left_for_old_code(site, found) if found else ()
        return [finding for name, finding, _ in left if name == self.name]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        return list(end_for_old_code(site, found, self.name)) if found else []

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        return []

    def script(self, site: Site) -> list[Any]:
        """Return nothing: `sqlmigrate` knows no phases."""
        return []

    script_backwards = script
