"""Preview the statements that `migrate` would send to this database now; change nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations import (
    AlterField,
    RenameField,
    RenameModel,
)

from ..base import Convergent
from ..catalog.contents import Size, table_size
from ..catalog.sessions import Blocker, lock_holders, snapshot_holders
from ..contract import Contract
from ..convergence import plan, require_no_stop
from ..errors import ConvergenceError, NeedsAutocommit, Refused
from ..execution.policy import LockPolicy
from ..execution.run import run_of
from ..execution.send import require_no_timeouts
from ..findings import Finding
from ..refusals import require_judged
from ..renamed_table import RenamedTable
from ..site import Site
from ..statements import Lock, Statement
from .planned_changes import PlannedChanges
from .preflight import altered_after
from .table_names import IndexNames, Walked, renamed_tables, tables_of
from .walk import state_at, state_of_applied, steps


@dataclass(frozen=True, slots=True)
class StatementPreview:
    """A statement, and the sessions that it would wait for if it were sent now.

    lock: the mode; empty for an operation that is not convergent, because it declares none.
    table: the quoted name of the table that is locked.
    size: of that table; None if the plan creates it.
    """

    sql: str
    lock: str = ""
    table: str = ""
    size: Size | None = None
    blockers: tuple[Blocker, ...] = ()


_UNKNOWN = StatementPreview("-- depends on earlier operations, and is not shown")


@dataclass(frozen=True, slots=True)
class OperationPreview:
    """The statements of one operation.

    stops: the text of the error with which the run would end here; empty if it would go on.
    """

    operation: str
    steps: tuple[StatementPreview, ...] = ()
    stops: str = ""


@dataclass(frozen=True, slots=True)
class MigrationPreview:
    """A migration that `migrate` would apply or unapply, with a preview of each operation."""

    app_label: str
    name: str
    backwards: bool
    parts: tuple[OperationPreview, ...]


def preview(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
) -> Iterator[MigrationPreview]:
    """Yield a preview of each migration in the executor's plan.

    Plan each operation from the catalog and from what the plan will have changed by then. An error that
    would stop the run is not raised, but stored in the preview of its operation.
    """
    executor: Any = MigrationExecutor(connection)
    loader = executor.loader
    state = state_of_applied(loader)
    changes, names = PlannedChanges(), defaultdict[str, IndexNames](IndexNames)
    for migration, backwards in plan:
        if backwards:
            key = (migration.app_label, migration.name)
            state = state_at(loader, [key], at_end=False)
        walked = [
            (each, before, after.clone())
            for each, before, after in steps(migration.operations, migration.app_label, state)
        ]
        if backwards:
            walked.reverse()
        parts = [
            _preview_operation(
                connection,
                migration,
                each,
                changes,
                None if backwards else names[migration.app_label],
            )
            for each in walked
        ]
        shown = tuple(part for part in parts if part is not None)
        yield MigrationPreview(migration.app_label, migration.name, backwards, shown)


def _preview_operation(
    connection: BaseDatabaseWrapper,
    migration: Migration,
    walked: Walked,
    changes: PlannedChanges,
    names: IndexNames | None,
) -> OperationPreview | None:
    """Return the preview of an operation; names: those that the steps so far leave, None backwards."""
    operation, before, after = walked
    label, backwards = migration.app_label, names is None
    if not isinstance(operation, Convergent):
        if names is not None:
            _take_names(changes, connection, label, walked)
            names.take_stock(connection, label, walked)
        return _preview_stock(connection, label, walked, backwards=backwards)
    site = operation.locate(label, connection, after, before)
    if site is None:
        return None
    in_the_way = _in_the_way(connection, label, walked, site, names)
    targets = _targets(operation, site, migration, forwards=not backwards)
    if not changes.moved.isdisjoint(_tables_at_work(site, targets)):
        if names is not None:
            _take_renames(changes, connection, label, walked)
        return OperationPreview(operation.describe(), (_UNKNOWN,))
    try:
        require_no_stop(operation, in_the_way)
        sent = [
            statement
            for each, place in targets
            for statement in _needed(
                each, place, changes, forwards=not backwards, is_atomic=migration.atomic
            )
        ]
    except ConvergenceError as error:
        return OperationPreview(operation.describe(), stops=str(error))
    if names is not None:
        _take_renames(changes, connection, label, walked)
    shown = tuple(_step(connection, each) for each in sent)
    return OperationPreview(operation.describe(), shown, _why_not_sent(connection, sent))


def _why_not_sent(connection: BaseDatabaseWrapper, statements: Sequence[Statement]) -> str:
    """Return why the run would stop before one of the statements; '' if it would send all of them."""
    try:
        for statement in statements:
            require_no_timeouts(connection, statement)
    except Refused as error:
        return str(error)
    return ""


def _needed(
    operation: Contract, site: Site, changes: PlannedChanges, *, forwards: bool, is_atomic: bool
) -> list[Statement]:
    """Return the statements that the operation will plan when the run reaches it."""
    snapshot = operation.read(site)
    is_new = False
    if forwards and operation.makes_type:
        snapshot = changes.type_by_then(operation, snapshot)
    elif forwards:
        snapshot = replace(snapshot, found=changes.table_by_then(site, snapshot.found), taken=())
        is_new = snapshot.found is not None and not snapshot.found.oid
    findings = operation.compare(site, snapshot)
    require_judged(operation, findings)
    if forwards:
        require_no_stop(operation, findings)
    if forwards and changes.drops_new(findings):
        statements = operation.plain_script(site, forwards=True)
    elif forwards and not changes.made.isdisjoint(operation.waits_for(site)):
        is_filled = is_new and operation.fills_rows
        statements = [] if is_filled else operation.script(site)
    else:
        statements = plan(
            operation,
            site,
            snapshot,
            forwards=forwards,
            is_atomic=is_atomic,
            combines=True,
            is_new=is_new,
        )
    if forwards and not isinstance(operation, RenameField | RenamedTable):
        changes.take(site, findings)
    if is_atomic:
        _require_transactional(operation, statements)
    return statements


def _require_transactional(operation: Contract, statements: Sequence[Statement]) -> None:
    """Raise NeedsAutocommit for a statement that cannot run in a transaction, as the run itself would."""
    for statement in statements:
        if not statement.transactional:
            raise NeedsAutocommit(operation.describe(), statement.sql)


def _targets(
    operation: Convergent, site: Site, migration: Migration, *, forwards: bool
) -> list[tuple[Contract, Site]]:
    """Return the operation's targets in the order in which they run."""
    known = operation
    if forwards:
        known = operation.knowing_altered(altered_after(operation, migration.operations))
    expands = run_of(site.connection).expands and forwards
    targets = [(each, replace(place, expands=expands)) for each, place in known.targets(site)]
    return targets if forwards else targets[::-1]


