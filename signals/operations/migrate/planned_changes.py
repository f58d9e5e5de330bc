"""Track what the earlier steps of a plan will have changed by the time a later one runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.options import normalize_together

from ..catalog.indexes import Index
from ..catalog.query import quoted
from ..catalog.questions import find_table
from ..catalog.records import Standing
from ..catalog.tables import Column, Constraint, Table, Target
from ..components.columns import type_of
from ..components.foreign_keys import referenced
from ..findings import Finding, Snapshot, Status
from ..site import AnyField, Site

# The catalog objects behind a component, if these have other names.
_KINDS = {
    "check": ("constraint",),
    "exclusion": ("constraint", "index"),
    "foreign key": ("constraint",),
    "not null": ("column",),
    "type": ("column",),
    "unique": ("constraint", "index"),
}


@dataclass(frozen=True, slots=True)
class _CatalogObject:
    """An object of the catalog.

    table: empty for an index, because its name is unique in the schema and not only in the table.
    """

    kind: str
    name: str
    table: str = ""


@dataclass
class PlannedChanges:
    """The changes that the steps of a plan will make, recorded one step after the other.

    made: the new columns, as pairs of quoted table and name; for an enum type the table is empty.
    built: the new indexes and constraints, as such pairs.
    gone: the dropped columns, as such pairs. Indexes and constraints that contain the name count as dropped.
    removed: the other dropped components, as such pairs.
    renamed: for each renamed column its quoted table, its old name and its new one.
    types: the enum types by name, as the steps leave them.
    unnamed: the quoted names of tables that Django's operations drop or rename.
    moved: the quoted names that those give to tables that exist already.
    changing: every object that the steps change.
    new_types: the names of the enum types that the steps create or change.
    """

    made: set[tuple[str, str]] = field(default_factory=set)
    built: set[tuple[str, str]] = field(default_factory=set)
    gone: set[tuple[str, str]] = field(default_factory=set)
    removed: set[tuple[str, str]] = field(default_factory=set)
    renamed: list[tuple[str, str, str]] = field(default_factory=list)
    types: dict[str, Snapshot] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    changing: set[_CatalogObject] = field(default_factory=set)
    new_types: set[str] = field(default_factory=set)

    def take_rename(self, table: str, old: str, new: str) -> None:
        """Record that a column of the quoted table gets another name."""
        self.renamed.append((table, old, new))
        if (table, old) in self.made:
            self.made.remove((table, old))
            self.made.add((table, new))

    def take(self, site: Site, findings: Sequence[Finding]) -> None:
        """Record what an operation with these findings will do."""
        for finding in findings:
            here = (finding.table, finding.name)
            if finding.status is Status.LEFTOVER:
                self.made.discard(here)
                (self.gone if finding.component == "column" else self.removed).add(here)
            elif finding.status is Status.MISSING and finding.component == "column":
                self.made.add(here)
            elif finding.status is Status.MISSING and finding.component == "table":
                options = site.model._meta
                columns = (each.column for each in options.local_fields)
                self.made |= {(finding.table, str(column)) for column in columns}
                parts = (*options.constraints, *options.indexes)
                self.built |= {(finding.table, part.name) for part in parts}
                for option, suffix in (("unique_together", "_uniq"), ("index_together", "_idx")):
                    for names in normalize_together(site.options.get(option) or ()):
                        name = site.name_for([site.column(each) for each in names], suffix)
                        self.built.add((finding.table, name))
            elif finding.status is Status.MISSING and finding.component != "comment":
                self.built.add(here)
            elif finding.status is Status.ABSENT:
                self.built.discard(here)

    def drops_new(self, findings: Sequence[Finding]) -> bool:
        """Return whether an operation with these findings removes what an earlier step builds."""
        return any(
            finding.status is Status.ABSENT and (finding.table, finding.name) in self.built
            for finding in findings
        )

    def take_table(self, old: str, new: str | None) -> None:
        """Record that an operation of Django's renames a table, or drops it if there is no new name."""
        is_planned = any(name == old for name, _ in self.made) and old not in self.moved
        self.unnamed.add(old)
        self.moved.discard(old)
        if new is not None and not is_planned:
            self.moved.add(new)
        for known in (self.made, self.built, self.gone, self.removed):
            parts = {name for table, name in known if table == old}
            known.difference_update({(old, name) for name in parts})
            known.update({(new, name) for name in parts if new is not None})

    def take_changing(self, connection: BaseDatabaseWrapper, finding: Finding) -> None:
        """Record a component that will change.

        The indexes and constraints that contain the name of a changed column or type change with it.
        """
        self.changing |= _objects(finding)
        is_there = finding.component == "column" and finding.status is not Status.MISSING
        is_named = is_there or finding.component == "type"
        table = find_table(connection, finding.table) if is_named else None
        if table is None:
            return
        constraints = (each for each in table.constraints if finding.name in each.definition)
        indexes = (each for each in table.indexes if finding.name in each.definition)
        self.changing |= {
            _CatalogObject("constraint", each.name, finding.table) for each in constraints
        }
        self.changing |= {_CatalogObject("index", each.name) for each in indexes}

    def takes_in(self, finding: Finding) -> bool:
        """Return whether an earlier step changes the component.

        Whether a table can take its declaration may depend on any change of that table.
        """
        if finding.component == "declaration":
            return any(part.table == finding.table for part in self.changing)
        return not self.changing.isdisjoint(_objects(finding))

    def columns_to_come(self, table: str) -> frozenset[str]:
        """Return the columns of the quoted table that will be added or changed."""
        columns = (part for part in self.changing if part.kind == "column" and part.table == table)
        return frozenset(part.name for part in columns)

    def type_by_then(self, operation: Any, snapshot: Snapshot) -> Snapshot:
        """Return the operation's type as the earlier steps leave it; record what the operation adds to it."""
        if snapshot.enum is None:
            self.made.add(("", operation.name))
        known = self.types.get(operation.name, snapshot)
        self.types[operation.name] = operation.outcome(known)
        return known

    def table_by_then(self, site: Site, found: Table | None) -> Table | None:
        """Return the table as the earlier steps leave it; None if it does not exist by then.

        Only the attributes that a plan depends on are exact.
        """
        table = site.table
        found = None if table in self.unnamed else found
        if found is None and not any(name == table for name, _ in self.made):
            return None
        known = found or _empty_table(site)
        for place, old, new in self.renamed:
            known = _with_renamed_column(known, old, new) if place == table else known
        gone = {name for place, name in self.gone if place == table}

        def stays(part: Constraint | Index) -> bool:
            is_removed = (table, part.name) in self.removed
            return not is_removed and not any(name in part.definition for name in gone)

        kept = tuple(column for column in known.columns if column.name not in gone)
        names = {column.name for column in kept}
        # The fields before the operation, because the change that it makes is still to be planned.
        fields = (site.before or site.model)._meta.local_fields
        to_come = [
            _column(site, each)
            for each in fields
            if (table, each.column) in self.made and each.column not in names
        ]
        targets = {
            name: Target(
                0, "r", "p", True, {column: "" for place, column in self.made if place == name}
            )
            for name in referenced(site, site.model._meta.local_fields)
            if any(place == name for place, _ in self.made)
        }
        return replace(
            known,
            columns=(*kept, *to_come),
            constraints=tuple(filter(stays, known.constraints)),
            indexes=tuple(filter(stays, known.indexes)),
            targets={**targets, **known.targets},
        )


