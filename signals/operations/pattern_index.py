"""The index for LIKE of an indexed text, which goes or is made anew when the type of its column changes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .catalog.indexes import Index as CatalogIndex
from .catalog.tables import Table
from .create_index import CreateIndexConcurrentlyIfMissing
from .findings import Finding, Snapshot
from .implied import PATTERNS, implied_pattern, is_index_declared, pattern_class, pattern_column
from .site import AnyField, Site
from .statements import Statement

_TYPES = {"varchar_pattern_ops": "character varying", "text_pattern_ops": "text"}
_TEXTS = ("varchar", "text", "citext")  # from which Django drops the index for LIKE with the type


def is_remade(connection: BaseDatabaseWrapper, before: AnyField, after: AnyField) -> bool:
    """Return whether Django drops the index for LIKE because of the type, and makes that of the new type."""
    old, new = (str(field.db_type(connection)) for field in (before, after))
    kind = next((each for each in _TEXTS if old.startswith(each)), None)
    return is_index_declared(before) and kind is not None and not new.startswith(kind)


def remade(
    model_name: str, site: Site, before: AnyField, after: AnyField, found: Table | None
) -> Iterator[CreateIndexConcurrentlyIfMissing]:
    """Yield the operation that makes the index anew for the new type, in the place of the former one."""
    if is_remade(site.connection, before, after):
        for part in implied_pattern(model_name, site, after, found):
            yield _in_place(part, _present(site, after, found)) if found else part


def is_built(before: Any, after: AnyField) -> bool:
    """Return whether the change of the type builds the index, by the types of any PostgreSQL of the settings.

    No connection is opened. A foreign key's type follows another field's, and it gets no such index then.
    """
    servers = (each for each in connections.all() if each.vendor == "postgresql")
    types = next(servers, None)
    if types is None or before is None or before.is_relation or after.is_relation:
        return False
    is_text = str(after.db_type(types)).startswith(tuple(PATTERNS))
    return is_text and is_remade(types, before, after)


def drops(
    site: Site, field: AnyField, other: AnyField, found: Table | None, *, remakes: bool
) -> str:
    """Return SQL that drops the index when the column gets the type of the field; empty if it can stay.

    PostgreSQL changes no type under an index whose operator class does not accept the new one.

    other: the field whose type the column has. found: the table, or None for a printed script, which knows
        Django's name alone. remakes: whether an index of another operator class is replaced afterwards.
    """
    former, wanted = (pattern_class(site, each, found) for each in (other, field))
    if found is None:
        names = [site.name_for([str(field.column)], "_like")] if former not in ("", wanted) else []
    elif wanted and (remakes or wanted == former):
        names = []
    else:
        names = [index.name for index in _present(site, field, found)]
    return "".join(f"DROP INDEX IF EXISTS {site.beside_table(each, found)}; " for each in names)


def restored(
    model_name: str, site: Site, field: AnyField, other: AnyField, found: Table | None
) -> list[Statement]:
    """Return the steps that give the former field its index for LIKE again, if it went with the type.

    site: that of the model before the alteration. field, other: the former field, and the altered one.
        found: the table, or None for a printed script. The index of a partitioned table is that of
        `of_partitions`.
    """
    wanted = pattern_class(site, field, found)
    is_partitioned = found is not None and found.kind == "p"
    if is_partitioned or wanted == pattern_class(site, other, found):
        return []
    for part in implied_pattern(model_name, site, field, found):
        if found is None:
            return part.script(site)
        present = _present(site, field, found)
        indexes = tuple(_of_class(index, wanted) for index in present[:1])
        wished = replace(found, indexes=indexes) if indexes else None
        return _in_place(part, present).plan(site, Snapshot(found, wished))
    return []


def of_partitions(site: Site, field: AnyField, other: AnyField) -> Iterator["_OfPartitions"]:
    """Yield the operation that gives a partitioned table the former field's index for LIKE on the way back.

    Its steps depend on the partitions, and so it is planned when the column has its former type.
    """
    if pattern_class(site, field, None) != pattern_class(site, other, None):
        for part in implied_pattern(str(site.model._meta.model_name), site, field, None):
            yield _OfPartitions(part.model_name, part.index)


class _OfPartitions(CreateIndexConcurrentlyIfMissing):
    """The index for LIKE of a partitioned table, which only the way back of an alteration builds."""

    def probe(self, site: Site, found: Table) -> list[str]:
        return [sql for part in self._wanted(site, found) for sql in part.probe(site, found)]

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        return []

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        return []

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        wanted = self._wanted(site, snapshot.found)
        return [step for part in wanted for step in part.plan(site, snapshot)]

    def converge(self, site: Site, *, forwards: bool) -> None:
        if not forwards:
            super().converge(site, forwards=forwards)

    def script(self, site: Site) -> list[Statement]:
        return []

    def script_backwards(self, site: Site) -> list[Statement]:
        return []

    def _wanted(self, site: Site, found: Table | None) -> list[CreateIndexConcurrentlyIfMissing]:
        """Return the operation that builds the index; none as long as the column has another type."""
        ((name, _),) = self.index.fields_orders
        field = site.field(name)
        column = found.column(str(field.column)) if found else None
        if found is None or found.kind != "p" or column is None:
            return []
        if not column.type.startswith(_TYPES.get(pattern_class(site, field, found), "\0")):
            return []
        present = _present(site, field, found)
        return [
            _in_place(part, present)
            for part in implied_pattern(self.model_name, site, field, found)
        ]


def _present(site: Site, field: AnyField, found: Table) -> list[CatalogIndex]:
    """Return the table's indexes for LIKE on the field's column that Django has made, of whichever names."""
    declared = {index.name for index in site.model._meta.indexes}
    return [
        index
        for index in found.indexes
        if pattern_column(index) == field.column
        and index.name.endswith("_like")
        and index.name not in declared
    ]


def _in_place(
    part: CreateIndexConcurrentlyIfMissing, present: list[CatalogIndex]
) -> CreateIndexConcurrentlyIfMissing:
    """Return the operation that replaces the index for LIKE that is there, which keeps its name."""
    if not present:
        return part
    index: Any = part.index.clone()
    index.name = present[0].name
    return part.altered(index=index, on_different="replace")


def _of_class(index: CatalogIndex, operator_class: str) -> CatalogIndex:
    """Return the index of one column with another operator class."""
    (expression, _, *rest), *_ = index.keys
    return replace(index, keys=((expression, operator_class, *rest),))
