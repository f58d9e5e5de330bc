"""What stands of the folded declarations: a row for each component, with what would build it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ModelState
from django.db.models import ForeignKey, Index, UniqueConstraint
from django.db.models.options import normalize_together

from signals.operations import session
from signals.operations.activity import Sessions
from signals.operations.add_column import AddColumnIfMissing
from signals.operations.add_foreign_key import AddForeignKeyIfMissing
from signals.operations.backfill import BackfillInBatches
from signals.operations.base import Convergent
from signals.operations.catalog import PLACED, Catalog, Column, Question, Table, quoted
from signals.operations.catalog import Index as CatalogIndex
from signals.operations.columns import definition, same_column
from signals.operations.constraints import drop_constraint
from signals.operations.create_enum import CreateEnumIfMissing
from signals.operations.create_index import CreateIndexConcurrentlyIfMissing
from signals.operations.create_table import CreateTableIfMissing
from signals.operations.findings import Finding, Piece, Snapshot, Source, Status
from signals.operations.implied import serving
from signals.operations.indexes import drop_index, spares
from signals.operations.ledger import TABLE, Ledger, Memory, ModelKey, fold, graph, table_of
from signals.operations.set_not_null import SetNotNullIfNullable
from signals.operations.site import AnyField, Site
from signals.operations.snapshots import Case, case, compare, question

_TABLES = ("r", "p")  # ordinary and partitioned
_KINDS = {"c": "check", "f": "foreign key", "u": "unique", "x": "exclusion", "p": "primary key"}


@dataclass(frozen=True, slots=True)
class Row:
    """A component: what is found of it, the migration that declares it, and what would build it where.

    progress: of another session's build, as in 42 %.
    """

    finding: Finding
    migration: str
    operation: Convergent | None = None
    site: Site | None = None
    progress: str = ""

    def is_wrong(self, *, strict: bool = False) -> bool:
        """Whether it is a finding; what no migration declares is a note, unless strict."""
        status = self.finding.status
        return strict if status is Status.UNDECLARED else not status.is_right

    def is_repairable(self, *, replacing: bool = False) -> bool:
        """Whether a run of the operation would put it right."""
        status = self.finding.status
        if self.operation is None:
            return False
        if status is Status.DIFFERENT:
            return replacing and self.finding.replaceable
        return status in (Status.MISSING, Status.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Survey:
    """The rows of one schema of one database."""

    database: str
    schema: str
    migrations: int
    rows: tuple[Row, ...]

    def is_clean(self, *, strict: bool = False) -> bool:
        """Whether every component stands as declared, or is gone as declared."""
        return not any(row.is_wrong(strict=strict) for row in self.rows)


def survey(
    connection: BaseDatabaseWrapper, app_label: str | None = None, migration: str | None = None
) -> Survey:
    """Judges what the applied migrations declare, or those of one app, or one of them; changes nothing.

    A few round trips, whatever the number of tables. Raises BadMigrationError where the migrations make
    no graph.
    """
    ledger = fold(connection, graph(connection))
    declared = Declared(connection, ledger, app_label, migration)
    return Survey(
        connection.alias,
        Catalog(connection).place().schema or "",
        declared.migrations,
        tuple(declared.rows()),
    )


def patient_survey(
    connection: BaseDatabaseWrapper, app_label: str | None = None, migration: str | None = None
) -> Survey:
    """As `survey`; where the session's timeouts cut it off, once more without them."""
    return session.in_time(connection, partial(survey, connection, app_label, migration))


