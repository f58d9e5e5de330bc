"""The removals, each of which reverses the operation that builds the component."""

from collections.abc import Sequence
from dataclasses import replace

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState

from .base import Convergent
from .catalog.tables import Table
from .components.indexes import compare_index
from .components.leaving import drop_all_foreign_keys
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .refusals import keep
from .site import AnyField, Site
from .statements import Statement

# Raised where a declaration names a field that the model no longer has.
_RENAMED = (FieldDoesNotExist, FieldError)


class Removal(Convergent):
    """Base class of the removals; a mixin, as Convergent is.

    A subclass returns, as its `addition`, the operation that builds the component. A removal going forwards
    sends what the addition would send going backwards, and the other way round.
    Going forwards needs only a name: the declaration may name a field that was renamed since.
    """

    def locate(
        self,
        app_label: str,
        connection: BaseDatabaseWrapper,
        with_operation: ProjectState,
        without: ProjectState,
    ) -> Site | None:
        # Only the state before the removal declares what is removed, so the two states change places.
        return super().locate(app_label, connection, without, with_operation)

    def addition(self, site: Site) -> Convergent:
        """Return the operation that builds the component, as the state before the removal declares it."""
        raise NotImplementedError

    def names(self, site: Site) -> Sequence[str]:
        return self.addition(site).names(site)

    def declared(self, site: Site) -> Sequence[AnyField]:
        return self.addition(site).declared(site)

    def probe(self, site: Site, found: Table) -> list[str]:
        try:
            return self.addition(site).probe(site, found)
        except _RENAMED:
            return []

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        if site.expands:
            return snapshot
        return self.addition(site).with_row_facts(site, snapshot, forwards=not forwards)

    def is_present(self, site: Site, found: Table) -> bool:
        """Return whether the table has a component of that name."""
        raise NotImplementedError

    def is_removable(self, site: Site, snapshot: Snapshot) -> bool:
        """Return whether the component of that name is the one to drop, and not another one."""
        return bool(self.addition(site).plan_backwards(site, snapshot))

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        try:
            finding = self.addition(site).inspect(site, snapshot)[0]
        except _RENAMED:
            finding = self._by_name(site, snapshot)
        if finding.status is Status.BUILDING:
            return [finding]
        if snapshot.found is None or not self.is_present(site, snapshot.found):
            return [Finding(finding.component, finding.name, finding.table, Status.ABSENT)]
        index = snapshot.found.index(finding.name)
        note = "its table has no replica identity without it" if index and index.identity else ""
        left = replace(finding, note=note, replaceable=False)
        if self.is_removable(site, snapshot):
            return [replace(left, status=Status.LEFTOVER, wanted="", fix="")]
        wanted = f"no {finding.component} of that name; what was declared is {finding.wanted}"
        fix = "rename it, or drop it by hand, and run again"
        return [replace(left, status=Status.DIFFERENT, wanted=wanted, fix=fix)]

    def compare(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        """Return the findings, even if the probe failed because the table cannot take the component again."""
        return self.inspect(site, snapshot)

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        if site.expands:
            return self.harmless(site, snapshot)
        return self.addition(site).plan_backwards(site, snapshot)

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements that build the component again.

        Return none if the table is gone. If something else has the name, keep it, log a warning, and return
        none either.
        """
        if snapshot.found is None:
            return []
        try:
            return self._build_again(site, snapshot)
        except _RENAMED as error:
            raise self._impossible(site, error) from error

    def script(self, site: Site) -> list[Statement]:
        return self.addition(site).script_backwards(site)

    def script_backwards(self, site: Site) -> list[Statement]:
        try:
            return self.addition(site).script(site)
        except _RENAMED as error:
            raise self._impossible(site, error) from error

    def harmless(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements that let new code live with the component, which old code still uses.

        Return those that drop it, unless a subclass knows how new code can live with it. A check or a
        uniqueness goes at once: old code misses neither, and both would refuse rows of new code.
        """
        return self.addition(site).plan_backwards(site, snapshot)

    def _build_again(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        addition = self.addition(site)
        different = [each for each in addition.compare(site, snapshot) if addition.stops_at(each)]
        for finding in different:
            what = f"the {finding.component} {finding.name}"
            keep(self, what, f"it is {finding.found}, not the declared {finding.wanted}")
        return [] if different else addition.plan(site, snapshot)

    def _by_name(self, site: Site, snapshot: Snapshot) -> Finding:
        """Return the finding on a part whose declaration names a field that the model no longer has."""
        found, name = snapshot.found, str(self.name)  # type: ignore[attr-defined] # Django's
        component, wanted = self.addition(site).component, "on a field that was renamed since"
        if found is not None and found.index(name) is not None:
            finding = compare_index(site, name, found, None)
            return replace(finding, component=component, wanted=wanted)
        constraint = found.constraint(name) if found else None
        text = constraint.definition if constraint else ""
        return Finding(component, name, site.table, Status.EXISTS, text, wanted)

    def _impossible(self, site: Site, error: Exception) -> Refused:
        return Refused(
            f"{self.describe()}, backwards",
            site.table,
            f"its declaration names a field that was renamed before: {error}",
            "build it by hand, and record the step with migrate --fake",
        )


class RemovalOf(Removal):
    """The removal of the component that a given operation builds.

    label: the text of `describe()`.
    """

    reads_table = False

    def __init__(self, label: str, addition: Convergent) -> None:
        self.label = label
        self._addition = addition

    def describe(self) -> str:
        return self.label

    def addition(self, site: Site) -> Convergent:
        return self._addition

    def read(self, site: Site) -> Snapshot:
        return self._addition.read(site)

    def is_present(self, site: Site, found: Table) -> bool:
        return True

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements that create a missing table, where Removal would build nothing."""
        if snapshot.found is None:
            return self._addition.plan(site, snapshot)
        return super().plan_backwards(site, snapshot)

    def harmless(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements that drop the table's foreign keys to other tables."""
        return drop_all_foreign_keys(site, snapshot.found) if snapshot.found else []
