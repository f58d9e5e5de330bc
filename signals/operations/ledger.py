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

from signals.operations.backfill import BackfillInBatches
from signals.operations.base import Convergent
from signals.operations.create_enum import CreateEnumIfMissing
from signals.operations.findings import Source
from signals.operations.site import LONGEST, AnyField

ModelKey: TypeAlias = tuple[str, str]

TABLE = Source("table")

# Of other constraints, those of a third party, only their own class knows what they are in the database.
_PARTS = (Index, CheckConstraint, UniqueConstraint, ExclusionConstraint)
_TOGETHER = ("unique_together", "index_together")


@dataclass(slots=True)
class Memory:
    """What is remembered of a model beside its state.

    origins: the migration that created or altered each part last. operations: the convergent operations
    that declared a part. once: defaults that filled in existing rows and were not kept. fills: backfills
    of its columns with their migrations. retyped: fields of which a migration changed the type. removed:
    names that migrations took out of the database, as kind and name, with the migration.
    """

    origins: dict[Source, str] = field(default_factory=dict)
    operations: dict[Source, Convergent] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    fills: dict[str, tuple[BackfillInBatches, str]] = field(default_factory=dict)
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
class Ledger:
    """The folded declarations: Django's own state of the applied migrations, and what it does not hold.

    applied: the migrations in their order. enums: each with the app and the migration that declared it
    last. dropped: tables that migrations dropped, with the migration. unknown: what is recorded as applied
    and the installed apps do not have, nor one that replaces it.
    """

    state: ProjectState
    applied: list[Migration] = field(default_factory=list)
    models: dict[ModelKey, Memory] = field(default_factory=dict)
    enums: dict[str, tuple[CreateEnumIfMissing, str, str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    unknown: tuple[ModelKey, ...] = ()

    def origin(self, key: ModelKey, source: Source) -> str:
        """The migration that declared the part last, as app.name."""
        memory = self.models.get(key, Memory())
        return memory.origins.get(source) or memory.origins.get(TABLE, "")

    def declared(self, key: ModelKey, source: Source, part: object) -> Convergent | None:
        """The convergent operation that declared the part as it is now."""
        operation: Any = self.models.get(key, Memory()).operations.get(source)
        stands = operation and part in (
            getattr(operation, "index", None),
            getattr(operation, "constraint", None),
        )
        return operation if stands else None


class _Told(MigrationLoader):
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


def graph(
    connection: BaseDatabaseWrapper, applied: Iterable[ModelKey] | None = None
) -> MigrationLoader:
    """The migrations on disk with those that are applied, in the database if not told otherwise.

    Raises BadMigrationError where they make no graph.
    """
    try:
        return MigrationLoader(connection) if applied is None else _Told(applied)
    except ValueError as error:  # as Django says that an app in the graph has no migrations
        raise BadMigrationError(str(error)) from error


def fold(connection: BaseDatabaseWrapper, loader: MigrationLoader) -> Ledger:
    """Walks the migrations that the connection's database has recorded, in the order of `migrate`.

    Django folds the state; a squashed migration counts as Django counts it. What stands only in the
    database_operations of SeparateDatabaseAndState has no state, and but for enums and rows is no
    declaration; what stands only in state_operations is one. Raises BadMigrationError where what is
    recorded lacks what it builds on.
    """
    ledger = Ledger(ProjectState(real_apps=loader.unmigrated_apps))
    walk = _Walk(ledger, connection)
    for key in in_order(loader):
        if key in loader.applied_migrations:
            try:
                walk.take(loader.graph.nodes[key])
            except (LookupError, FieldDoesNotExist) as error:  # of what was not recorded before it
                raise BadMigrationError(_incomplete(loader, key, error)) from error
    _as_stored(ledger.state, connection)
    ledger.unknown = tuple(_unknown(loader))
    return ledger


def in_order(loader: MigrationLoader) -> list[ModelKey]:
    """The migrations of the graph as `migrate` would apply them to nothing."""
    leaves = loader.graph.leaf_nodes()
    return list(dict.fromkeys(key for leaf in leaves for key in loader.graph.forwards_plan(leaf)))


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
    """Takes one migration after the other into the ledger."""

    def __init__(self, ledger: Ledger, connection: BaseDatabaseWrapper) -> None:
        self.ledger, self.connection = ledger, connection
        self.app, self.label = "", ""
        self.renamed: dict[str, str] = {}  # models whose foreign keys follow them, in lower case

    def take(self, migration: Migration) -> None:
        self.app, self.label = migration.app_label, f"{migration.app_label}.{migration.name}"
        self.ledger.applied.append(migration)
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
                operation.state_forwards(self.app, self.ledger.state)

    def _database(self, operation: Operation) -> None:
        """What changes the database, while the state is still that before it."""
        memory = self._memory(operation)
        match operation:
            case CreateEnumIfMissing():
                self.ledger.enums[operation.name] = (operation, self.app, self.label)
            case BackfillInBatches():
                memory.fills[operation.name] = (operation, self.label)
            case migrations.AddField() | migrations.AlterField():
                self._of_field(operation, memory)
            case _:
                self._removed(operation, memory)
        if isinstance(operation, Convergent) and (source := _source(operation)):
            memory.operations[source] = operation

    def _of_field(self, operation: Any, memory: Memory) -> None:
        if not operation.preserve_default:
            memory.once[operation.name] = operation.field.default
        if isinstance(operation, migrations.AlterField) and self._is_retyped(operation):
            memory.retyped.add(operation.name)

    def _removed(self, operation: Operation, memory: Memory) -> None:
        model = self._model(operation)
        match operation:
            case migrations.RemoveField() if model and operation.name in model.fields:
                column = _column(operation.name, model.fields[operation.name])
                memory.removed["column", str(column)] = self.label
            case migrations.RemoveIndex():
                memory.removed["index", str(operation.name)] = self.label
            case migrations.RemoveConstraint():
                memory.removed["constraint", operation.name] = self.label
            case migrations.DeleteModel() if model and _has_table(model):
                self.ledger.dropped[table_of(model, self.connection)] = self.label

    def _state(self, operation: Operation) -> None:
        models = self.ledger.models
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
        for key, model in self.ledger.state.models.items():
            if key[0] != self.app:
                continue
            memory = self.ledger.models.setdefault(key, Memory())
            parts = dict(_parts(model, self.connection))
            for source, part in parts.items():
                known = memory.parts.get(source)
                if known is None or not self._is_same(known, part):
                    memory.origins[source] = self.label
            memory.parts = parts

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

    def _memory(self, operation: Operation) -> Memory:
        return self.ledger.models.setdefault(self._key(operation), Memory())

    def _model(self, operation: Operation) -> ModelState | None:
        return self.ledger.state.models.get(self._key(operation))

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
    yield TABLE, table_of(model, connection)
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
    if len(part.name.encode()) <= LONGEST:
        return part
    part = part.clone()
    part.name = part.name.encode()[:LONGEST].decode(errors="ignore")
    return part