class Declared:
    """What a ledger declares on a connection: a subject for each enum and table that is judged.

    app_label, migration: of these alone; migration: its name. stated: rows that no catalog has to be asked
    for.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        ledger: Ledger,
        app_label: str | None = None,
        migration: str | None = None,
    ) -> None:
        self.connection, self.ledger = connection, ledger
        self.app_label, self.migration = app_label, migration
        self.stated: list[Row] = list(self.asked_for(_unknown(ledger)))
        self.subjects: list[Subject] = [*self._enums(), *self._tables(), *self._dropped()]
        applied = [each for each in ledger.applied if app_label in (None, each.app_label)]
        self.migrations = len(applied)

    def rows(self) -> Iterator[Row]:
        """Reads the database where the session is, and judges."""
        answers = Catalog(self.connection).ask([each.question() for each in self.subjects])
        asked = [(each, answer, "") for each, answer in zip(self.subjects, answers, strict=True)]
        yield from self.stated
        for subject, known in zip(self.subjects, seen(self.connection, asked), strict=True):
            yield from self.asked_for(subject.rows(known))

    def asked_for(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those of the app, and of the migration."""
        for row in rows:
            app, _, name = row.migration.partition(".")
            if self.app_label in (None, app or self.app_label) and self.migration in (None, name):
                yield row

    def _enums(self) -> "Iterator[Subject]":
        editor = self.connection.SchemaEditorClass(self.connection, collect_sql=True)
        state = self.ledger.state
        for operation, app, migration in self.ledger.enums.values():
            site = operation.locate(app, editor, state, state)
            if site and self.app_label in (None, app):
                yield JudgedEnum(operation, site, migration)

    def _tables(self) -> "Iterator[Subject]":
        for key, model in self.ledger.state.models.items():
            if self.app_label not in (None, key[0]) or not self._is_of(key):
                continue
            judged = _Model(self.connection, self.ledger, key, model)
            try:
                tables = list(judged.tables())
                for table in tables:
                    table.question()
            except (FieldDoesNotExist, FieldError) as error:
                self.stated += self.asked_for([judged.contradiction(error)])
            else:
                yield from tables

    def _is_of(self, key: ModelKey) -> bool:
        """Whether the migration declared, removed or filled anything of the model."""
        memory = self.ledger.models.get(key, Memory())
        labels = {*memory.origins.values(), *memory.removed.values()}
        labels |= {label for _, label in memory.fills.values()}
        return self.migration is None or f"{self.app_label}.{self.migration}" in labels

    def _dropped(self) -> "Iterator[Subject]":
        """Tables that a migration dropped, and that no other model has."""
        models = self.ledger.state.models.values()
        declared = {table_of(each, self.connection) for each in models}
        for name, migration in self.ledger.dropped.items():
            if name not in declared:
                yield DroppedTable(Site(self.connection, _no_model(name), name), migration)


@dataclass(frozen=True, slots=True)
class JudgedEnum:
    """An enum, as the last of the migrations declares it."""

    operation: CreateEnumIfMissing
    site: Site
    migration: str

    def question(self, family: int = 0) -> Question:
        """What has to be known of it."""
        return self.operation.question(self.site, family)

    def rows(self, answer: Any) -> Iterator[Row]:
        """A row for the type."""
        for finding in self.operation.assess(self.site, self.operation.placed(answer)):
            yield Row(finding, self.migration, self.operation, self.site)


@dataclass(frozen=True, slots=True)
class DroppedTable:
    """A table that a migration dropped."""

    site: Site
    migration: str

    def question(self, family: int = 0) -> Question:
        """Whether it is there."""
        return Question(self.site.table, kind=PLACED, family=family)

    def rows(self, answer: Any) -> Iterator[Row]:
        """A row if it is."""
        if answer:
            name, table = self.site.db_table, self.site.table
            fix = f"DROP TABLE {table};"
            yield Row(Finding("table", name, table, Status.LEFTOVER, fix=fix), self.migration)


def seen(connection: BaseDatabaseWrapper, asked: Sequence[tuple["Subject", Any, str]]) -> list[Any]:
    """By what each subject is judged: a table beside its declaration, any other answer as it is.

    asked: each with its answer and the search_path of it, if that is not the session's.
    """
    cases = [
        subject.case(answer, path)
        for subject, answer, path in asked
        if isinstance(subject, JudgedTable)
    ]
    snapshots = iter(compare(connection, cases))
    return [
        next(snapshots) if isinstance(subject, JudgedTable) else answer
        for subject, answer, _ in asked
    ]


def _unknown(ledger: Ledger) -> Iterator[Row]:
    """Records of migrations that the installed apps do not have, nor one that replaces them."""
    for app, name in ledger.unknown:
        found = f"{app}.{name} is recorded as applied, and {app} has no such migration"
        prune = f"install the code that has it, or, if it is gone for good, migrate --prune {app}"
        table = quoted(MigrationRecorder.Migration._meta.db_table)
        finding = Finding("migration", name, table, Status.UNDECLARED, found, fix=prune)
        yield Row(finding, f"{app}.{name}")


def _no_model(table: str) -> Any:
    """Stands where only the name of a table is asked for."""
    meta = type("Meta", (), {"db_table": table})
    return type("NoModel", (), {"_meta": meta})


