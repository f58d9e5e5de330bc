"""What an operation answers when it is asked about a database; no engine."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any, Self

from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from .alteration import Alteration
from .catalog.tables import Table
from .findings import Finding, Snapshot, Status
from .site import AnyField, Site
from .statements import Statement

OF_A_KEY = "it makes or undoes a primary key"


class Contract(Operation):
    """What every operation answers: what to look at, what that means, and what to send.

    A subclass says what to look at (`names`, `probe`), what that means (`inspect`) and what to send
    (`plan`, `plan_backwards`, `script`, `script_backwards`).
    """

    on_different = ""  # "stop" or "replace" where an operation offers to replace
    limits: Mapping[str, float] = {}  # of this operation, in the place of the settings
    component = ""  # what it declares, as a finding names it
    has_safe_script = False  # whether its script proves what it enforces, and so fits any rows
    is_indifferent = False  # whether a transaction makes no difference to it
    needs_state = False  # whether `needs_autocommit` looks at the state
    makes_type = False  # whether it declares a type, and no part of a table
    fills_rows = False  # whether it changes rows, and no definition
    reads_table = True  # whether its `read` is that of the base
    stands_for: tuple[type[Operation], ...] = ()  # Django's very classes, not their subclasses
    alteration_turn = 0  # its place among the operations that make one alteration together
    altered_later: Any = None  # the flag, where an operation takes it

    @classmethod
    def from_stock(
        cls, operation: Any, before: ProjectState, app_label: str
    ) -> "Contract | str | None":
        """Return the operation in the place of one that it stands for, or why none is possible.

        None if another class stands for it. before: the models without the operation.
        """
        return None

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> "Contract | None":
        """Return the operation that makes one of the alteration's changes; None if it makes none."""
        return None

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

    def read(self, site: Site) -> Snapshot:
        """Return what the catalog has of the declaration, as a snapshot."""
        raise NotImplementedError

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        """Return the snapshot with what a plan depends on beyond it; ask only if something is to do."""
        return snapshot

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        """Return the status of each declared component; pure."""
        raise NotImplementedError

    def compare(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        """Return the findings, or the one that the table cannot take the declaration at all."""
        if not snapshot.failure:
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

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return what this database still needs; pure."""
        raise NotImplementedError

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
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

    def altered(self, **attributes: Any) -> Self:
        """Return a copy of the operation that has other attributes."""
        other = copy(self)
        vars(other).update(attributes)
        return other

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether the operation, forwards and with something to do, is refused in a transaction.

        before: the state without the operation. What depends on the database alone is not known.
        """
        return False

    def knowing_altered(self, altered: Collection[tuple[str, str]]) -> Self:
        """Return the operation with `altered_later` where a later operation alters what it declares.

        altered: lower-cased names of models and fields that later operations alter.
        """
        if self.altered_later is None:
            return self
        key = (self.model_key, str(getattr(self, "name", "")).lower())
        flag = self.altered_later or key in altered
        return self if flag == self.altered_later else self.altered(altered_later=flag)

    def waits_for(self, site: Site) -> set[tuple[str, str]]:
        """Return what has to exist before the operation can be planned, as quoted table and column.

        The table of a type is empty.
        """
        return set()

    def outcome(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot as the operation leaves it, where later ones are planned from it."""
        return snapshot

    def postponing(self, tables: frozenset[str]) -> Self:
        """Return the operation without its foreign keys to the quoted tables, which are still to come."""
        return self

    def postponed_script(self, site: Site) -> list[Statement]:
        """Return what makes the foreign keys that it postpones, as `script` does."""
        return []

    def stops_at(self, finding: Finding) -> bool:
        """Return whether a run stops here rather than put the wanted definition in the other's place."""
        replaces = finding.replaceable and self.on_different == "replace"
        return finding.status is Status.DIFFERENT and not replaces
