"""The declarations of the applied migrations, replayed from the migration graph."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.contrib.postgres.constraints import ExclusionConstraint
from django.core.exceptions import FieldDoesNotExist
from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import truncate_name
from django.db.migrations.exceptions import BadMigrationError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint, Index, UniqueConstraint
from django.db.models.options import normalize_together

from ..base import Convergent
from ..findings import Source
from ..migrate.walk import LoaderOfRecorded, advance, database_operations, in_plan_order
from ..names import IN_NAMES, MAX_NAME_BYTES, why_unusable
from ..site import AnyField

ModelKey: TypeAlias = tuple[str, str]

TABLE_SOURCE = Source("table")

# Constraints of a third party are left out: only their own class knows what they are in the database.
_PARTS = (Index, CheckConstraint, UniqueConstraint, ExclusionConstraint)
_TOGETHER = ("unique_together", "index_together")


@dataclass(slots=True)
class ModelHistory:
    """The changes that the migrations made to a model, beyond its state.

    origins: for each part, the migration that created it or altered it last, as app.name.
    operations: for each part, the convergent operation that declared it.
    once: by field, the default that filled existing rows and was not preserved.
    fills: by field, the backfill of its column and the migration of that.
    retyped: the fields of which a migration changed the type.
    removed: by kind and name, the migration that removed the object from the database.
    awaiting: the kinds and names of those that may be left until `migrate --phase contract`.
    parts: the parts that the model has after the migrations so far.
    """

    origins: dict[Source, str] = field(default_factory=dict)
    operations: dict[Source, Convergent] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    fills: dict[str, tuple[Convergent, str]] = field(default_factory=dict)
    retyped: set[str] = field(default_factory=set)
    removed: dict[tuple[str, str], str] = field(default_factory=dict)
    awaiting: set[tuple[str, str]] = field(default_factory=set)
    parts: dict[Source, Any] = field(default_factory=dict)

    def rename(self, old: str, new: str) -> None:
        """Move the entries of a field to its new name."""
        for known in (self.once, self.fills):
            if old in known:
                known[new] = known.pop(old)
        if old in self.retyped:
            self.retyped.add(new)
        self.parts.pop(Source("field", old), None)  # another field may take the name
        former = self.operations.pop(Source("field", old), None)
        if former is not None:
            self.operations[Source("field", new)] = former
        self.forget(old)

    def forget(self, name: str) -> None:
        """Drop the entries of a field that was removed or renamed."""
        self.once.pop(name, None)
        self.fills.pop(name, None)
        self.retyped.discard(name)
        self.operations.pop(Source("field", name), None)


@dataclass(slots=True)
class History:
    """The replayed migrations: Django's own state, and the facts that it does not hold.

    applied: the migrations in their order.
    models: the history of each model, by app and lower-cased name.
    enums: by name, the operation that declared the enum last, with its app and migration.
    dropped: by table, the migration that dropped it.
    awaiting: those of them that may be left until `migrate --phase contract`.
    unknown: the migrations that are recorded as applied, and that the installed apps neither have nor
        replace.
    """

    state: ProjectState
    applied: list[Migration] = field(default_factory=list)
    models: dict[ModelKey, ModelHistory] = field(default_factory=dict)
    enums: dict[str, tuple[Any, str, str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    awaiting: set[str] = field(default_factory=set)
    unknown: tuple[ModelKey, ...] = ()

    def origin(self, key: ModelKey, source: Source) -> str:
        """Return the migration that declared the part last, as app.name."""
        past = self.models.get(key, ModelHistory())
        return past.origins.get(source) or past.origins.get(TABLE_SOURCE, "")

    def declared(self, key: ModelKey, source: Source, part: object) -> Convergent | None:
        """Return the convergent operation that declared the part as it is now, or None."""
        operation: Any = self.models.get(key, ModelHistory()).operations.get(source)
        is_current = operation and part in (
            getattr(operation, "index", None),
            getattr(operation, "constraint", None),
        )
        return operation if is_current else None


def migration_graph(applied: Iterable[ModelKey]) -> MigrationLoader:
    """Return the migrations on disk, and which of them are applied.

    applied: the keys of the applied migrations.

    Raise BadMigrationError if the migrations form no graph.
    """
    try:
        return LoaderOfRecorded(applied)
    except ValueError as error:  # Django's, for an app in the graph without migrations
        raise BadMigrationError(str(error)) from error


def replay(connection: BaseDatabaseWrapper, loader: MigrationLoader) -> History:
    """Return the history of the migrations that the database has recorded, in the order of `migrate`.

    Django computes the state, and a squashed migration counts as it does for Django. An operation in the
    database_operations of SeparateDatabaseAndState has no state, so it is no declaration, unless it creates
    an enum or fills rows; one in the state_operations is a declaration.

    Raise BadMigrationError if a recorded migration lacks what it builds on.
    """
    history = History(ProjectState(real_apps=loader.unmigrated_apps))
    walk = _Replay(history, connection)
    for key in in_plan_order(loader):
        if key in loader.applied_migrations:
            try:
                walk.take(loader.graph.nodes[key])
            except (LookupError, FieldDoesNotExist) as error:  # it needs one that is not recorded
                raise BadMigrationError(why_incomplete(loader, key, error)) from error
    _as_stored(history.state, connection)
    history.unknown = tuple(unknown_migrations(loader))
    return history


def why_incomplete(loader: MigrationLoader, key: ModelKey, error: Exception) -> str:
    """Return which recorded migration does not fit those that are recorded before it, and why."""
    parents = sorted(each.key for each in loader.graph.node_map[key].parents)
    lacking = [each for each in parents if each not in loader.applied_migrations]
    depends = ", ".join(".".join(each) for each in lacking)
    reason = f"it depends on {depends}, which is not" if lacking else f"its state lacks {error}"
    return f"{'.'.join(key)} is recorded as applied, and {reason}"


def unknown_migrations(loader: MigrationLoader) -> Iterator[ModelKey]:
    """Yield the migrations that are recorded, and that the installed apps neither have nor replace."""
    known = set(loader.disk_migrations)
    known |= {key for each in loader.disk_migrations.values() for key in each.replaces}
    for app, name in sorted(set(loader.applied_migrations) - known):
        if app in loader.migrated_apps:
            yield app, name


class _Replay:
    """Adds one migration after the other to the history."""

    def __init__(self, history: History, connection: BaseDatabaseWrapper) -> None:
        self.history, self.connection = history, connection
        self.app, self.label = "", ""
        self.renamed: dict[str, str] = {}  # old to new app.model, in lower case

    def take(self, migration: Migration) -> None:
        self.app, self.label = migration.app_label, f"{migration.app_label}.{migration.name}"
        self.history.applied.append(migration)
        self._take_all(migration.operations, in_database=True)
        self._record_origins()

    def _take_all(self, operations: Any, *, in_database: bool) -> None:
        for operation in operations:
            if isinstance(operation, migrations.SeparateDatabaseAndState):
                for each in database_operations([operation]) if in_database else ():
                    self._record_database(each)
                self._take_all(operation.state_operations, in_database=False)
            elif isinstance(operation, migrations.RunSQL):
                self._take_all(operation.state_operations, in_database=False)
            else:
                if in_database:
                    self._record_database(operation)
                self._record_state(operation)
                advance(operation, self.app, self.history.state)

    def _record_database(self, operation: Operation) -> None:
        """Record what the operation does to the database; the state is still the one before it."""
        past = self._model_history(operation)
        ours: Any = operation if isinstance(operation, Convergent) else None
        if ours and ours.makes_type:
            self.history.enums[ours.name] = (ours, self.app, self.label)
        elif ours and ours.fills_rows:
            past.fills[ours.name] = (ours, self.label)
        elif isinstance(operation, migrations.AddField | migrations.AlterField):
            self._record_field(operation, past)
        else:
            self._record_removal(operation, past)
        if ours and (source := _source(ours)):
            past.operations[source] = ours

    def _record_field(self, operation: Any, past: ModelHistory) -> None:
        if not operation.preserve_default:
            past.once[operation.name] = operation.field.default
        if isinstance(operation, migrations.AlterField) and self._is_retyped(operation):
            past.retyped.add(operation.name)

    def _record_removal(self, operation: Operation, past: ModelHistory) -> None:
        """Record what the operation removes, and whether it may be left until contract."""
        model, is_ours = self._model(operation), isinstance(operation, Convergent)
        if model is None:
            return
        if part := removed_part(operation, model):
            past.removed[part] = self.label
            is_left = is_ours and part[0] != "constraint"  # which would refuse rows of new code
            (past.awaiting.add if is_left else past.awaiting.discard)(part)
        for table in removed_tables(operation, model, self.connection):
            self.history.dropped[table] = self.label
            awaiting = self.history.awaiting
            (awaiting.add if is_ours else awaiting.discard)(table)

    def _record_state(self, operation: Operation) -> None:
        models = self.history.models
        match operation:
            case migrations.RenameModel():
                key = (self.app, operation.old_name_lower)
                if key in models:
                    models[self.app, operation.new_name_lower] = models.pop(key)
                self.renamed[".".join(key)] = f"{self.app}.{operation.new_name_lower}"
            case migrations.RenameField():
                self._model_history(operation).rename(operation.old_name, operation.new_name)
            case migrations.RemoveField():
                self._model_history(operation).forget(operation.name)
            case migrations.DeleteModel():
                models.pop((self.app, operation.name_lower), None)

    def _record_origins(self) -> None:
        """Make the migration the origin of each part of its app that it created or changed."""
        for key, model in self.history.state.models.items():
            if key[0] != self.app:
                continue
            past = self.history.models.setdefault(key, ModelHistory())
            parts = dict(_parts(model, self.connection))
            for source, part in parts.items():
                known = past.parts.get(source)
                if known is None or not self._is_same(known, part):
                    past.origins[source] = self.label
            past.parts = parts

    def _is_same(self, known: Any, part: Any) -> bool:
        if known is part or (known == part and isinstance(part, (str, *_PARTS))):
            return True
        if not hasattr(part, "deconstruct") or type(known) is not type(part):
            return False
        return bool(self._deconstructed(known) == self._deconstructed(part))

    def _deconstructed(self, part: Any) -> Any:
        """Return the deconstructed field, with the present names of the models that it refers to."""
        *what, kwargs = part.deconstruct()[1:]
        target = str(kwargs.get("to", "")).lower()
        while self.renamed.get(target, target) != target:
            target = self.renamed[target]
        return what, {**kwargs, "to": target}

    def _model_history(self, operation: Operation) -> ModelHistory:
        return self.history.models.setdefault(self._key(operation), ModelHistory())

    def _model(self, operation: Operation) -> ModelState | None:
        return self.history.state.models.get(self._key(operation))

    def _key(self, operation: Any) -> ModelKey:
        name = getattr(operation, "model_name", None) or getattr(operation, "name", None) or ""
        return self.app, str(name).lower()

    def _is_retyped(self, operation: migrations.AlterField) -> bool:
        """Return whether the field gets another type, whatever the length, or another collation.

        Django drops the field's index for LIKE then.
        """
        model = self._model(operation)
        before = model.fields.get(operation.name) if model else None
        fields = [_named(operation.name, each) for each in (before, operation.field) if each]
        kinds = [_kind(each, self.connection) for each in fields]
        return len(set(kinds)) != 1


def removed_part(operation: Any, model: ModelState) -> tuple[str, str] | None:
    """Return the kind and name of the part of the model's table that the operation removes, if any.

    The kind is "column", "index" or "constraint".
    """
    match operation:
        case migrations.RemoveField() if operation.name in model.fields:
            column = stored_column(operation.name, model.fields[operation.name])
            return ("column", column) if column else None
        case migrations.RemoveIndex():
            return "index", str(operation.name)
        case migrations.RemoveConstraint():
            return "constraint", str(operation.name)
    return None


def removed_tables(operation: Any, model: ModelState, connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the tables that the operation removes, among them those of ManyToManyFields."""
    match operation:
        case migrations.DeleteModel() if has_own_table(model):
            return own_tables(model, connection)
        case migrations.RemoveField() if operation.name in model.fields and has_own_table(model):
            field = {operation.name: model.fields[operation.name]}
            return through_tables(model, field, connection)
    return []


