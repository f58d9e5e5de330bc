"""RenameTableIfNeeded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from django.db import models
from django.db.migrations.operations.models import RenameModel
from django.db.migrations.state import ProjectState

from .base import Convergent
from .rename_column import RenameColumnIfNeeded
from .renamed_table import RenamedTable
from .site import Site


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

    @property
    def former_key(self) -> str:
        return str(self.old_name_lower)

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
