"""The migration graph as a registry: what the applied migrations declare, folded to its result."""

from collections.abc import Iterable, Iterator
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
from ..migrate.walk import in_plan_order
from ..names import MAX_NAME_BYTES
from ..site import AnyField

ModelKey: TypeAlias = tuple[str, str]

TABLE_SOURCE = Source("table")

# Of other constraints, those of a third party, only their own class knows what they are in the database.
_PARTS = (Index, CheckConstraint, UniqueConstraint, ExclusionConstraint)
_TOGETHER = ("unique_together", "index_together")


@dataclass(slots=True)
class ModelHistory:
    """What is remembered of a model beside its state.

    origins: the migration that created or altered each part last. operations: the convergent operations
    that declared a part. once: defaults that filled in existing rows and were not kept. fills: backfills
    of its columns with their migrations. retyped: fields of which a migration changed the type. removed:
    names that migrations took out of the database, as kind and name, with the migration.
    """

    origins: dict[Source, str] = field(default_factory=dict)
    operations: dict[Source, Convergent] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    fills: dict[str, tuple[Convergent, str]] = field(default_factory=dict)
    retyped: set[str] = field(default_factory=set)
    removed: dict[tuple[str, str], str] = field(default_factory=dict)
    parts: dict[Source, Any] = field(default_factory=dict)

    def rename(self, old: str, new: str) -> None:
        """Follows a field to its new name."""
        for known in (self.once, self.fills):
            if old in known:
                known[new] = known.pop(old)
        if old in self.retyped:
            self.retyped.add(new)
        former = self.operations.pop(Source("field", old), None)
        if former is not None:
            self.operations[Source("field", new)] = former
        self.forget(old)

    def forget(self, name: str) -> None:
        """The field is gone, or called otherwise."""
        self.once.pop(name, None)
        self.fills.pop(name, None)
        self.retyped.discard(name)
        self.operations.pop(Source("field", name), None)