def own_tables(model: ModelState, connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the model's table and of those of its ManyToManyFields."""
    return [table_of(model, connection), *through_tables(model, model.fields, connection)]


def through_tables(
    model: ModelState, fields: Mapping[str, Any], connection: BaseDatabaseWrapper
) -> list[str]:
    """Return the names of the tables that Django makes for those of the fields that are ManyToManyFields."""
    length = connection.ops.max_name_length()
    own = table_of(model, connection).strip('"')
    return [
        str(each.db_table or truncate_name(f"{own}_{name}", length))
        for name, each in fields.items()
        if each.many_to_many and each.remote_field.through is None
    ]


def table_of(model: ModelState, connection: BaseDatabaseWrapper) -> str:
    """Return the name of the model's table."""
    default = f"{model.app_label}_{model.name_lower}"
    name = model.options.get("db_table") or default
    return str(truncate_name(name, connection.ops.max_name_length()))


def has_own_table(model: ModelState) -> bool:
    """Return whether migrations create a table for the model: it is managed, and no proxy."""
    return bool(model.options.get("managed", True)) and not model.options.get("proxy")


def _source(operation: Any) -> Source | None:
    """Return the part that a convergent addition declares, or None."""
    match operation:
        case migrations.AddIndex():
            return Source("index", operation.index.name)
        case migrations.AddConstraint():
            return Source("constraint", operation.constraint.name)
        case migrations.AddField():
            return Source("field", operation.name)
    return None


def _parts(model: ModelState, connection: BaseDatabaseWrapper) -> Iterator[tuple[Source, Any]]:
    yield TABLE_SOURCE, table_of(model, connection)
    for name, each in model.fields.items():
        yield Source("field", name), each
    for index in model.options.get("indexes", []):
        yield Source("index", index.name), index
    for constraint in model.options.get("constraints", []):
        yield Source("constraint", constraint.name), constraint
    for option in _TOGETHER:
        for names in normalize_together(model.options.get(option) or ()):
            yield Source(option, tuple(names)), "together"


def _named(name: str, declared: AnyField) -> Any:
    """Return a copy of the field that knows its column, as what a field class defines may ask for it."""
    copy: Any = declared.clone()
    copy.set_attributes_from_name(name)
    return copy


def stored_column(name: str, declared: AnyField) -> str | None:
    """Return the name of the field's column; None for a ManyToManyField."""
    copy = _named(name, declared)
    return None if copy.many_to_many else copy.column


def _kind(declared: Any, connection: BaseDatabaseWrapper) -> str:
    """Return the field's type without its length, and its collation; of a foreign key, the model."""
    if declared.is_relation:
        return str(declared.deconstruct()[3].get("to", "")).lower()
    kind = declared.db_parameters(connection)
    return f"{str(kind['type']).partition('(')[0]} {kind.get('collation')}"


def _as_stored(state: ProjectState, connection: BaseDatabaseWrapper) -> None:
    """Adapt the state to what PostgreSQL stores.

    Names are cut to 63 bytes. Constraints that Django does not create, or that cannot be compared, are left
    out.
    """
    for model in state.models.values():
        for option in ("indexes", "constraints"):
            parts = model.options.get(option, [])
            known = [each for each in parts if _is_comparable(each, connection)]
            if known or parts:
                model.options[option] = [_with_stored_name(each) for each in known]


def _is_comparable(part: Any, connection: BaseDatabaseWrapper) -> bool:
    """Return whether the index or constraint can be compared with the database.

    No operation has a name at which Django or psql breaks. Before PostgreSQL 15 Django creates no constraint
    that declares nulls_distinct.
    """
    if isinstance(part, _PARTS) and why_unusable(part.name, IN_NAMES):
        return False
    features: Any = connection.features
    says = getattr(part, "nulls_distinct", None) is not None
    return isinstance(part, _PARTS) and not (
        says and not features.supports_nulls_distinct_unique_constraints
    )


def _with_stored_name(part: Any) -> Any:
    if len(part.name.encode()) <= MAX_NAME_BYTES:
        return part
    part = part.clone()
    part.name = part.name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return part
