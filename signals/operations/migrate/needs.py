"""The rights that each operation of a plan needs, as far as its declaration tells."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.operations import (
    CollationOperation,
    CreateExtension,
    ValidateConstraint,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import strip_quotes, truncate_name
from django.db.migrations import operations as stock
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import IndexOperation, ModelOperation
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.utils import resolve_relation
from django.db.models import ManyToManyField

from ..base import Convergent
from ..catalog.query import quoted
from ..catalog.rights import Need, Right
from .walk import advance, database_operations, state_at, steps

_ON_A_TABLE = (ModelOperation, FieldOperation, IndexOperation, ValidateConstraint)
_STATE_ALONE = (stock.AlterModelManagers, stock.AlterModelOptions)
_RENAMING = (stock.AlterModelTable, stock.RenameModel)
_INDEXING = (stock.AddConstraint, stock.AddIndex, stock.AlterUniqueTogether)

# What may change which rights the rest of the plan has, or which tables it finds, in plain SQL or in code.
_CHANGES_RIGHTS = re.compile(
    r"\b(GRANT|REVOKE|OWNER\s+TO|REASSIGN\s+OWNED|SESSION\s+AUTHORIZATION|SET\s+((LOCAL|SESSION)\s+)?ROLE"
    r"|DROP\s+(TABLE|SCHEMA)|RENAME\s+TO|search_path|set_config)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NeedingStep:
    """An operation of a plan, and the rights that it needs if it sends anything.

    state: that before the operation; backwards that before the plan.
    """

    migration: Migration
    operation: Operation
    state: ProjectState
    needs: Sequence[Need]
    backwards: bool = False


def needing_steps(
    connection: BaseDatabaseWrapper, migrations: Iterable[Migration], state: ProjectState
) -> Iterator[NeedingStep]:
    """Yield the operations that work on the database, up to one that may change the rights themselves.

    `state` is that before the migrations, and is changed in place by the next step. What a table needs that
    the plan has made, dropped or renamed is left out: its present owner says nothing.
    """
    replaced: set[str] = set()
    for migration in migrations:
        for operation, before in _walk(migration.operations, migration.app_label, state):
            if _may_change_rights(operation):
                return
            needs = _Needs(connection, migration.app_label, before).of(operation)
            kept = [each for each in needs if each.name not in replaced]
            yield NeedingStep(migration, operation, before, kept)
            is_renaming = isinstance(operation, _RENAMING)
            if is_renaming or not isinstance(operation, Convergent):
                made = (Right.CREATE, Right.DROP)
                replaced |= {each.name for each in kept if is_renaming or each.right in made}


def needing_steps_back(
    connection: BaseDatabaseWrapper, migrations: Iterable[Migration], state: ProjectState
) -> Iterator[NeedingStep]:
    """Yield the operations of a way back, up to one that may change the rights themselves.

    state: that before the plan. A table that has another name by then needs nothing.
    """
    for migration in migrations:
        for operation in reversed(list(database_operations(migration.operations))):
            if _may_change_rights(operation):
                return
            if isinstance(operation, stock.RemoveField):
                before, _ = states_of(connection, migration, operation)
                needs = _Needs(connection, migration.app_label, before).back_to_field(operation)
            else:
                needs = list(_Needs(connection, migration.app_label, state).back(operation))
            yield NeedingStep(migration, operation, state, needs, backwards=True)


def states_of(
    connection: BaseDatabaseWrapper, migration: Migration, operation: Operation
) -> tuple[ProjectState, ProjectState]:
    """Return the states before and after the operation of the migration, in the order of `migrate`."""
    label, loader = migration.app_label, MigrationLoader(connection)
    state = state_at(loader, [(label, migration.name)], at_end=False)
    for each, before, after in steps(migration.operations, label, state):
        if each is operation:
            return before, after
    raise LookupError(f"{label}.{migration.name} has no such operation")


def _walk(
    operations: Iterable[Operation], label: str, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState]]:
    """Yield each operation that works on the database, with the state before it, which then changes."""
    for operation in operations:
        if isinstance(operation, stock.SeparateDatabaseAndState):
            yield from _walk(operation.database_operations, label, state.clone())
        else:
            yield operation, state
        advance(operation, label, state)


def _may_change_rights(operation: Any) -> bool:
    """Return whether the operation is no declaration, and its SQL or code speaks of rights or names."""
    if isinstance(operation, Convergent):
        return False
    if isinstance(operation, stock.RunSQL):
        return _CHANGES_RIGHTS.search(str(operation.sql)) is not None
    code: Any = operation.code if type(operation) is stock.RunPython else type(operation)
    module: Any = inspect.getmodule(code)
    if module is None or module.__name__.startswith("django."):
        return module is None
    try:
        return _CHANGES_RIGHTS.search(inspect.getsource(module)) is not None
    except (OSError, TypeError):
        return True


@dataclass(frozen=True, slots=True)
class _Needs:
    """Finds what the operations of an app need, by the models before them."""

    connection: BaseDatabaseWrapper
    label: str
    before: ProjectState

    def of(self, operation: Any) -> list[Need]:
        """Return what the operation needs, each once."""
        needs = list(self._of(operation))
        if needs and isinstance(operation, Convergent) and operation.reads_table:
            needs.append(Need(Right.TEMPORARY))
        return list(dict.fromkeys(needs))

    def back(self, operation: Any) -> Iterator[Need]:
        """Yield what it needs to undo the operation."""
        if isinstance(operation, stock.DeleteModel):
            yield Need(Right.CREATE)
        elif isinstance(operation, _ON_A_TABLE) and not isinstance(operation, _STATE_ALONE):
            found = self._model_of(operation, ("model_name", "new_name", "name"))
            if found is None:
                return
            field = getattr(operation, "field", None)
            if isinstance(field, ManyToManyField):
                is_added = isinstance(operation, stock.AddField)
                right = Right.DROP if is_added else Right.OWN
                yield from self._of_tables([(getattr(operation, "name", ""), field)], found, right)
                return
            is_new = isinstance(operation, stock.CreateModel)
            yield Need(Right.DROP if is_new else Right.OWN, self._table(found))
            if isinstance(operation, stock.CreateModel):
                yield from self._of_tables(operation.fields, found, Right.DROP)

    def back_to_field(self, operation: Any) -> list[Need]:
        """Return what it needs to make the field again that the operation removes."""
        model = self._model_of(operation, ("model_name",))
        field = model.fields.get(operation.name) if model is not None else None
        if model is None or not isinstance(field, ManyToManyField):
            return [Need(Right.OWN, self._table(model))] if model is not None else []
        if field.remote_field.through is not None:
            return []
        return [Need(Right.REFER, self._table(model)), *self._of_relation(field, model)]

    def _of_tables(
        self, fields: Iterable[tuple[str, Any]], model: ModelState, right: Right
    ) -> Iterator[Need]:
        """Yield the right on the table of each ManyToManyField that has one of its own."""
        for name, field in fields:
            if isinstance(field, ManyToManyField) and field.remote_field.through is None:
                given = getattr(field, "db_table", None)
                own = f"{strip_quotes(self._name(model))}_{name}"
                yield Need(right, self._as_sql(str(given or own)))

    def _model_of(self, operation: Any, attributes: Sequence[str]) -> ModelState | None:
        """Return the model that the first of the attributes names, if it has a table."""
        names = (getattr(operation, each, None) for each in attributes)
        name = next((each for each in names if isinstance(each, str)), "")
        found = self.before.models.get((self.label, name.lower()))
        return found if found is not None and _is_table(found) else None

    def _of(self, operation: Any) -> Iterator[Need]:
        if isinstance(operation, CreateExtension):
            yield Need(Right.EXTENSION, operation.name)
        elif isinstance(operation, CollationOperation) or getattr(operation, "makes_type", False):
            yield Need(Right.CREATE)
        elif isinstance(operation, stock.CreateModel):
            options = dict(operation.options)  # which the state completes
            model = ModelState(self.label, operation.name, list(operation.fields), options)
            if _is_table(model):
                yield Need(Right.CREATE, self._table(model))
                if isinstance(operation, Convergent):  # which completes a table that is there
                    yield Need(Right.OWN, self._table(model))
                for field in model.fields.values():
                    yield from self._of_relation(field, model)
        elif not isinstance(operation, _STATE_ALONE):
            found = self._model_of(operation, ("model_name", "old_name", "name"))
            if found is not None:
                yield from self._of_table(operation, found)

    def _of_table(self, operation: Any, model: ModelState) -> Iterator[Need]:
        table, field = self._table(model), getattr(operation, "field", None)
        is_many = isinstance(field, ManyToManyField)
        if getattr(operation, "fills_rows", False):
            yield Need(Right.FILL, table)
        elif isinstance(operation, stock.DeleteModel):
            yield Need(Right.DROP, table)
        elif isinstance(operation, _ON_A_TABLE):
            yield Need(Right.REFER if is_many else Right.OWN, table)
            if isinstance(operation, _INDEXING):
                yield Need(Right.BUILD, table)
            if field is not None:
                yield from self._of_relation(field, model)

    def _of_relation(self, field: Any, model: ModelState) -> Iterator[Need]:
        """Yield what a foreign key needs, or the table of a ManyToManyField."""
        remote = field.remote_field
        if isinstance(field, ManyToManyField):
            if remote.through is not None:
                return
            name = getattr(field, "db_table", None)
            yield Need(Right.CREATE, self._as_sql(str(name)) if name else "")
        elif remote is None or not getattr(field, "db_constraint", False):
            return
        key = resolve_relation(remote.model, model.app_label, model.name_lower)
        target = self.before.models.get(key)
        if target is not None and key != (model.app_label, model.name_lower):
            yield Need(Right.REFER, self._table(target))

    def _table(self, model: ModelState) -> str:
        return self._as_sql(self._name(model))

    def _name(self, model: ModelState) -> str:
        return str(model.options.get("db_table") or f"{model.app_label}_{model.name_lower}")

    def _as_sql(self, name: str) -> str:
        """Return the name of a table as SQL, as Site.quote() does."""
        cut = truncate_name(name, self.connection.ops.max_name_length())
        if cut.startswith('"') and cut.endswith('"'):
            return cut
        return f'"{cut}"' if '"."' in cut else quoted(cut)


def _is_table(model: ModelState) -> bool:
    return bool(model.options.get("managed", True)) and not model.options.get("proxy")