def _with_renamed_column(table: Table, old: str, new: str) -> Table:
    """Return the table whose column has the new name; the text of definitions stays."""

    def named(name: str) -> str:
        return {old: new, quoted(old): quoted(new)}.get(name, name)

    return replace(
        table,
        columns=tuple(replace(each, name=named(each.name)) for each in table.columns),
        constraints=tuple(
            replace(each, columns=tuple(map(named, each.columns))) for each in table.constraints
        ),
        indexes=tuple(
            replace(each, keys=tuple((named(key[0]), *key[1:]) for key in each.keys))
            for each in table.indexes
        ),
    )


def _objects(finding: Finding) -> set[_CatalogObject]:
    table = finding.table
    kinds = _KINDS.get(finding.component, (finding.component,))
    return {_CatalogObject(kind, finding.name, "" if kind == "index" else table) for kind in kinds}


def _empty_table(site: Site) -> Table:
    """Return a table that the plan will create, without columns; its OID is 0."""
    return Table(
        oid=0,
        schema="",
        name=site.db_table,
        kind="r",
        standing=Standing.CURRENT,
        temporary=False,
        unlogged=False,
        hides_rows=False,
        pages=0,
        targets={},
        unknown=(),
        nondeterministic=(),
        columns=(),
        constraints=(),
        indexes=(),
        taken=(),
    )


def _column(site: Site, field: AnyField) -> Column:
    """Return a column that the plan will add, as far as the field determines it."""
    return Column(
        name=str(field.column),
        type=type_of(site, field),
        not_null=not field.null,
        default=None,
        collation=None,
        generated="",
        numbered=False,
        unproven=None,
    )