@dataclass(slots=True)
class History:
    """The folded declarations: Django's own state of the applied migrations, and what it does not hold.

    applied: the migrations in their order. enums: each with the app and the migration that declared it
    last. dropped: tables that migrations dropped, with the migration. unknown: what is recorded as applied
    and the installed apps do not have, nor one that replaces it.
    """

    state: ProjectState
    applied: list[Migration] = field(default_factory=list)
    models: dict[ModelKey, ModelHistory] = field(default_factory=dict)
    enums: dict[str, tuple[Any, str, str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    unknown: tuple[ModelKey, ...] = ()

    def origin(self, key: ModelKey, source: Source) -> str:
        """The migration that declared the part last, as app.name."""
        past = self.models.get(key, ModelHistory())
        return past.origins.get(source) or past.origins.get(TABLE_SOURCE, "")

    def declared(self, key: ModelKey, source: Source, part: object) -> Convergent | None:
        """The convergent operation that declared the part as it is now."""
        operation: Any = self.models.get(key, ModelHistory()).operations.get(source)
        stands = operation and part in (
            getattr(operation, "index", None),
            getattr(operation, "constraint", None),
        )
        return operation if stands else None


class _ToldLoader(MigrationLoader):
    """Is told what is applied, and asks no database."""

    def __init__(self, applied: Iterable[ModelKey]) -> None:
        self._told = dict.fromkeys(applied)
        super().__init__(None)

    @property
    def applied_migrations(self) -> dict[ModelKey, Any]:
        return self._told

    @applied_migrations.setter
    def applied_migrations(self, value: object) -> None:
        """What it would ask a connection for."""


def migration_graph(
    connection: BaseDatabaseWrapper, applied: Iterable[ModelKey] | None = None
) -> MigrationLoader:
    """The migrations on disk with those that are applied, in the database if not told otherwise.

    Raises BadMigrationError where they make no graph.
    """
    try:
        return MigrationLoader(connection) if applied is None else _ToldLoader(applied)
    except ValueError as error:  # as Django says that an app in the graph has no migrations
        raise BadMigrationError(str(error)) from error


def replay(connection: BaseDatabaseWrapper, loader: MigrationLoader) -> History:
    """Walks the migrations that the connection's database has recorded, in the order of `migrate`.

    Django folds the state; a squashed migration counts as Django counts it. What stands only in the
    database_operations of SeparateDatabaseAndState has no state, and but for enums and rows is no
    declaration; what stands only in state_operations is one. Raises BadMigrationError where what is
    recorded lacks what it builds on.
    """
    history = History(ProjectState(real_apps=loader.unmigrated_apps))
    walk = _Walk(history, connection)
    for key in in_plan_order(loader):
        if key in loader.applied_migrations:
            try:
                walk.take(loader.graph.nodes[key])
            except (LookupError, FieldDoesNotExist) as error:  # of what was not recorded before it
                raise BadMigrationError(_incomplete(loader, key, error)) from error
    _as_stored(history.state, connection)
    history.unknown = tuple(_unknown(loader))
    return history


def _incomplete(loader: MigrationLoader, key: ModelKey, error: Exception) -> str:
    parents = sorted(each.key for each in loader.graph.node_map[key].parents)
    lacking = [each for each in parents if each not in loader.applied_migrations]
    depends = ", ".join(".".join(each) for each in lacking)
    reason = f"it depends on {depends}, which is not" if lacking else f"its state lacks {error}"
    return f"{'.'.join(key)} is recorded as applied, and {reason}"


def _unknown(loader: MigrationLoader) -> Iterator[ModelKey]:
    known = set(loader.disk_migrations)
    known |= {key for each in loader.disk_migrations.values() for key in each.replaces}
    for app, name in sorted(set(loader.applied_migrations) - known):
        if app in loader.migrated_apps:
            yield app, name


class _Walk:
    """Takes one migration after the other into the history."""

    def __init__(self, history: History, connection: BaseDatabaseWrapper) -> None:
        self.history, self.connection = history, connection
        self.app, self.label = "", ""
        self.renamed: dict[str, str] = {}  # models whose foreign keys follow them, in lower case

    def take(self, migration: Migration) -> None:
        self.app, self.label = migration.app_label, f"{migration.app_label}.{migration.name}"
        self.history.applied.append(migration)
        self._all(migration.operations, in_database=True)
        self._credit()

    def _all(self, operations: Any, *, in_database: bool) -> None:
        for operation in operations:
            if isinstance(operation, migrations.SeparateDatabaseAndState):
                for each in _flat(operation.database_operations) if in_database else ():
                    self._database(each)
                self._all(operation.state_operations, in_database=False)
            elif isinstance(operation, migrations.RunSQL):
                self._all(operation.state_operations, in_database=False)
            else:
                if in_database:
                    self._database(operation)
                self._state(operation)
                operation.state_forwards(self.app, self.history.state)

    def _database(self, operation: Operation) -> None:
        """What changes the database, while the state is still that before it."""
        past = self._memory(operation)
        ours: Any = operation if isinstance(operation, Convergent) else None
        if ours and ours.makes_type:
            self.history.enums[ours.name] = (ours, self.app, self.label)
        elif ours and ours.fills_rows:
            past.fills[ours.name] = (ours, self.label)
        elif isinstance(operation, migrations.AddField | migrations.AlterField):
            self._of_field(operation, past)
        else:
            self._removed(operation, past)
        if ours and (source := _source(ours)):
            past.operations[source] = ours

    def _of_field(self, operation: Any, past: ModelHistory) -> None:
        if not operation.preserve_default:
            past.once[operation.name] = operation.field.default
        if isinstance(operation, migrations.AlterField) and self._is_retyped(operation):
            past.retyped.add(operation.name)

    def _removed(self, operation: Operation, past: ModelHistory) -> None:
        model = self._model(operation)
        match operation:
            case migrations.RemoveField() if model and operation.name in model.fields:
                column = _column(operation.name, model.fields[operation.name])
                past.removed["column", str(column)] = self.label
            case migrations.RemoveIndex():
                past.removed["index", str(operation.name)] = self.label
            case migrations.RemoveConstraint():
                past.removed["constraint", operation.name] = self.label
            case migrations.DeleteModel() if model and _has_table(model):
                self.history.dropped[table_of(model, self.connection)] = self.label

    def _state(self, operation: Operation) -> None:
        models = self.history.models
        match operation:
            case migrations.RenameModel():
                key = (self.app, operation.old_name_lower)
                if key in models:
                    models[self.app, operation.new_name_lower] = models.pop(key)
                self.renamed[".".join(key)] = f"{self.app}.{operation.new_name_lower}"
            case migrations.RenameField():
                self._memory(operation).rename(operation.old_name, operation.new_name)
            case migrations.RemoveField():
                self._memory(operation).forget(operation.name)
            case migrations.DeleteModel():
                models.pop((self.app, operation.name_lower), None)

    def _credit(self) -> None:
        """Gives the migration the parts of its app that are not what they were before it."""
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
        return bool(self._told(known) == self._told(part))

    def _told(self, part: Any) -> Any:
        """What a field is, under the present names of the models that it refers to."""
        *what, kwargs = part.deconstruct()[1:]
        target = str(kwargs.get("to", "")).lower()
        while self.renamed.get(target, target) != target:
            target = self.renamed[target]
        return what, {**kwargs, "to": target}

    def _memory(self, operation: Operation) -> ModelHistory:
        return self.history.models.setdefault(self._key(operation), ModelHistory())

    def _model(self, operation: Operation) -> ModelState | None:
        return self.history.state.models.get(self._key(operation))

    def _key(self, operation: Any) -> ModelKey:
        name = getattr(operation, "model_name", None) or getattr(operation, "name", None) or ""
        return self.app, str(name).lower()

    def _is_retyped(self, operation: migrations.AlterField) -> bool:
        """Whether the type becomes another, whatever its length; then Django drops an index for LIKE."""
        model = self._model(operation)
        before = model.fields.get(operation.name) if model else None
        kinds = [_kind(each, self.connection) for each in (before, operation.field) if each]
        return len(set(kinds)) != 1


def table_of(model: ModelState, connection: BaseDatabaseWrapper) -> str:
    """The name of the model's table."""
    default = f"{model.app_label}_{model.name_lower}"
    name = model.options.get("db_table") or default
    return str(truncate_name(name, connection.ops.max_name_length()))


def _has_table(model: ModelState) -> bool:
    return bool(model.options.get("managed", True)) and not model.options.get("proxy")


def _flat(operations: Any) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
        else:
            yield operation


def _source(operation: Any) -> Source | None:
    """The part that a convergent addition declares."""
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


def _column(name: str, declared: AnyField) -> str | None:
    copy: Any = declared.clone()
    copy.set_attributes_from_name(name)
    return None if copy.many_to_many else copy.column


def _kind(declared: Any, connection: BaseDatabaseWrapper) -> str:
    """The field's type without its length; of a foreign key, whom it refers to."""
    if declared.is_relation:
        return str(declared.deconstruct()[3].get("to", "")).lower()
    return str(declared.db_type(connection)).partition("(")[0]


def _as_stored(state: ProjectState, connection: BaseDatabaseWrapper) -> None:
    """Names as PostgreSQL keeps them, and no constraint that Django leaves out or that nobody can judge."""
    for model in state.models.values():
        for option in ("indexes", "constraints"):
            parts = model.options.get(option, [])
            known = [each for each in parts if _is_judged(each, connection)]
            if known or parts:
                model.options[option] = [_cut(each) for each in known]


def _is_judged(part: Any, connection: BaseDatabaseWrapper) -> bool:
    """On PostgreSQL 14 Django makes no constraint that says which NULLs are distinct."""
    features: Any = connection.features
    says = getattr(part, "nulls_distinct", None) is not None
    return isinstance(part, _PARTS) and not (
        says and not features.supports_nulls_distinct_unique_constraints
    )


def _cut(part: Any) -> Any:
    if len(part.name.encode()) <= MAX_NAME_BYTES:
        return part
    part = part.clone()
    part.name = part.name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return part
