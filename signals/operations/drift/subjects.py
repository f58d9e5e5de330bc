"""The subjects of a survey: enums, tables and dropped tables, each of which gives its rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ModelState
from django.db.models import ForeignKey
from django.db.models.options import normalize_together

from .. import BUILDERS
from ..base import Convergent
from ..catalog.query import quoted
from ..catalog.questions import Question
from ..catalog.sessions import builds_on
from ..catalog.tables import Column, Table
from ..components.columns import same_column
from ..components.defaults import as_declared
from ..components.old_code import left_for_old_code
from ..components.snapshots import Case, case, question
from ..errors import ConvergenceError
from ..findings import ComparedPart, Finding, Snapshot, Source, Status
from ..site import AnyField, Site
from .details import details, with_persistence, with_triggers
from .history import TABLE_SOURCE, History, ModelHistory, ModelKey, table_of
from .reconciling import Reconciling, is_catalog_only
from .renaming import Candidate, Renaming, candidates
from .rows import Row
from .undeclared import BY_CONTRACT, DroppedTable, Undeclared

TABLE_KINDS = ("r", "p")  # ordinary and partitioned


@dataclass(frozen=True, slots=True)
class DeclaredEnum:
    """An enum, as declared by the last migration that declares it."""

    operation: Any  # CreateEnumIfMissing
    site: Site
    migration: str

    def question(self, family: int = 0) -> Question:
        """Return the question that asks the catalog about the enum."""
        asked: Question = self.operation.question(self.site, family)
        return asked

    def rows(self, answer: Any) -> Iterator[Row]:
        """Yield a row for the type."""
        for finding in self.operation.compare(self.site, self.operation.placed(self.site, answer)):
            yield Row(finding, self.migration, self.operation, self.site)


class DeclaredModel:
    """A model of the replayed state, on a connection."""

    def __init__(
        self, connection: BaseDatabaseWrapper, history: History, key: ModelKey, state: ModelState
    ) -> None:
        self.connection, self.history, self.key, self.state = connection, history, key, state
        self.past = history.models.get(key, ModelHistory())

    def tables(self) -> "Iterator[DeclaredTable]":
        """Yield the table of the model and those of its ManyToManyFields.

        Yield none if the routers or the model's options keep it out of this database.
        """
        model = self.history.state.apps.get_model(*self.key)
        together = normalize_together(self.state.options.get("index_together") or ())
        table = BUILDERS["table"](self.state.name, [], {"index_together": together})
        if not table.allow_migrate_model(self.connection.alias, model):
            return
        table = table.altered(declared_by=dict(self._declared_by()))
        site = Site(self.connection, model, model._meta.db_table)
        (operation, _), *through = table.targets(site)
        yield DeclaredTable(self, table, site, self._origin, is_own=True)
        for operation, place in through:
            name = next(
                each.name
                for each in model._meta.local_many_to_many
                if each.remote_field.through is place.model
            )
            origin = self._origin(Source("field", name))
            yield DeclaredTable(self, operation, place, _always(origin))

    def contradiction(self, error: Exception) -> Row:
        """Return a row for a model that cannot be judged, and why.

        Its migrations contradict themselves, as by an index on a missing field, or a third party's class
        cannot say what it declares. Raise the error if it is the database's.
        """
        if isinstance(error, (Error, ConvergenceError)):
            raise error
        found = f"a declaration that cannot be made into SQL: {type(error).__name__}: {error}"
        wanted = "fields, indexes and constraints that can"
        fix = "correct what the error names, or upgrade the package that it comes from"
        if isinstance(error, (FieldDoesNotExist, FieldError)):
            found = f"migrations that contradict themselves: {error}"
            wanted = "each index and constraint on fields that the model has"
            fix = "add a migration that removes the index or constraint on that field"
        table = quoted(table_of(self.state, self.connection))
        name = self.state.name
        finding = Finding("declaration", name, table, Status.DIFFERENT, found, wanted, fix)
        return Row(finding, self._origin(TABLE_SOURCE))

    def _origin(self, source: Source) -> str:
        return self.history.origin(self.key, source)

    def _declared_by(self) -> Iterator[tuple[str, Convergent]]:
        for kind, option in (("index", "indexes"), ("constraint", "constraints")):
            for part in self.state.options.get(option, []):
                operation = self.history.declared(self.key, Source(kind, part.name), part)
                if operation is not None:
                    yield part.name, operation

    def fills(self, site: Site, found: Table) -> Iterator[tuple[Convergent, str, bool]]:
        """Yield the backfills of columns that are NOT NULL by now, with their migrations.

        The third value says whether the database has the column as NOT NULL. A backfill of a column that
        may be NULL is left out, because a NULL may have been written on purpose since.
        """
        for name, (former, migration) in self.past.fills.items():
            if name not in self.state.fields or site.field(name).null:
                continue
            column = found.column(site.column(name))
            if column is not None:
                operation = former.altered(model_name=self.state.name, name=name)
                yield operation, migration, column.not_null and not column.unproven


def _always(origin: str) -> Callable[[Source], str]:
    return lambda _: origin


class DeclaredTable:
    """One table of a model: its own, or that of a ManyToManyField."""

    def __init__(
        self,
        owner: DeclaredModel,
        operation: Any,
        site: Site,
        origin: Callable[[Source], str],
        *,
        is_own: bool = False,
    ) -> None:
        self.owner, self.operation, self.site, self.origin = owner, operation, site, origin
        self.is_own = is_own
        self._contradiction: Row | None = None

    def question(self, family: int = 0) -> Question:
        """Return the question that asks the catalog about the table."""
        return replace(question(self.operation, self.site, family), details=True)

    def compared(self, answer: Any, path: str = "") -> "ComparedTable":
        """Return the table that was found and its declaration, for the comparison.

        path: the search_path in which the table was found, if not the session's.
        """
        try:
            own = case(self.operation, self.site, answer, path)
            found = own.copy.found if own.copy else None
            if found is None or found.kind not in TABLE_KINDS:
                return ComparedTable(own)
            names = self._undeclared.accepted_names(found)
            others = tuple(candidates(self.operation, self.site, found, names))
            return ComparedTable(own, others, [each.case(self.site, path) for each in others])
        except Exception as error:  # noqa: BLE001 - a field may be of any class
            self._contradiction = self.owner.contradiction(error)
            return ComparedTable(Case(self.operation, self.site, None))

    def parts_alone(self, found: Table) -> list["PartAlone"]:
        """Return the parts by themselves, for a table that cannot take the declaration as a whole."""
        site, fields = self.site, self.operation.declared(self.site)
        name = self.operation.name
        parts = [
            PartAlone(Source("field", each.name), each, BUILDERS["column"](name, each.name, each))
            for each in fields
        ]
        parts += [
            PartAlone(source, part, part) for source, part in self.operation.sources(site, found)
        ]
        return parts

    def needs_own_look(self, found: Table | None) -> bool:
        """Return whether the rows depend on more than the definition: on partitions, builds or values."""
        if found is None or found.kind not in TABLE_KINDS:
            return False
        is_building = any(index.building for index in found.indexes)
        fills = self.owner.fills(self.site, found) if self.is_own else ()
        is_filling = not all(is_done for _, _, is_done in fills)
        return found.kind == "p" or is_building or is_filling

    def rows(self, known: "KnownTable") -> Iterator[Row]:
        """Yield a row for the table and each of its parts, or one if the model contradicts itself."""
        if self._contradiction:
            yield self._contradiction
            return
        try:
            snapshot = self._collated(known.snapshot)
            renamings: dict[str, Renaming] = {}
            for candidate, pretended in known.candidates:
                renaming = candidate.renaming(self.site, self._collated(pretended))
                if renaming and renaming.former not in {each.former for each in renamings.values()}:
                    renamings.setdefault(renaming.name, renaming)
            parts = [
                ComparedPart(each.source, each.subject, finding)
                for each, alone in known.alone
                for finding in each.findings(self.site, alone)
            ]
            yield from list(self._rows(snapshot, renamings, parts))
        except Exception as error:  # noqa: BLE001 - a field may be of any class
            yield self.owner.contradiction(error)

    @property
    def _undeclared(self) -> Undeclared:
        past = self.owner.past
        return Undeclared(self.operation, self.site, past.removed, past.awaiting)

    def _rows(
        self,
        snapshot: Snapshot,
        renamings: Mapping[str, Renaming],
        parts: Sequence[ComparedPart] = (),
    ) -> Iterator[Row]:
        site, operation, found = self.site, self.operation, snapshot.found
        first = with_persistence(next(iter(operation.inspect(site, snapshot))), found)
        yield Row(first, self.origin(TABLE_SOURCE), operation if found is None else None, site)
        if found is None or found.kind not in TABLE_KINDS:
            return
        rows = []
        for part in parts or operation.compared_parts(site, snapshot):
            renaming = renamings.get(part.finding.name)
            if renaming is not None and part.finding.status is Status.MISSING:
                origin = self.origin(part.source)
                rows.append(Row(renaming.finding(site), origin, renaming, site))
            elif row := self._row(part, snapshot):
                rows.append(row)
        yield from rows
        for source, repair, finding in details(site, operation.declared(site), found):
            yield Row(finding, self.origin(source), repair, site)
        yield from self._for_old_code(found)
        names = {row.finding.name for row in rows} | {each.former for each in renamings.values()}
        yield from self._undeclared.rows(found, names)
        for fill, migration, is_done in self.owner.fills(site, found) if self.is_own else ():
            fill_snapshot = Snapshot(found) if is_done else fill.read(site)
            for finding in fill.compare(site, fill_snapshot):
                yield Row(finding, migration, fill, site)

    def _for_old_code(self, found: Table) -> Iterator[Row]:
        """Yield a row for each thing that the phase expand made for old code."""
        fields = {str(each.column): str(each.name) for each in self.operation.declared(self.site)}
        for column, finding, migration in left_for_old_code(self.site, found):
            origin = self.origin(Source("field", fields.get(column, column)))
            awaiting = replace(finding, status=Status.AWAITING, fix=BY_CONTRACT)
            yield Row(awaiting, migration or origin)

    def _collated(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the column's collation wherever the field declares none.

        A field without db_collation says nothing about its column's collation, which plain SQL may have
        set.
        """
        found, wanted = snapshot.found, snapshot.wanted
        if found is None or wanted is None:
            return snapshot
        collations = {
            each.column: column.collation
            for each in self.operation.declared(self.site)
            if not self._declares_collation(each)
            and (column := found.column(str(each.column)))
            and column.collation
        }
        if not collations:
            return snapshot
        columns = tuple(
            replace(each, collation=collations[each.name]) if each.name in collations else each
            for each in wanted.columns
        )
        indexes = tuple(
            replace(each, keys=tuple(_with_collation(key, collations) for key in each.keys))
            for each in wanted.indexes
        )
        return replace(snapshot, wanted=replace(wanted, columns=columns, indexes=indexes))

    def _declares_collation(self, field: AnyField) -> bool:
        """Return whether the field, or the column that a foreign key refers to, declares a collation."""
        return bool(field.db_parameters(self.site.connection).get("collation"))

    def _row(self, part: ComparedPart, snapshot: Snapshot) -> Row | None:
        part = replace(part, finding=snapshot.judged(part.finding))
        finding, operation = part.finding, part.subject
        origin = self.origin(part.source)
        if not isinstance(operation, Convergent):
            finding, operation = self._of_field(part, snapshot)
        elif finding.status is Status.MISSING and self._may_be_absent(part):
            return None
        if finding.status is Status.DIFFERENT and finding.replaceable:
            operation = operation.altered(on_different="replace")
        progress = self._progress() if finding.status is Status.BUILDING else ""
        return Row(finding, origin, operation, self.site, progress)

    def _of_field(self, part: ComparedPart, snapshot: Snapshot) -> tuple[Finding, Convergent]:
        """Return the finding on a column or foreign key, and the operation that would build it."""
        finding, field, site = part.finding, part.subject, self.site
        column, wanted = snapshot.columns(finding.name)
        if column is not None and wanted is not None:
            wanted = as_declared(field, column, wanted)
        declares_none = not self._declares_collation(field)
        if finding.status is Status.UNJUDGED:
            return finding, self._column(field)
        if finding.component == "column" and declares_none and column and column.collation:
            notes = [f"COLLATE {column.collation} in the database, none in the declaration"]
            notes += [finding.note] if finding.note else []
            finding = replace(finding, note="; ".join(notes))
        name = self.operation.name
        if finding.component == "foreign key" and isinstance(field, ForeignKey):
            key = BUILDERS["foreign key"](name, field.name, field, altered_later=True)
            return with_triggers(finding, snapshot.found), key
        if finding.component == "column" and column is not None and not field.null:
            strict = BUILDERS["not null"](name, field.name, field)
            if snapshot.found and snapshot.found.constraint(strict.proof_name(site)):
                if finding.status is Status.EXISTS or _lacks_not_null(column, wanted):
                    return replace(finding, status=Status.UNFINISHED), strict
            elif finding.status is Status.DIFFERENT and _lacks_not_null(column, wanted):
                return replace(finding, replaceable=True), strict
        if finding.status is Status.DIFFERENT and is_catalog_only(finding.fix):
            return replace(finding, replaceable=True), Reconciling(
                "column", finding.name, finding.fix
            )
        return finding, self._column(field)

    def _column(self, field: AnyField) -> Convergent:
        """Return the operation that adds the column, with the default that rows got at the first time."""
        past = self.owner.past
        former = past.operations.get(Source("field", field.name))
        options: dict[str, Any] = {"allow_rewrite": bool(getattr(former, "allow_rewrite", False))}
        options |= former.limits if former else {}
        name = str(field.name)
        if name in past.once:
            field = field.clone()
            field.default = past.once[name]
            options["preserve_default"] = False
        made: Convergent = BUILDERS["column"](self.operation.name, name, field, **options)
        return made

    def _may_be_absent(self, part: ComparedPart) -> bool:
        """Return whether the part is an index for LIKE of a column whose type was changed.

        Django drops such an index when the type changes, so that its absence is no finding.
        """
        if part.source.kind != "field" or not _is_for_patterns(part.subject):
            return False
        field: Any = self.site.field(str(part.source.name))
        pasts, names = self.owner.history.models, set()
        while field is not None:
            key = (field.model._meta.app_label, field.model._meta.model_name)
            names |= {field.name} & pasts.get(key, ModelHistory()).retyped
            field = field.target_field if field.is_relation else None
        return bool(names)

    def _progress(self) -> str:
        for activity in builds_on(self.site.connection, self.site.table):
            if activity.measure:
                done, total, _ = activity.measure
                return f"{100 * done // max(total, 1)} %"
        return ""


