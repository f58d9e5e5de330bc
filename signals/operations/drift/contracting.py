"""Find what recorded removals have left for old code, and remove it: the phase contract."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import AddField, AlterField, RenameModel, SeparateDatabaseAndState
from django.db.migrations.exceptions import BadMigrationError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ModelState, ProjectState
from django.utils import timezone

from ..base import Convergent
from ..catalog.query import quoted
from ..catalog.questions import Question, ask
from ..catalog.tables import Table
from ..components.old_code import left_for_old_code
from ..execution.run import run_of
from ..findings import Finding, Status
from ..migrate.walk import advance, in_plan_order
from ..refusals import failures_in_words
from ..removal import Removal
from ..site import Site
from .for_old_code import EndForOldCode
from .history import (
    ModelKey,
    has_own_table,
    own_tables,
    removed_part,
    removed_tables,
    stored_column,
    table_of,
    unknown_migrations,
    why_incomplete,
)

# Raised where a declaration does not fit the state, as behind a removal from the state alone.
_UNFIT = (LookupError, FieldDoesNotExist, FieldError, ValueError)

_ANOTHERS = "it is recorded, and this code does not have it"
_KEPT = "every statement that ended; the next run continues from there"


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a recorded migration has left for old code.

    operation, site: what removes it, and the place of its table now. migration: its label.
    findings: those on what it removes.
    """

    operation: Convergent
    site: Site
    migration: str
    findings: tuple[Finding, ...]

    @property
    def label(self) -> str:
        """Return what is left, with its migration, as in: column state of "signals" (signals.0013_state)."""
        left = [each.label for each in self.findings if each.status is not Status.ABSENT]
        origin = f" ({self.migration})" if self.migration else ""
        return f"{', '.join(left)}{origin}"

    @property
    def is_removable(self) -> bool:
        """Return whether all that is left is what was declared."""
        return all(each.status in (Status.LEFTOVER, Status.ABSENT) for each in self.findings)

    def remove(self) -> None:
        """Remove it under the lock policy, as the operation does without phases.

        A run that dies anywhere is continued by the next one.
        """
        run = run_of(self.site.connection)
        limits = self.operation.limits
        with failures_in_words(f"{self.migration}: {self.operation.describe()}", _KEPT):
            for operation, place in self.operation.targets(self.site):
                with run.converging():
                    there = replace(place, migration=self.migration, limits=limits)
                    operation.converge(there, forwards=True)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What recorded migrations left for old code: what contract removes, and lines about what stays."""

    removable: tuple[Leftover, ...]
    kept: tuple[str, ...]


@dataclass(slots=True)
class _Recorded:
    """A removal of a recorded migration, the state before it, and the present key of its model."""

    key: ModelKey
    operation: Removal
    before: ProjectState
    model: ModelKey


def left_by_expand(
    connection: BaseDatabaseWrapper, app_label: str | None = None, days: float = 0
) -> Leftovers:
    """Return what the recorded migrations have left for old code; change nothing.

    That is what convergent removals removed from the state, and what additions made beside it. What a later
    state declares again is none of it. Raise BadMigrationError if a recorded migration lacks what it builds
    on.

    app_label: limits them to one app. days: leaves alone what was recorded in so many days.
    """
    loader = MigrationLoader(connection)
    times = _times(connection, loader)
    walk = _Walk(connection, loader)
    since = timezone.now() - timedelta(days=days)
    unknown = [key for key in unknown_migrations(loader) if app_label in (None, key[0])]
    removable: list[Leftover] = []
    kept = [
        f"what {'.'.join(key)} removed: {_ANOTHERS}; the release that has it removes it"
        for key in unknown
    ]
    # Before the removals: a view needs the columns that these drop.
    for made in walk.for_old_code(app_label):
        app, _, name = made.migration.partition(".")
        if (app, name) in unknown:
            kept.append(f"{made.label}: {_ANOTHERS}; the release that has it removes it")
        elif (app, name) in loader.graph.nodes and (app, name) not in loader.applied_migrations:
            kept.append(f"{made.label}: its migration has not ended")
        elif times.get((app, name), since) > since:
            kept.append(f"{made.label}: recorded less than {days:g} days ago")
        else:
            removable.append(made)
    for each in walk.present(app_label):
        found = walk.leftover(each)
        if found is None:
            continue
        recorded = times.get(each.key, since)
        later = [key for key in unknown if key[0] == each.key[0] and times[key] > recorded]
        if later:
            what = f"{'.'.join(later[0])} may declare it again"
            kept.append(f"{found.label}: {what}, and {_ANOTHERS}")
        elif not found.is_removable:
            kept.append(f"{found.label}: it is not what was declared (see manage.py verify_schema)")
        elif recorded > since:
            kept.append(f"{found.label}: recorded less than {days:g} days ago")
        else:
            removable.append(found)
    return Leftovers(tuple(removable), tuple(kept))


def operation_leftovers(
    connection: BaseDatabaseWrapper,
    app_label: str,
    operation: Convergent,
    before: ProjectState,
    after: ProjectState,
) -> list[Finding]:
    """Return the findings of an applied operation; what new code can live with awaits contract."""
    site = operation.locate(app_label, connection, after, before)
    found = []
    for each, place in operation.targets(site) if site else ():
        snapshot = each.read(place)
        for finding in each.compare(place, snapshot):
            is_left = finding.status is Status.LEFTOVER
            awaits = is_left and isinstance(each, Removal) and not each.harmless(place, snapshot)
            found.append(replace(finding, status=Status.AWAITING) if awaits else finding)
    return found


class _Walk:
    """Walks once through the recorded migrations, for their removals, additions and the state in the end."""

    def __init__(self, connection: BaseDatabaseWrapper, loader: MigrationLoader) -> None:
        self._connection = connection
        self._state = ProjectState(real_apps=loader.unmigrated_apps)
        self._removals: list[_Recorded] = []
        self._added: dict[tuple[ModelKey, str], str] = {}
        for key in in_plan_order(loader):
            if key in loader.applied_migrations:
                try:
                    self._take(key, loader.graph.nodes[key].operations, self._state)
                except (LookupError, FieldDoesNotExist) as error:
                    raise BadMigrationError(why_incomplete(loader, key, error)) from error

    def present(self, app_label: str | None) -> list[_Recorded]:
        """Return the removals of which the database still has something by its name.

        Ask the catalog once. What the state declares by now is left out; of several removals of one name
        the last one counts.
        """
        wanted = [each for each in self._removals if app_label in (None, each.key[0])]
        models = self._state.models.values()
        declared = {name for each in models for name in own_tables(each, self._connection)}
        names = [(each, *self._names(each, declared)) for each in wanted]
        tables = list(dict.fromkeys(table for _, _, found in names for table in found))
        answers = ask(self._connection, [Question(_quoted(each)) for each in tables])
        known = {name: found for name, found in zip(tables, answers, strict=True) if found}
        latest = {
            (part, table): id(each)
            for each, part, found in names
            for table in found
            if table in known and (part is None or _has(known[table], *part))
        }
        removing = set(latest.values())
        return [each for each in wanted if id(each) in removing]

    def leftover(self, recorded: _Recorded) -> Leftover | None:
        """Return what the removal has left; None if that is nothing, or the routers exclude the database."""
        app_label, name = recorded.key
        before, after = recorded.before, recorded.before.clone()
        try:
            advance(recorded.operation, app_label, after)
            site = recorded.operation.locate(app_label, self._connection, after, before)
            if site is None:
                return None
            site = self._moved(site, recorded)
            findings = tuple(recorded.operation.findings(site))
        except _UNFIT:
            return None
        if all(each.status is Status.ABSENT for each in findings):
            return None
        return Leftover(recorded.operation, site, f"{app_label}.{name}", findings)

    def for_old_code(self, app_label: str | None) -> list[Leftover]:
        """Return what the phase expand made for old code on the models' tables; ask the catalog once."""
        owners = {
            name: key
            for key, model in self._state.models.items()
            for name in own_tables(model, self._connection)
            if app_label in (None, key[0]) and has_own_table(model)
        }
        questions = [Question(_quoted(each), details=True) for each in owners]
        answers = ask(self._connection, questions)
        left = []
        for (name, key), found in zip(owners.items(), answers, strict=True):
            if not isinstance(found, Table) or found.kind not in ("r", "p"):
                continue
            site = Site(self._connection, _model_of(self._state, key, name), name)
            fields = {field.column for field in site.model._meta.local_fields}
            for column, finding, label in left_for_old_code(site, found):
                operation = EndForOldCode(key[1], column)
                origin = label or self._added.get((key, column), "")
                if label or column in fields:
                    left.append(Leftover(operation, site, origin, (finding,)))
        return left

    def _take(self, key: ModelKey, operations: Any, state: ProjectState) -> None:
        for operation in operations:
            if isinstance(operation, SeparateDatabaseAndState):
                self._take(key, operation.database_operations, state.clone())
            elif isinstance(operation, AddField | AlterField):
                column = stored_column(operation.name, operation.field) or ""
                model = (key[0], operation.model_name_lower)
                self._added[model, column] = f"{key[0]}.{key[1]}"
            elif isinstance(operation, Removal):
                model = (key[0], operation.model_key)
                self._removals.append(_Recorded(key, operation, state.clone(), model))
            self._rename(key[0], operation)
            advance(operation, key[0], state)

    def _rename(self, app_label: str, operation: Operation) -> None:
        """Follow the renames of models, also those in the state alone."""
        for each in getattr(operation, "state_operations", None) or [operation]:
            if isinstance(each, RenameModel):
                for removal in self._removals:
                    if removal.model == (app_label, each.old_name_lower):
                        removal.model = (app_label, each.new_name_lower)

    def _names(
        self, recorded: _Recorded, declared: set[str]
    ) -> tuple[tuple[str, str] | None, list[str]]:
        """Return the kind and name of the part that the removal removes, and the table of that now.

        If it removes tables, return no part, and their names. Return no name of what is declared by now.
        """
        before = recorded.before.models.get((recorded.key[0], recorded.operation.model_key))
        if before is None:
            return None, []
        part = removed_part(recorded.operation, before)
        if part is None:
            gone = removed_tables(recorded.operation, before, self._connection)
            return None, [each for each in gone if each not in declared]
        model = self._state.models.get(recorded.model)
        if model is None or _declares(model, *part):
            return None, []
        return part, [table_of(model, self._connection)]

    def _moved(self, site: Site, recorded: _Recorded) -> Site:
        """Return the site at the name that the table has by now, if the part of a table is removed."""
        model = self._state.models.get(recorded.model)
        before = recorded.before.models[recorded.key[0], recorded.operation.model_key]
        if model is None or removed_part(recorded.operation, before) is None:
            return site
        table = table_of(model, self._connection)
        if table != site.db_table:
            site.model._meta.db_table = table
        return replace(site, db_table=table)


