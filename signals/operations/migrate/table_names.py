"""Follow the names of tables, and of their indexes, through the steps of a plan."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from django.contrib.postgres.operations import CreateExtension
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as stock
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import IndexOperation, ModelOperation
from django.db.migrations.state import ProjectState

from ..catalog.tables import Relation
from ..components.indexes import compare_name
from ..contract import Contract
from ..findings import Finding, Snapshot
from ..site import Site

Walked = tuple[Operation, ProjectState, ProjectState]

_RENAMING = (stock.AlterModelTable, stock.DeleteModel, stock.RenameModel)
# The application that puts an operation of its own behind each RenameModel, where it is installed.
_CONTENT_TYPES = "django.contrib.contenttypes.management"
# What leaves every name of an index to the index that has it.
_KEEPING = (
    CreateExtension,
    stock.AddConstraint,
    stock.AddField,
    stock.AddIndex,
    stock.AlterModelManagers,
    stock.AlterModelOptions,
    stock.AlterModelTableComment,
    stock.CreateModel,
    stock.RenameField,
)
_REMOVING = (
    stock.AlterIndexTogether,
    stock.AlterUniqueTogether,
    stock.RemoveConstraint,
    stock.RemoveField,
    stock.RemoveIndex,
    stock.RenameIndex,
)


def renamed_tables(
    connection: BaseDatabaseWrapper, label: str, walked: Walked
) -> Iterator[tuple[str, str | None]]:
    """Yield the quoted names of each table that an operation of Django's renames: the old and the new one.

    There is no new one if it drops the table.
    """
    operation, before, after = walked
    models: tuple[Any, Any]
    match operation:
        case stock.RenameModel(old_name=old, new_name=new):
            models = before.apps.get_model(label, old), after.apps.get_model(label, new)
        case stock.AlterModelTable(name=name) | stock.RenameField(model_name=name):
            models = before.apps.get_model(label, name), after.apps.get_model(label, name)
        case stock.DeleteModel(name=name):
            models = before.apps.get_model(label, name), None
        case _:
            return
    former, later = (tables_of(connection, each) if each else [] for each in models)
    for old, new in zip_longest(former, later):
        if old != new and old is not None:
            yield old, new


def tables_of(connection: BaseDatabaseWrapper, model: Any) -> list[str]:
    """Return the quoted names of the model's table and of those behind its ManyToManyFields."""
    through = (each.remote_field.through._meta for each in model._meta.local_many_to_many)
    metas = [model._meta, *(each for each in through if each.auto_created)]
    return [Site(connection, each.model, each.db_table).table for each in metas]


@dataclass
class IndexNames:
    """The names of indexes that a plan makes in one app, or that go with the tables that it renames.

    holders: the quoted table of each. renamed: the new names of tables that exist now, by the old ones.
    freed: the plain names of tables of which a step may free names.
    is_known: whether every step so far says which names it frees.
    """

    holders: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    is_known: bool = True

    def take(self, operation: Contract, site: Site) -> None:
        """Record what a convergent operation will have made, or dropped."""
        if isinstance(operation, _REMOVING):
            self._forget(site.table)
        elif site.db_table:  # an enum has none
            for each, place in operation.targets(site):
                self.holders |= dict.fromkeys(each.names(place), place.table)

    def take_stock(self, connection: BaseDatabaseWrapper, label: str, walked: Walked) -> None:
        """Record what an operation of Django's will have done, and forget what it may have changed."""
        operation: Any = walked[0]
        if isinstance(operation, _RENAMING):
            for old, new in list(renamed_tables(connection, label, walked)):
                self._move(old, new)
        elif isinstance(operation, _KEEPING) or type(operation).__module__ == _CONTENT_TYPES:
            return
        elif isinstance(operation, ModelOperation | FieldOperation | IndexOperation):
            name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
            for table in tables_of(connection, walked[1].apps.get_model(label, name)):
                self._forget(table)
        else:
            self._forget_all()

    def pass_over(self, operation: Contract) -> None:
        """Record a convergent operation of which nothing is known but its class."""
        if not isinstance(operation, _KEEPING):
            self._forget_all()

    def in_the_way(self, operation: Contract, site: Site) -> Iterator[Finding]:
        """Yield a finding for each index name that a table which the operation is to create cannot get."""
        for each, place in operation.targets(site):
            if isinstance(each, stock.CreateModel):
                snapshot = each.read(place)
                for name in each.names(place):
                    relation = self._holder(name, place, snapshot)
                    if relation is not None:
                        finding = compare_name(place, relation, None)
                        yield replace(
                            finding, fix=f"{finding.fix} by RunSQL, before this operation"
                        )

    def _holder(self, name: str, site: Site, snapshot: Snapshot) -> Relation | None:
        """Return what will have the name when the table is created; None for a table that exists then."""
        table, later = self.holders.get(name), self.renamed.get(site.table)
        if snapshot.found is not None and later is None:
            return None
        if table is not None:
            return Relation(name, "i", table) if table != site.table else None
        if snapshot.found is not None:
            return Relation(name, "i", str(later)) if snapshot.found.index(name) else None
        taken = snapshot.taken if self.is_known else ()
        stay = (each for each in taken if each.table.replace('"', "") not in self.freed)
        return next((each for each in stay if each.name == name), None)

    def _move(self, old: str, new: str | None) -> None:
        """Record that a table gets another name, or is dropped if there is none."""
        if new is None:
            self._forget(old)
            return
        self.holders = {
            name: new if table == old else table for name, table in self.holders.items()
        }
        self.renamed = {was: new if now == old else now for was, now in self.renamed.items()}
        self.renamed[old] = new

    def _forget(self, table: str) -> None:
        """Forget the names of a table's indexes, some of which a step may free."""
        self.freed.add(table.replace('"', ""))
        self.holders = {name: each for name, each in self.holders.items() if each != table}
        self.renamed = {old: new for old, new in self.renamed.items() if new != table}

    def _forget_all(self) -> None:
        self.holders, self.renamed, self.is_known = {}, {}, False
