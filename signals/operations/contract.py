"""What an operation answers when it is asked about a database; no engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.migrations.operations.base import Operation

from .catalog.tables import Table
from .findings import Finding, Status
from .site import AnyField, Site
from .statements import Statement


class Contract(Operation):
    """What every operation answers: what to look at, what that means, and what to send.

    A subclass says what to look at (`names`, `probe`), what that means (`inspect`) and what to send
    (`plan`, `plan_backwards`, `script`, `script_backwards`).
    """

    migration = ""  # the label of the migration that a run of `migrate` takes the operation from
    # Columns that earlier operations of a plan are going to add.
    coming: frozenset[str] = frozenset()
    on_different = ""  # "stop" or "replace" where an operation offers to replace
    limits: Mapping[str, float] = {}  # of this operation, in the place of the settings

    @property
    def model_key(self) -> str:
        """The lower-cased name of the model that the operation works on."""
        return str(getattr(self, "model_name", None) or self.name).lower()  # type: ignore[attr-defined]

    @property
    def hints(self) -> dict[str, str]:
        """What a router is told where the model is not loaded."""
        return {"model_name": self.model_key}

    def targets(self, site: Site) -> "Sequence[tuple[Contract, Site]]":
        """Return what converges where, in order; more than itself where further tables belong to a model."""
        return [(self, site)]

    def names(self, site: Site) -> Sequence[str]:
        """Return the index names to look up in the table's schema."""
        return ()

    def declared(self, site: Site) -> Sequence[AnyField]:
        """Return the declared fields; their types and the tables that they refer to are looked up."""
        return ()

    def accepts(self, site: Site, found: Table) -> bool:
        """Return whether what the table's name leads to is the declared table."""
        return True

    def probe(self, site: Site, found: Table) -> list[str]:
        """Return DDL for the probe: the declaration, if something of its name exists on the table."""
        raise NotImplementedError

    def read(self, site: Site) -> Any:
        """Return what the catalog has of the declaration, as a snapshot."""
        raise NotImplementedError

    def with_row_facts(self, site: Site, snapshot: Any, *, forwards: bool) -> Any:
        """Return the snapshot with what a plan depends on beyond it; ask only if something is to do."""
        return snapshot

    def inspect(self, site: Site, snapshot: Any) -> list[Finding]:
        """Return the status of each declared component; pure."""
        raise NotImplementedError

    def compare(self, site: Site, snapshot: Any) -> list[Finding]:
        """Return the findings, or the one that the table cannot take the declaration at all."""
        if not getattr(snapshot, "failure", ""):
            return self.inspect(site, snapshot)
        return [
            Finding(
                "declaration",
                self.migration_name_fragment,
                site.table,
                Status.DIFFERENT,
                f"a table that cannot take it: {snapshot.failure}",
                snapshot.declaration,
                "correct by hand what PostgreSQL names, and run again",
            )
        ]

    def plan(self, site: Site, snapshot: Any) -> list[Statement]:
        """Return what this database still needs; pure."""
        raise NotImplementedError

    def plan_backwards(self, site: Site, snapshot: Any) -> list[Statement]:
        """Return what takes away what this database still has; pure."""
        raise NotImplementedError

    def converge(self, site: Site, *, forwards: bool) -> None:
        """Send what this database still needs, or still has, and read again."""
        raise NotImplementedError

    def script(self, site: Site) -> list[Statement]:
        """Return every step, each with the condition under which it is left out."""
        raise NotImplementedError

    def script_backwards(self, site: Site) -> list[Statement]:
        """Return every step back, each with the condition under which it is left out."""
        raise NotImplementedError

    def stops_at(self, finding: Finding) -> bool:
        """Return whether a run stops here rather than put the wanted definition in the other's place."""
        replaces = finding.replaceable and self.on_different == "replace"
        return finding.status is Status.DIFFERENT and not replaces