def _model_of(state: ProjectState, key: ModelKey, table: str) -> Any:
    """Return the model of that table: the one of that key, or that of a ManyToManyField of it."""
    model: Any = state.apps.get_model(*key)
    through = (each.remote_field.through for each in model._meta.local_many_to_many)
    return next((each for each in through if each._meta.db_table == table), model)


def _declares(model: ModelState, kind: str, name: str) -> bool:
    """Return whether the model declares a column, or an index or a constraint, of that name."""
    if kind == "column":
        return name in {stored_column(*each) for each in model.fields.items()}
    options = ("indexes", "constraints")
    return any(each.name == name for option in options for each in model.options.get(option, []))


def _has(found: Any, kind: str, name: str) -> bool:
    """Return whether the table has the part; a uniqueness may be an index alone."""
    if kind == "column":
        return found.column(name) is not None
    return bool(found.index(name) or found.constraint(name))


def _quoted(table: str) -> str:
    return table if '"' in table else quoted(table)


def _times(connection: BaseDatabaseWrapper, loader: MigrationLoader) -> Mapping[ModelKey, datetime]:
    """Return when each migration was recorded; of a squashed one, when the last that it replaces was."""
    records = MigrationRecorder(connection).applied_migrations()
    times = {key: each.applied for key, each in records.items()}
    for key in loader.applied_migrations:
        migration: Any = loader.disk_migrations.get(key)
        replaced = (
            [times[each] for each in migration.replaces if each in times] if migration else []
        )
        if key not in times and replaced:
            times[key] = max(replaced)
    return times
