"""The parts of a table that no migration declares."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Index, UniqueConstraint

from .. import BUILDERS
from ..catalog.indexes import Index as CatalogIndex
from ..catalog.tables import Table
from ..components.columns import definition
from ..components.constraints import drop_constraint
from ..components.indexes import drop_index, replacement_leftovers
from ..findings import Finding, Status
from ..implied import pattern_column, serving
from ..site import Site
from .rows import Row

_EXCLUDING = ("u", "x")  # pg_constraint.contype of those that compare rows with each other
_KINDS = {"c": "check", "f": "foreign key", "u": "unique", "x": "exclusion", "p": "primary key"}


@dataclass(frozen=True, slots=True)
class Undeclared:
    """Finds the parts of a table that no migration declares.

    operation: CreateTableIfMissing of the table.
    removed: by kind and name, the migration that removed the part.
    """

    operation: Any
    site: Site
    removed: Mapping[tuple[str, str], str]

    def rows(self, found: Table, known: Iterable[str]) -> Iterator[Row]:
        """Yield a row for each part that no migration declares, or that one removed and that is still there.

        known: the names of the components that have a row.
        """
        site = self.site
        columns = {site.column(each.name) for each in self.operation.declared(site)}
        names = {*known, *self.accepted_names(found)}
        for column in found.columns:
            if column.name not in columns:
                drop = f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column.name)};"
                is_needed = column.not_null and column.default is None and not column.numbered
                yield self._row(
                    "column", column.name, definition(column), drop, refuses_writes=is_needed
                )
        for each in found.constraints:
            if each.kind in _KINDS and each.kind != "p" and each.name not in names:
                if each.kind == "f" and self._is_declared_key(each.columns):
                    continue
                drop = f"{drop_constraint(site, each.name).sql};"
                yield self._row(
                    _KINDS[each.kind],
                    each.name,
                    each.definition,
                    drop,
                    refuses_writes=each.kind in _EXCLUDING,
                )
        for index in found.indexes:
            if index.constraint is None and index.name not in names:
                drop = f"{drop_index(site, index.name, found).sql};"
                yield self._row(
                    "index", index.name, index.definition, drop, refuses_writes=index.unique
                )

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


def _names_of(indexes: Iterable[CatalogIndex]) -> Iterator[str]:
    """Yield the names of the indexes and of their constraints."""
    for index in indexes:
        yield from filter(None, (index.name, index.constraint))
