"""The rename of one of the tables of a model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .base import Convergent
from .catalog.details import OLD_VIEW, OldView
from .catalog.questions import Question, ask
from .catalog.tables import Table
from .components.old_views import drop_old_view, last_name, make_old_view, rename_table
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .refusals import require_table
from .site import Site
from .statements import Statement


class RenamedTable(Convergent):
    """The rename of one table.

    label: the text of `describe()`. old: the quoted old name. renamed: the new names of its columns by the
    old ones. In its snapshots `behind` is the relation that has the old name.
    """

    reads_table = False

    def __init__(self, label: str, old: str, renamed: Mapping[str, str]) -> None:
        self.label, self.old, self.renamed = label, old, renamed

    def describe(self) -> str:
        return self.label

    def probe(self, site: Site, found: Table) -> list[str]:
        return []

    def read(self, site: Site) -> Snapshot:
        questions = [Question(site.table), Question(self.old, details=True)]
        found, former = ask(site.connection, questions)
        return Snapshot(found, behind=former)

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found, former = snapshot.found, snapshot.behind
        finding = Finding("table", site.model._meta.db_table, site.table, Status.EXISTS)
        if found is None:
            return [replace(finding, status=Status.MISSING)]
        if former is None or _old_view(former) is not None:
            is_half = any(found.column(each) for each in self.renamed)
            return [replace(finding, status=Status.UNFINISHED if is_half else Status.EXISTS)]
        different = replace(finding, status=Status.DIFFERENT, found=f"a table beside {self.old}")
        wanted = f"the only one of the two, {self.old} having been renamed"
        fix = "drop the one of the two that holds nothing, or move its rows, and run again"
        return [replace(different, wanted=wanted, fix=fix)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found, former = snapshot.found, snapshot.behind
        if found is None and isinstance(former, Table):
            require_table(self, site, Snapshot(former))
            self._require_same_schema(site)
            rename = rename_table(site, self.old, found=former, columns=self.renamed)
            return [self._with_view(site, rename, former) if site.expands else rename]
        table = require_table(self, site, snapshot)
        view = _old_view(former)
        if site.expands and view is None:
            steps = self._columns(site, table)
            first = steps or [replace(rename_table(site, self.old, columns={}), sql="")]
            return [self._with_view(site, first[0], table)]
        ends = [drop_old_view(view)] if view and not site.expands else []
        return [*ends, *self._columns(site, table)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found, former = snapshot.found, snapshot.behind
        view = _old_view(former)
        if found is None or (former is not None and view is None):
            return []
        self._require_same_schema(site)
        (back,) = self.script_backwards(site)
        sql = f"{drop_old_view(view).sql}; {back.sql}" if view else back.sql
        return [replace(back, sql=sql)]

    def script(self, site: Site) -> list[Statement]:
        return [rename_table(site, self.old, columns=self.renamed)]

    def script_backwards(self, site: Site) -> list[Statement]:
        former = replace(site, model=site.before or site.model)
        columns = {name: was for was, name in self.renamed.items()}
        return [rename_table(former, site.table, columns=columns)]

    def waits_for(self, site: Site) -> set[tuple[str, str]]:
        fields = site.before._meta.local_fields if site.before else ()
        return {(self.old, str(each.column)) for each in fields}

    def _with_view(self, site: Site, first: Statement, table: Table) -> Statement:
        """Return the statement that makes the view too, in the same transaction."""
        steps = [first.sql, make_old_view(site, self.old, table, self.renamed)]
        return replace(first, sql="; ".join(filter(None, steps)))

    def _columns(self, site: Site, table: Table) -> list[Statement]:
        """Return the statement that renames the columns that a table of the new name still has."""
        columns = {was: name for was, name in self.renamed.items() if table.column(was)}
        if not columns:
            return []
        whole = rename_table(site, site.table, found=table, columns=columns)
        _, _, steps = whole.sql.partition("; ")
        return [replace(whole, sql=steps)]

    def _require_same_schema(self, site: Site) -> None:
        old, new = (name.removesuffix(last_name(name)) for name in (self.old, site.table))
        if old != new:
            raise Refused(
                self.describe(),
                site.table,
                f"{self.old} and {site.table} are in two schemas, and it only renames",
                "move the table by ALTER TABLE ... SET SCHEMA before, or keep the schema in db_table",
            )


def _old_view(former: Any) -> OldView | None:
    """Return the view that the phase expand left under the old name; None if it is something else."""
    comment: str = (former.details.comment or "") if former and former.details else ""
    if former is None or former.kind != "v" or not comment.startswith(OLD_VIEW):
        return None
    return OldView(former.name, former.schema, comment.removeprefix(OLD_VIEW))
