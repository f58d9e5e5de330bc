"""The contract of the operations: what the loop, the commands and the conversion may ask of each."""

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

OF_A_KEY = "it adds or removes a primary key"


class Contract(Operation):
    """Base class of the operations, which states what each of them has to answer.

    A subclass defines what is read from the catalog (`names`, `probe`), the status that follows (`inspect`)
    and the statements to send (`plan`, `plan_backwards`) or to print (`script`, `script_backwards`).
    """

    on_different = ""  # "stop" or "replace"; empty if the operation cannot replace
    limits: Mapping[str, float] = {}  # of this operation, in the place of the settings
    component = ""  # the kind of component that it declares, as a finding names it
    has_safe_script = False  # whether its script validates before it enforces, and so fits any rows
    is_indifferent = False  # whether it may run inside or outside a transaction alike
    needs_state = False  # whether `needs_autocommit` looks at the state
    makes_type = False  # whether it declares a type, and no part of a table
    fills_rows = False  # whether it changes rows, and no definition
    reads_table = True  # whether its `read` is that of the base
    reads_details = False  # whether it looks at the comments of the table
    stands_for: tuple[type[Operation], ...] = ()  # Django's very classes, not their subclasses
    alteration_turn = 0  # its place among the operations that make one alteration together
    altered_later: Any = None  # the argument of that name; None if the operation has none

    @classmethod
    def from_stock(
        cls, operation: Any, before: ProjectState, app_label: str
    ) -> "Contract | str | None":
        """Return the convergent operation for a stock one, or the reason why there is none.

        Return None if another class stands for it. before: the state without the operation.
        """
        return None

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> "Contract | None":
        """Return the operation that makes one of the alteration's changes; None if it makes none."""
        return None

    @property
    def model_key(self) -> str:
        """Return the lower-cased name of the model that the operation works on."""
        return str(getattr(self, "model_name", None) or self.name).lower()  # type: ignore[attr-defined]

    @property
    def former_key(self) -> str:
        """Return the lower-cased name that the model has without the operation."""
        return self.model_key

    @property
    def hints(self) -> dict[str, str]:
        """Return the hints for the routers, to be used if the model is not loaded."""
        return {"model_name": self.model_key}

    def targets(self, site: Site) -> "Sequence[tuple[Contract, Site]]":
        """Return the operations to run, in order, each with its site.

        That is the operation itself, and others if further tables belong to the model.
        """
        return [(self, site)]

    def names(self, site: Site) -> Sequence[str]:
        """Return the index names to look up in the table's schema."""
        return ()

    def declared(self, site: Site) -> Sequence[AnyField]:
        """Return the declared fields, whose types and referenced tables are looked up in the catalog."""
        return ()

    def accepts(self, site: Site, found: Table) -> bool:
        """Return whether the relation that the table's name resolves to is the declared table."""
        return True

    def probe(self, site: Site, found: Table) -> list[str]:
        """Return DDL that builds the declaration on the probe; none if the table has nothing to compare."""
        raise NotImplementedError

    def read(self, site: Site) -> Snapshot:
        """Return a snapshot of the table, with the probe to compare it with."""
        raise NotImplementedError

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        """Return the snapshot with the facts about rows that a plan needs.

        Query the database only if there is something to plan.
        """
        return snapshot

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        """Return the status of each declared component; pure."""
        raise NotImplementedError

    def compare(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        """Return the findings; if the table cannot take the declaration, the one finding that says so."""
        if not snapshot.failure:
            return [snapshot.judged(each) for each in self.inspect(site, snapshot)]
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
        """Return the statements that the database still needs; pure."""
        raise NotImplementedError

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements that remove what the database still has; pure."""
        raise NotImplementedError

    def converge(self, site: Site, *, forwards: bool) -> None:
        """Bring the database to the declaration or, backwards, remove the declaration from it."""
        raise NotImplementedError

    def script(self, site: Site) -> list[Statement]:
        """Return all steps for a printed script, each with the condition under which it is left out."""
        raise NotImplementedError

    def script_backwards(self, site: Site) -> list[Statement]:
        """Return all steps back for a printed script, each with the condition under which it is left out."""
        raise NotImplementedError

    def plain_script(self, site: Site, *, forwards: bool) -> list[Statement]:
        """Return the steps for a database that has nothing of the operation, or backwards all of it."""
        steps = self.script(site) if forwards else self.script_backwards(site)
        return [step for step in steps if not step.only_refuses]

    @property
    def declared_fields(self) -> list[AnyField]:
        """Return the fields that the migration declares in the operation."""
        fields = [getattr(self, "field", None), *dict(getattr(self, "fields", ())).values()]
        return [field for field in fields if field is not None]

    def altered(self, **attributes: Any) -> Self:
        """Return a copy of the operation with these attributes changed."""
        other = copy(self)
        vars(other).update(attributes)
        return other

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether a transaction would refuse the operation, going forwards with something to do.

        Answer from the declaration, without a database. before: the state without the operation.
        """
        return False

    def knowing_altered(self, altered: Collection[tuple[str, str]]) -> Self:
        """Return the operation, with `altered_later` set if a later operation alters its field.

        altered: the lower-cased names of the models and fields that later operations alter.
        """
        if self.altered_later is None:
            return self
        key = (self.model_key, str(getattr(self, "name", "")).lower())
        flag = self.altered_later or key in altered
        return self if flag == self.altered_later else self.altered(altered_later=flag)

    def waits_for(self, site: Site) -> set[tuple[str, str]]:
        """Return the columns and types that must exist before the operation can be planned.

        Each is a pair of quoted table and name; for a type the table is empty.
        """
        return set()

    def outcome(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot as the operation leaves it, for planning later operations."""
        return snapshot

    def postponing(self, tables: frozenset[str]) -> Self:
        """Return the operation without its foreign keys to these quoted tables, which are created later."""
        return self

    def postponed_script(self, site: Site) -> list[Statement]:
        """Return the steps for the postponed foreign keys, in the form of `script`."""
        return []

    def stops_at(self, finding: Finding) -> bool:
        """Return whether the finding stops a run: its definition differs and is not to be replaced."""
        replaces = finding.replaceable and self.on_different == "replace"
        return finding.status is Status.DIFFERENT and not replaces