class _Model:
    """A model of the folded state on a connection."""

    def __init__(
        self, connection: BaseDatabaseWrapper, ledger: Ledger, key: ModelKey, state: ModelState
    ) -> None:
        self.connection, self.ledger, self.key, self.state = connection, ledger, key, state
        self.memory = ledger.models.get(key, Memory())

    def tables(self) -> "Iterator[JudgedTable]":
        """Its own and those of its ManyToManyFields; none where routers or options keep this database out."""
        model = self.ledger.state.apps.get_model(*self.key)
        together = normalize_together(self.state.options.get("index_together") or ())
        table = CreateTableIfMissing(self.state.name, [], {"index_together": together})
        if not table.allow_migrate_model(self.connection.alias, model):
            return
        table.declared_by = dict(self._declared_by())
        site = Site(self.connection, model, model._meta.db_table)
        (operation, _), *through = table.targets(site)
        yield JudgedTable(self, table, site, self._origin, is_own=True)
        for operation, place in through:
            name = next(
                each.name
                for each in model._meta.local_many_to_many
                if each.remote_field.through is place.model
            )
            origin = self._origin(Source("field", name))
            yield JudgedTable(self, operation, place, _always(origin))

    def contradiction(self, error: Exception) -> Row:
        """For migrations whose folded state contradicts itself, as an index on a field that is none."""
        table = quoted(table_of(self.state, self.connection))
        finding = Finding(
            "declaration",
            self.state.name,
            table,
            Status.DIFFERENT,
            f"migrations that contradict themselves: {error}",
            "each index and constraint on fields that the model has",
            "correct the migrations by one that removes what names that field",
        )
        return Row(finding, self._origin(TABLE))

    def _origin(self, source: Source) -> str:
        return self.ledger.origin(self.key, source)

    def _declared_by(self) -> Iterator[tuple[str, Convergent]]:
        for kind, option in (("index", "indexes"), ("constraint", "constraints")):
            for part in self.state.options.get(option, []):
                operation = self.ledger.declared(self.key, Source(kind, part.name), part)
                if operation is not None:
                    yield part.name, operation

    def fills(self, site: Site, found: Table) -> Iterator[tuple[BackfillInBatches, str, bool]]:
        """The backfills whose column is declared NOT NULL by now, and whether it is so found.

        In a column that may be NULL, whoever wrote a NULL since may have meant it.
        """
        for name, (former, migration) in self.memory.fills.items():
            if name not in self.state.fields or site.field(name).null:
                continue
            column = found.column(site.column(name))
            if column is not None:
                operation = copy(former)
                operation.model_name, operation.name = self.state.name, name
                yield operation, migration, column.not_null and not column.unproven


def _always(origin: str) -> Callable[[Source], str]:
    return lambda _: origin


