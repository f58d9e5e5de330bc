"""An operation at its place, with the state before it and what its release has changed: what rules judge."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from ..components.defaults import is_time_of_row
from ..contract import Contract
from ..execution.policy import EXPAND, LockPolicy
from ..migrate.limited_migrations import is_limited
from .rules import Rule

StateKey = tuple[str, str]


@dataclass(slots=True)
class Release:
    """The migrations that are deployed together, as far as they have been walked through.

    models, columns: those that it has made, which no other release knows; a column by model and field.
    tables: those that its SQL has made.
    filled: the columns that a convergent backfill of it fills; by model and field.
    removed: what its state no longer has and the release before it still uses: pairs of table and column,
        the column empty for the table itself.
    """

    models: set[StateKey] = field(default_factory=set)
    columns: set[tuple[StateKey, str]] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    filled: set[tuple[StateKey, str]] = field(default_factory=set)
    removed: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that an operation breaks, and what in the operation breaks it."""

    rule: Rule
    operation: Operation
    what: str


@dataclass(frozen=True)
class Step:
    """An operation on the database at its place in a migration.

    place: its number in the list of operations, and for one in a SeparateDatabaseAndState also in that.
    state: the state before it.
    is_followed: whether the migration changes the database further behind it.
    added: the constraints that the migration has added and not validated before, by model and name.
    """

    operation: Any
    place: tuple[int, ...]
    migration: Migration
    state: ProjectState
    release: Release
    connection: BaseDatabaseWrapper
    is_followed: bool = False
    added: frozenset[tuple[str, str]] = frozenset()

    @property
    def app_label(self) -> str:
        return str(self.migration.app_label)

    @property
    def is_atomic(self) -> bool:
        return bool(self.migration.atomic)

    def key(self, model_name: str) -> StateKey:
        return self.app_label, model_name.lower()

    def is_existing(self, model_name: str) -> bool:
        """Return whether a release before this one has the table of the model, and migrations manage it."""
        key = self.key(model_name)
        model = self.state.models.get(key)
        if model is None or key in self.release.models or not has_managed_table(model):
            return False
        if table_name_of(model) in self.release.tables:
            return False
        return _is_allowed(self.app_label, key[1])

    @property
    def is_unlimited(self) -> bool:
        """Return whether `migrate` lets the statements of the migration wait for locks without a limit."""
        return not is_limited(self.migration)

    @property
    def keeps_old_code(self) -> bool:
        """Return whether the operation keeps what the release that still runs uses, until contract."""
        return isinstance(self.operation, Contract) and LockPolicy.from_settings().phase == EXPAND

    def gives_old_code_a_value(self, name: str, declared: Any) -> bool:
        """Return whether the column gets a value from the database where the release that runs gives none."""
        is_filled = (self.key(self.operation.model_name), name) in self.release.filled
        has_default = declared.has_default() or is_time_of_row(declared)
        return self.keeps_old_code and (is_filled or has_default)

    def fault(self, rule: Rule, what: str = "") -> Fault:
        return Fault(rule, self.operation, what or self.operation.describe())

    @cached_property
    def models_by_table(self) -> dict[str, ModelState]:
        """Return the models of the state by the names of their tables, without schemas."""
        return {
            table_name_of(model): model
            for model in self.state.models.values()
            if has_managed_table(model)
        }


def types_connection() -> BaseDatabaseWrapper:
    """Return a connection to a PostgreSQL, for the types of fields; it is not opened.

    Return one of the settings if there is one.
    """
    found = (each for each in connections.all() if each.vendor == "postgresql")
    return next(found, None) or DatabaseWrapper({"NAME": "none", "OPTIONS": {}}, "lint")


def has_managed_table(model: ModelState) -> bool:
    """Return whether migrations manage the table of the model."""
    options = model.options
    own = f"{model.app_label}.{model.name_lower}"
    chosen = getattr(settings, options.get("swappable") or "", None) or own
    is_swapped = chosen.lower() != own
    return options.get("managed", True) and not options.get("proxy") and not is_swapped


def table_name_of(model: ModelState) -> str:
    """Return the name of the model's table, without a schema."""
    name = model.options.get("db_table") or f"{model.app_label}_{model.name_lower}"
    return str(name).strip('"').rsplit('"."', maxsplit=1)[-1]


def column_of(name: str, declared: Any) -> str:
    """Return the name of the field's column; empty for a ManyToManyField."""
    if declared.many_to_many:
        return ""
    own = f"{name}_id" if declared.is_relation and declared.remote_field else name
    return str(declared.db_column or own)


def named_columns(model: ModelState) -> Iterator[tuple[str, str]]:
    """Yield the column and the name of each field."""
    for name, declared in model.fields.items():
        column = column_of(name, declared)
        if column:
            yield column, name


def _is_allowed(app_label: str, model_name: str) -> bool:
    """Return whether the routers let the model's table be on one of the PostgreSQL databases."""
    aliases = [each.alias for each in connections.all() if each.vendor == "postgresql"]
    return not aliases or any(
        router.allow_migrate(alias, app_label, model_name=model_name) for alias in aliases
    )