def _in_the_way(
    connection: BaseDatabaseWrapper,
    label: str,
    walked: Walked,
    site: Site,
    names: IndexNames | None,
) -> list[Finding]:
    """Return the findings on names that are taken, and record those that the convergent operation makes."""
    if names is None:
        return []
    operation: Any = walked[0]
    found = list(names.in_the_way(operation, site))
    names.take(operation, site)
    if isinstance(operation, RenameModel):
        names.take_stock(connection, label, walked)
    return found


def _tables_at_work(site: Site, targets: Iterable[tuple[Contract, Site]]) -> set[str]:
    """Return the quoted names of the operation's table; an enum has none, and a rename two."""
    tables = {site.table} if site.db_table else set()
    return tables | {each.old for each, _ in targets if isinstance(each, RenamedTable)}


def _take_renames(
    changes: PlannedChanges, connection: BaseDatabaseWrapper, label: str, walked: Walked
) -> None:
    """Record what a convergent operation renames."""
    if isinstance(walked[0], RenameField | RenameModel):
        _take_names(changes, connection, label, walked)


def _take_names(
    changes: PlannedChanges, connection: BaseDatabaseWrapper, label: str, walked: Walked
) -> None:
    """Record the tables and columns that an operation of Django's renames, and the tables that it drops."""
    match walked[0]:
        case RenameField(model_name=name, old_name=old, new_name=new):
            _take_column(changes, connection, _models(label, walked, name, name), (old, new))
            _take_tables(changes, connection, label, walked)
        case AlterField(model_name=name, name=field):
            _take_column(changes, connection, _models(label, walked, name, name), (field, field))
        case _:
            _take_tables(changes, connection, label, walked)


def _take_tables(
    changes: PlannedChanges, connection: BaseDatabaseWrapper, label: str, walked: Walked
) -> None:
    """Record the tables that the operation renames or drops, among them those of ManyToManyFields."""
    for old, new in renamed_tables(connection, label, walked):
        changes.take_table(old, new)


def _models(label: str, walked: Walked, old: str, new: str) -> tuple[Any, Any]:
    """Return the model before the operation and after it."""
    _, before, after = walked
    return before.apps.get_model(label, old), after.apps.get_model(label, new)


def _take_column(
    changes: PlannedChanges,
    connection: BaseDatabaseWrapper,
    models: tuple[Any, Any],
    names: tuple[str, str],
) -> None:
    old, new = (
        model._meta.get_field(name).column for model, name in zip(models, names, strict=True)
    )
    if None not in (old, new) and old != new:
        changes.take_rename(tables_of(connection, models[0])[0], old, new)


def _preview_stock(
    connection: BaseDatabaseWrapper, label: str, walked: Walked, *, backwards: bool
) -> OperationPreview | None:
    """Return what `sqlmigrate` prints for an operation that is not convergent; None if it prints nothing."""
    operation, before, after = walked
    name = operation.describe()
    if not operation.reduces_to_sql:
        return OperationPreview(name, (StatementPreview("-- not SQL, and not shown"),))
    try:
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            if backwards:
                operation.database_backwards(label, editor, after, before)
            else:
                operation.database_forwards(label, editor, before, after)
    except (DatabaseError, ValueError, FieldDoesNotExist, FieldError):
        # Django looks up names in tables that do not exist yet, or fields that were renamed.
        return OperationPreview(name, (_UNKNOWN,))
    return (
        OperationPreview(name, tuple(map(StatementPreview, editor.collected_sql)))
        if editor.collected_sql
        else None
    )


def _step(connection: BaseDatabaseWrapper, statement: Statement) -> StatementPreview:
    queries = LockPolicy.from_settings().queries
    tables = [statement.table, *statement.also] if statement.lock is not Lock.NONE else []
    blockers = lock_holders(connection, tables, _conflicts(statement), queries) if tables else ()
    if not statement.transactional and not statement.sql.startswith("DROP"):
        seen = {blocker.pid for blocker in blockers}
        blockers += tuple(
            each for each in snapshot_holders(connection, queries) if each.pid not in seen
        )
    size = table_size(connection, statement.table) if tables else None
    return StatementPreview(
        statement.sql, statement.lock, statement.table if tables else "", size, blockers
    )


def _conflicts(statement: Statement) -> tuple[Lock, ...]:
    """Return the lock modes for which the statement waits if another session holds them.

    A concurrent build also waits for all writers of the table, and a concurrent drop for all its users.
    """
    if statement.transactional:
        return statement.lock.conflicts
    stronger = Lock.ACCESS_EXCLUSIVE if statement.sql.startswith("DROP") else Lock.SHARE
    return tuple({*statement.lock.conflicts, *stronger.conflicts})