class JudgedTable:
    """One table of a model, its own or one behind a ManyToManyField."""

    def __init__(
        self,
        of: _Model,
        operation: Any,
        site: Site,
        origin: Callable[[Source], str],
        *,
        is_own: bool = False,
    ) -> None:
        self.of, self.operation, self.site, self.origin = of, operation, site, origin
        self.is_own = is_own
        self._contradiction: Row | None = None

    def question(self, family: int = 0) -> Question:
        """What has to be known of it."""
        return question(self.operation, self.site, family)

    def case(self, answer: Any, path: str = "") -> Case:
        """The table that was found, to be compared."""
        try:
            return case(self.operation, self.site, answer, path)
        except (FieldDoesNotExist, FieldError) as error:
            self._contradiction = self.of.contradiction(error)
            return Case(self.operation, self.site, None)

    def is_particular(self, found: Table | None) -> bool:
        """Whether its rows depend on more than its definition: on partitions, builds, or values."""
        if found is None or found.kind not in _TABLES:
            return False
        is_building = any(index.building for index in found.indexes)
        fills = self.of.fills(self.site, found) if self.is_own else ()
        is_filling = not all(is_done for _, _, is_done in fills)
        return found.kind == "p" or is_building or is_filling

    def rows(self, snapshot: Snapshot) -> Iterator[Row]:
        """A row for the table and each of its parts, or one that says that the model contradicts itself."""
        if self._contradiction:
            yield self._contradiction
            return
        try:
            yield from list(self._rows(self._collated(snapshot)))
        except (FieldDoesNotExist, FieldError) as error:
            yield self.of.contradiction(error)

    def _rows(self, snapshot: Snapshot) -> Iterator[Row]:
        site, operation, found = self.site, self.operation, snapshot.found
        (first, *_) = operation.inspect(site, snapshot)
        yield Row(first, self.origin(TABLE), operation if found is None else None, site)
        if found is None or found.kind not in _TABLES:
            return
        pieces = self._one_by_one(found) if snapshot.failure else operation.pieces(site, snapshot)
        judged = []
        for piece in pieces:
            row = self._row(piece, snapshot)
            if row is not None:
                judged.append(row)
        yield from judged
        yield from self._undeclared(found, judged)
        for fill, migration, is_done in self.of.fills(site, found) if self.is_own else ():
            seen = Snapshot(found) if is_done else fill.read(site)
            for finding in fill.assess(site, seen):
                yield Row(finding, migration, fill, site)

    def _collated(self, snapshot: Snapshot) -> Snapshot:
        """A field without db_collation says nothing of its column's, which plain SQL may have set."""
        found, wanted = snapshot.found, snapshot.wanted
        if found is None or wanted is None:
            return snapshot
        silent = {
            each.column: column.collation
            for each in self.operation.declared(self.site)
            if not self._declares_collation(each)
            and (column := found.column(str(each.column)))
            and column.collation
        }
        if not silent:
            return snapshot
        columns = tuple(
            replace(each, collation=silent[each.name]) if each.name in silent else each
            for each in wanted.columns
        )
        indexes = tuple(
            replace(each, keys=tuple(_collated(key, silent) for key in each.keys))
            for each in wanted.indexes
        )
        return replace(snapshot, wanted=replace(wanted, columns=columns, indexes=indexes))

    def _declares_collation(self, field: AnyField) -> bool:
        """Of its own, or as a foreign key that of the column that it refers to."""
        return bool(field.db_parameters(self.site.connection).get("collation"))

    def _one_by_one(self, found: Table) -> Iterator[Piece]:
        """Where the table cannot take the whole declaration, what of it can be judged by itself."""
        site = self.site
        for field in self.operation.declared(site):
            alone = AddColumnIfMissing(self.operation.name, field.name, field)
            for finding in alone.assess(site, alone.read(site))[:2]:
                if finding.component in ("column", "foreign key", "declaration"):
                    yield Piece(Source("field", field.name), field, finding)
        for source, part in self.operation.sources(site, found):
            for finding in part.assess(site, part.read(site)):
                yield Piece(source, part, finding)

    def _row(self, piece: Piece, snapshot: Snapshot) -> Row | None:
        finding, operation = piece.finding, piece.subject
        origin = self.origin(piece.source)
        if not isinstance(operation, Convergent):
            finding, operation = self._of_field(piece, snapshot)
        elif finding.status is Status.MISSING and self._is_doubtful(piece):
            return None
        if finding.status is Status.DIFFERENT and finding.replaceable:
            operation = copy(operation)
            operation.on_different = "replace"
        progress = self._progress() if finding.status is Status.BUILDING else ""
        return Row(finding, origin, operation, self.site, progress)

    def _of_field(self, piece: Piece, snapshot: Snapshot) -> tuple[Finding, Convergent]:
        """The finding of a column or foreign key, and what would build it."""
        finding, field, site = piece.finding, piece.subject, self.site
        column, wanted = snapshot.columns(finding.name)
        is_silent = not self._declares_collation(field)
        if finding.component == "column" and is_silent and column and column.collation:
            note = f"COLLATE {column.collation} in the database, none in the declaration"
            finding = replace(finding, note=note)
        name = self.operation.name
        if finding.component == "foreign key" and isinstance(field, ForeignKey):
            return finding, AddForeignKeyIfMissing(name, field.name, field, altered_later=True)
        if finding.component == "column" and column is not None and not field.null:
            strict = SetNotNullIfNullable(name, field.name, field)
            if snapshot.found and snapshot.found.constraint(strict._proof(site)):
                if finding.status is Status.EXISTS or _lacks_not_null(column, wanted):
                    return replace(finding, status=Status.UNFINISHED), strict
            elif finding.status is Status.DIFFERENT and _lacks_not_null(column, wanted):
                return replace(finding, replaceable=True), strict
        return finding, self._column(field)

    def _column(self, field: AnyField) -> Convergent:
        """The operation that adds the column; with the value that rows got when it was added first."""
        memory = self.of.memory
        former = memory.operations.get(Source("field", field.name))
        options = {"allow_rewrite": bool(getattr(former, "allow_rewrite", False))}
        name = str(field.name)
        if name in memory.once:
            field = field.clone()
            field.default = memory.once[name]
            options["preserve_default"] = False
        operation = AddColumnIfMissing(self.operation.name, name, field, **options)
        operation.limits = former.limits if former else {}
        return operation

    def _is_doubtful(self, piece: Piece) -> bool:
        """Whether the index is one for LIKE of a column whose type was changed, when Django drops it."""
        if piece.source.kind != "field" or not _is_for_patterns(piece.subject):
            return False
        field: Any = self.site.field(str(piece.source.name))
        memories, names = self.of.ledger.models, set()
        while field is not None:
            key = (field.model._meta.app_label, field.model._meta.model_name)
            names |= {field.name} & memories.get(key, Memory()).retyped
            field = field.target_field if field.is_relation else None
        return bool(names)

    def _progress(self) -> str:
        for activity in Sessions(self.site.connection).builds(self.site.table):
            if activity.measure:
                done, total, _ = activity.measure
                return f"{100 * done // max(total, 1)} %"
        return ""

    def _undeclared(self, found: Table, rows: Sequence[Row]) -> Iterator[Row]:
        """What the table has and no migration declares; left over, where a migration removed it."""
        site = self.site
        columns = {site.column(each.name) for each in self.operation.declared(site)}
        names = {row.finding.name for row in rows} | set(self._serving(found))
        for column in found.columns:
            if column.name not in columns:
                drop = f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column.name)};"
                yield self._extra("column", column.name, definition(column), drop)
        for each in found.constraints:
            if each.kind in _KINDS and each.kind != "p" and each.name not in names:
                if each.kind == "f" and self._is_declared_key(each.columns):
                    continue
                drop = f"{drop_constraint(site, each.name).sql};"
                yield self._extra(_KINDS[each.kind], each.name, each.definition, drop)
        for index in found.indexes:
            if index.constraint is None and index.name not in names:
                drop = f"{drop_index(site, index.name, found).sql};"
                yield self._extra("index", index.name, index.definition, drop)

    def _extra(self, component: str, name: str, found: str, drop: str) -> Row:
        removed = self.of.memory.removed
        kinds = ["column"] if component == "column" else ["constraint", "index"]
        origin = next((removed[kind, name] for kind in kinds if (kind, name) in removed), "")
        status = Status.LEFTOVER if origin else Status.UNDECLARED
        return Row(Finding(component, name, self.site.table, status, found, fix=drop), origin)

    def _is_declared_key(self, columns: tuple[str, ...]) -> bool:
        """Whether the columns are a declared foreign key's, which one of any name may stand for."""
        return any(
            (each.column,) == columns and getattr(each, "db_constraint", False)
            for each in self.operation.declared(self.site)
            if each.is_relation
        )

    def _serving(self, found: Table) -> Iterator[str]:
        """The names of indexes and constraints that stand for declared ones by their definition."""
        site = self.site
        for source, part in self.operation.sources(site, None):
            for name in part.names(site):
                yield name
                yield from (spare.name for spare in spares(name, found))
            if source.kind in ("index", "constraint"):
                continue
            declared = getattr(part, "index", None) or getattr(part, "constraint", None)
            if isinstance(declared, Index | UniqueConstraint):
                yield from self._standing_in(found, declared)
        for field in self.operation.declared(site):
            if not field.null:  # what a run that died before its end left, judged with the column
                yield SetNotNullIfNullable(self.operation.name, field.name, field)._proof(site)
        keys = {
            each.column
            for each in self.operation.declared(site)
            if each.unique or getattr(each, "db_index", False)
        }
        for index in found.indexes:
            if _pattern_column(index) in keys:
                yield index.name

    def _standing_in(self, found: Table, declared: Any) -> Iterator[str]:
        if found.index(declared.name) is not None:
            return
        columns = [self.site.column(name) for name in declared.fields]
        operator_class = next(iter(getattr(declared, "opclasses", ())), "")
        unique = isinstance(declared, UniqueConstraint)
        for index in serving(found, columns, unique=unique, operator_class=operator_class):
            yield index.name
            if index.constraint:
                yield index.constraint


def _collated(key: tuple[str, ...], silent: Mapping[str | None, str | None]) -> tuple[str, ...]:
    """The key of an index, in the collation that the column has."""
    expression, operator_class, collation, *rest = key
    name = expression.strip('"')
    return (expression, operator_class, silent.get(name) or collation, *rest)


def _lacks_not_null(column: Column, wanted: Column | None) -> bool:
    return (
        wanted is not None
        and not column.not_null
        and same_column(replace(column, not_null=True), wanted)
    )


def _is_for_patterns(operation: Convergent) -> bool:
    is_index = isinstance(operation, CreateIndexConcurrentlyIfMissing)
    classes = operation.index.opclasses if is_index else ()  # type: ignore[attr-defined]
    return any(each.endswith("_pattern_ops") for each in classes)


def _pattern_column(index: CatalogIndex) -> str | None:
    """The column of an index for LIKE, which a unique or indexed text has beside its own."""
    if len(index.keys) != 1 or not index.keys[0][1].endswith("_pattern_ops"):
        return None
    return index.keys[0][0].strip('"') if index.predicate is None else None


Subject: TypeAlias = JudgedEnum | JudgedTable | DroppedTable