def _with_collation(
    key: tuple[str, ...], collations: Mapping[str | None, str | None]
) -> tuple[str, ...]:
    """Return the key of an index with the collation that the column has."""
    expression, operator_class, collation, *rest = key
    name = expression.strip('"')
    return (expression, operator_class, collations.get(name) or collation, *rest)


def _lacks_not_null(column: Column, wanted: Column | None) -> bool:
    """Return whether the column differs from the wanted one in nothing but NOT NULL."""
    return (
        wanted is not None
        and not column.not_null
        and same_column(replace(column, not_null=True), wanted)
    )


def _is_for_patterns(operation: Convergent) -> bool:
    classes = getattr(getattr(operation, "index", None), "opclasses", ())
    return any(each.endswith("_pattern_ops") for each in classes)


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """The cases by which PostgreSQL compares a table with its declaration.

    own: that of the table. candidates, others: what may be there under another name, and the cases of those.
    """

    own: Case
    candidates: Sequence[Candidate] = ()
    others: Sequence[Case] = ()

    def known(self, snapshots: Iterator[Snapshot]) -> "KnownTable":
        """Take the snapshots of the cases, in their order."""
        own = next(snapshots)
        return KnownTable(own, [(each, next(snapshots)) for each in self.candidates])


@dataclass(frozen=True, slots=True)
class PartAlone:
    """A part of a table that is compared by itself; subject as in ComparedPart, operation: what builds it."""

    source: Source
    subject: Any
    operation: Convergent

    def findings(self, site: Site, snapshot: Snapshot) -> Iterator[Finding]:
        """Yield the findings on the part; of a field those on its column and foreign key."""
        for finding in self.operation.compare(site, snapshot):
            is_own = finding.component in ("column", "foreign key", "declaration")
            if self.subject is self.operation or is_own:
                yield finding


@dataclass(frozen=True, slots=True)
class KnownTable:
    """The snapshot of a table, and those in which a candidate has the name that is declared.

    alone: the parts with their snapshots, if the table cannot take the declaration as a whole.
    """

    snapshot: Snapshot
    candidates: Sequence[tuple[Candidate, Snapshot]] = ()
    alone: Sequence[tuple[PartAlone, Snapshot]] = ()


Subject: TypeAlias = DeclaredEnum | DeclaredTable | DroppedTable
