"""RenameTableIfNeeded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.models import RenameModel
from django.db.migrations.state import ProjectState

from .base import Convergent
from .catalog.details import OLD_VIEW, OldView
from .catalog.questions import Question, ask
from .catalog.tables import Table
from .components.old_views import drop_old_view, last_name, make_old_view, rename_table
from .errors import Refused
from .findings import Finding, Snapshot, Status
from .refusals import require_postgresql, require_table
from .rename_column import RenameColumnIfNeeded
from .site import Site
from .statements import Statement


class RenameTableIfNeeded(Convergent, RenameModel):
    """Rename the table of a model, unless the database has it under its new name.

    The tables of its ManyToManyFields are renamed with it, and the columns that refer to it in those and in
    the ones of other models. Each table is renamed by one statement, so a killed run leaves some under the
    old names, and the next run renames these. Two tables of both names stop the run.

    In the phase expand a view keeps the old name in use until contract: old code reads and writes through it,
    with the rights that it has on the table. A column that gets another name in a table that keeps its own
    needs atomic = False, as with RenameColumnIfNeeded.

    Backwards gives the table its old name, and drops the view.

    old_name, new_name: as for Django's RenameModel.
    """

    stands_for = (RenameModel,)
    is_indifferent = True

    def __init__(self, old_name: str, new_name: str) -> None:
        super().__init__(old_name, new_name)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.old_name, operation.new_name)

    def describe(self) -> str:
        return f"Rename table of {self.old_name} to that of {self.new_name} if needed"

    @property
    def model_key(self) -> str:
        return str(self.new_name_lower)

    def locate(
        self,
        app_label: str,
        connection: BaseDatabaseWrapper,
        with_operation: ProjectState,
        without: ProjectState,
    ) -> Site | None:
        model = with_operation.apps.get_model(app_label, self.new_name)
        if not self.allow_migrate_model(connection.alias, model):
            return None
        require_postgresql(connection, self)
        before = without.apps.get_model(app_label, self.old_name)
        return Site(connection, model, model._meta.db_table, before, without.apps)

    def targets(self, site: Site) -> Sequence[tuple[Convergent, Site]]:
        """Return a target for each table that gets another name, and for each column in other tables."""
        return [
            target for before, after in _pairs(site) for target in self._of(site, before, after)
        ]

    def _of(self, site: Site, before: Any, after: Any) -> Iterator[tuple[Convergent, Site]]:
        place = replace(site, model=after, db_table=after._meta.db_table, before=before)
        fields = [
            (former, later)
            for former, later in zip(
                before._meta.local_fields, after._meta.local_fields, strict=True
            )
            if former.column != later.column
        ]
        if before._meta.db_table != after._meta.db_table:
            columns = {former.column: later.column for former, later in fields}
            old = site.quote(before._meta.db_table)
            yield RenamedTable(self.describe(), old, columns), place
            return
        for former, later in fields:
            name = after._meta.object_name
            yield RenameColumnIfNeeded(name, former.name, later.name), place


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


def _pairs(site: Site) -> Iterator[tuple[Any, Any]]:
    """Yield each table that is concerned, as the model before the operation and the one after it.

    That is the model's own, those of its ManyToManyFields, and those of the ones that refer to it.
    """
    before: Any = site.before
    after: Any = site.model
    yield before, after
    for former, later in zip(
        before._meta.local_many_to_many, after._meta.local_many_to_many, strict=True
    ):
        yield from _through_tables(former, later)
    own = {field.name for field in after._meta.local_many_to_many}
    for relation in after._meta.related_objects:
        if not relation.many_to_many or (
            relation.related_model is after and relation.field.name in own
        ):
            continue
        other: Any = relation.related_model
        apps: Any = site.apps_before
        former = apps.get_model(other._meta.label)._meta.get_field(relation.field.name)
        yield from _through_tables(former, relation.field)


def _through_tables(
    former: Any, later: Any
) -> Iterator[tuple[type[models.Model], type[models.Model]]]:
    through: Any = later.remote_field.through
    if through._meta.auto_created:
        yield former.remote_field.through, through


def _old_view(former: Any) -> OldView | None:
    """Return the view that the phase expand left under the old name; None if it is something else."""
    comment: str = (former.details.comment or "") if former and former.details else ""
    if former is None or former.kind != "v" or not comment.startswith(OLD_VIEW):
        return None
    return OldView(former.name, former.schema, comment.removeprefix(OLD_VIEW))
