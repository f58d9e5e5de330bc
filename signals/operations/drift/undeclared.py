"""What no migration declares: parts of a table, and tables that a migration dropped."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Index, UniqueConstraint

from .. import BUILDERS
from ..catalog.indexes import Index as CatalogIndex
from ..catalog.questions import PLACED, Question
from ..catalog.tables import Table
from ..components.columns import definition
from ..components.constraints import drop_constraint
from ..components.indexes import drop_index, replacement_leftovers
from ..components.old_code import copy_of
from ..execution.settings import is_own
from ..findings import Finding, Status
from ..implied import pattern_column, serving
from ..site import Site
from .rows import Row

BY_CONTRACT = "manage.py migrate --phase contract"

_EXCLUDING = ("u", "x")  # pg_constraint.contype of those that compare rows with each other
_KINDS = {"c": "check", "f": "foreign key", "u": "unique", "x": "exclusion", "p": "primary key"}


@dataclass(frozen=True, slots=True)
class Undeclared:
    """Finds the parts of a table that no migration declares.

    operation: CreateTableIfMissing of the table.
    removed: by kind and name, the migration that removed the part.
    awaiting: the kinds and names of those that `migrate --phase contract` removes.
    """

    operation: Any
    site: Site
    removed: Mapping[tuple[str, str], str]
    awaiting: Collection[tuple[str, str]]

    def rows(self, found: Table, known: Iterable[str]) -> Iterator[Row]:
        """Yield a row for each part that no migration declares, or that one removed and that is still there.

        known: the names of the components that have a row.
        """
        site = self.site
        columns = {site.column(each.name) for each in self.operation.declared(site)}
        names = {*known, *self.accepted_names(found)}
        # The columns that await contract, and with them what else of the table refers to them.
        copies = ((copy_of(found, each), each.migration) for each in found.old_code_triggers)
        left = {column: migration for column, migration in copies if column}
        for column in found.columns:
            if column.name not in columns and column.name not in left:
                drop = f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column.name)};"
                is_needed = column.not_null and column.default is None and not column.numbered
                row = self._row(
                    "column", column.name, definition(column), drop, refuses_writes=is_needed
                )
                if row.finding.status is Status.AWAITING:
                    left[column.name] = row.migration
                yield row
        for each in found.constraints:
            if each.kind in _KINDS and each.kind != "p" and each.name not in names:
                if each.kind == "f" and self._is_declared_key(each.columns):
                    continue
                drop = f"{drop_constraint(site, each.name).sql};"
                row = self._row(
                    _KINDS[each.kind],
                    each.name,
                    each.definition,
                    drop,
                    refuses_writes=each.kind in _EXCLUDING,
                )
                yield row if each.kind == "f" else _with_column(row, found, each.columns, left)
        for index in found.indexes:
            if index.constraint is None and index.name not in names:
                drop = f"{drop_index(site, index.name, found).sql};"
                row = self._row(
                    "index", index.name, index.definition, drop, refuses_writes=index.unique
                )
                keys = [key[0].strip('"') for key in index.keys]
                yield _with_column(row, found, keys, left)

    def accepted_names(self, found: Table) -> Iterator[str]:
        """Yield the names of indexes and constraints that are declared, or accepted in the place of these."""
        site = self.site
        for source, part in self.operation.sources(site, None):
            is_named = source.kind in ("index", "constraint")
            for name in part.names(site) if is_named else self._serving_names(found, part):
                yield name
                yield from (spare.name for spare in replacement_leftovers(name, found))
        for names in site.model._meta.unique_together:
            if len(names) == 1:  # of a unique field, Django makes a second one of the same kind
                yield from _names_of(serving("", found, [site.column(names[0])], unique=True))
        for field in self.operation.declared(site):
            if not field.null:  # a check that a killed run left is compared with the column
                yield BUILDERS["not null"](self.operation.name, field.name, field).proof_name(site)
        keys = {
            each.column
            for each in self.operation.declared(site)
            if each.unique or getattr(each, "db_index", False)
        }
        for index in found.indexes:
            if pattern_column(index) in keys:
                yield index.name

    def _row(
        self, component: str, name: str, found: str, drop: str, *, refuses_writes: bool
    ) -> Row:
        removed = self.removed
        kinds = ["column"] if component == "column" else ["constraint", "index"]
        origin = next((removed[kind, name] for kind in kinds if (kind, name) in removed), "")
        status = Status.LEFTOVER if origin else Status.UNDECLARED
        finding = Finding(component, name, self.site.table, status, found, fix=drop)
        if any((kind, name) in self.awaiting for kind in kinds) and not refuses_writes:
            finding = replace(finding, status=Status.AWAITING, fix=BY_CONTRACT)
        if refuses_writes:
            note = "it refuses rows that the models allow"
            finding = replace(finding, note=note, refuses_writes=True)
        return Row(finding, origin)

    def _is_declared_key(self, columns: tuple[str, ...]) -> bool:
        """Return whether the columns have a declared foreign key, for which one of any name is accepted."""
        return any(
            (each.column,) == columns and getattr(each, "db_constraint", False)
            for each in self.operation.declared(self.site)
            if each.is_relation
        )

    def _serving_names(self, found: Table, implied: Any) -> Iterator[str]:
        """Yield the names of the indexes that do what a field implies, and of their constraints."""
        declared = getattr(implied, "index", None) or getattr(implied, "constraint", None)
        if not isinstance(declared, Index | UniqueConstraint):
            return
        columns = [self.site.column(name) for name in declared.fields]
        operator_class = next(iter(getattr(declared, "opclasses", ())), "")
        unique = isinstance(declared, UniqueConstraint)
        yield from _names_of(
            serving(declared.name, found, columns, unique=unique, operator_class=operator_class)
        )


@dataclass(frozen=True, slots=True)
class DroppedTable:
    """A table that a migration dropped.

    awaits: whether `migrate --phase contract` drops it, if it is still there.
    """

    site: Site
    migration: str
    awaits: bool = False

    def question(self, family: int = 0) -> Question:
        """Return the question that asks the catalog whether the table exists."""
        return Question(self.site.table, kind=PLACED, family=family)

    def rows(self, answer: Any) -> Iterator[Row]:
        """Yield a row if the table exists."""
        if answer and ("." in self.site.table or is_own(self.site.connection, answer)):
            name, table = self.site.db_table, self.site.table
            fix = BY_CONTRACT if self.awaits else f"DROP TABLE {table};"
            status = Status.AWAITING if self.awaits else Status.LEFTOVER
            yield Row(Finding("table", name, table, status, fix=fix), self.migration)


def _with_column(row: Row, found: Table, columns: Iterable[str], left: Mapping[str, str]) -> Row:
    """Return the row of a part of these columns, which awaits contract with one of them that does.

    One that refuses the same value twice does so no more if that column may be NULL.

    left: the columns that await contract, with the migrations that removed them.
    """
    leaving = [each for each in found.columns if each.name in columns and each.name in left]
    if not leaving or (row.finding.refuses_writes and all(each.not_null for each in leaving)):
        return row
    finding = replace(row.finding, status=Status.AWAITING, fix=BY_CONTRACT)
    finding = replace(finding, note="", refuses_writes=False)
    return replace(row, finding=finding, migration=left[leaving[0].name])


def _names_of(indexes: Iterable[CatalogIndex]) -> Iterator[str]:
    """Yield the names of the indexes and of their constraints."""
    for index in indexes:
        yield from filter(None, (index.name, index.constraint))
