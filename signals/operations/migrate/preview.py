"""What `migrate` would send to this database now, statement by statement; nothing is changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..catalog.contents import Size, table_size
from ..catalog.sessions import Blocker, lock_holders, snapshot_holders
from ..contract import Contract
from ..convergence import plan, require_no_stop
from ..errors import ConvergenceError, NeedsAutocommit
from ..execution.policy import LockPolicy
from ..site import Site
from ..statements import Lock, Statement
from .planned_changes import PlannedChanges
from .walk import steps

_Walked = tuple[Operation, ProjectState, ProjectState]


@dataclass(frozen=True, slots=True)
class StatementPreview:
    """A statement, and whom it would wait for if it were sent now.

    lock: empty where none is declared, because the operation is not convergent. size: of the table that
    it locks; None where that is still to come.
    """

    sql: str
    lock: str = ""
    table: str = ""
    size: Size | None = None
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True)
class OperationPreview:
    """An operation's steps; stops: why the run would end here."""

    operation: str
    steps: tuple[StatementPreview, ...] = ()
    stops: str = ""


@dataclass(frozen=True, slots=True)
class MigrationPreview:
    """A migration that `migrate` would apply, or take back, and what it would do."""

    app_label: str
    name: str
    backwards: bool
    parts: tuple[OperationPreview, ...]


def preview(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
) -> Iterator[MigrationPreview]:
    """Each migration of the executor's plan, against the catalog as it is; what the plan makes counts.

    Raises nothing for a run that would stop: the part says so.
    """
    executor: Any = MigrationExecutor(connection)
    state = executor._create_project_state(with_applied_migrations=True)
    changes = PlannedChanges()
    for migration, backwards in plan:
        if backwards:
            key = (migration.app_label, migration.name)
            state = executor.loader.project_state(key, at_end=False)
        walked = [
            (each, before, after.clone())
            for each, before, after in steps(migration.operations, migration.app_label, state)
        ]
        if backwards:
            walked.reverse()
        parts = [
            _preview_operation(connection, migration, each, changes, backwards=backwards)
            for each in walked
        ]
        shown = tuple(part for part in parts if part is not None)
        yield MigrationPreview(migration.app_label, migration.name, backwards, shown)


def _preview_operation(
    connection: BaseDatabaseWrapper,
    migration: Migration,
    walked: _Walked,
    changes: PlannedChanges,
    *,
    backwards: bool,
) -> OperationPreview | None:
    operation, before, after = walked
    label = migration.app_label
    if not isinstance(operation, Convergent):
        return _foreign(connection, label, walked, backwards=backwards)
    site = operation.locate(label, connection, after, before)
    if site is None:
        return None
    targets = list(operation.targets(site))
    if backwards:
        targets.reverse()
    try:
        sent = [
            statement
            for each, place in targets
            for statement in _needed(
                each, place, changes, forwards=not backwards, is_atomic=migration.atomic
            )
        ]
    except ConvergenceError as error:
        return OperationPreview(operation.describe(), stops=str(error))
    return OperationPreview(operation.describe(), tuple(_step(connection, each) for each in sent))


def _needed(
    operation: Contract, site: Site, changes: PlannedChanges, *, forwards: bool, is_atomic: bool
) -> list[Statement]:
    """Return the plan that the operation itself will make, with the database as it will be by then."""
    snapshot = operation.read(site)
    is_new = False
    if forwards and operation.makes_type:
        snapshot = changes.type_by_then(operation, snapshot)
    elif forwards:
        snapshot = replace(snapshot, found=changes.table_by_then(site, snapshot.found))
        is_new = snapshot.found is not None and not snapshot.found.oid
    findings = operation.compare(site, snapshot)
    if forwards:
        require_no_stop(operation, findings)
    if forwards and not changes.made.isdisjoint(operation.waits_for(site)):
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
    if forwards:
        changes.take(site, findings)
    if is_atomic:
        _require_transactional(operation, statements)
    return statements


def _require_transactional(operation: Contract, statements: Sequence[Statement]) -> None:
    """As the run itself would refuse, before it sends anything."""
    for statement in statements:
        if not statement.transactional:
            raise NeedsAutocommit(operation.describe(), statement.sql)


def _foreign(
    connection: BaseDatabaseWrapper, label: str, walked: _Walked, *, backwards: bool
) -> OperationPreview | None:
    """What is not convergent, as sqlmigrate prints it."""
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
    except (DatabaseError, ValueError):  # Django asks for names in tables that are not there yet
        return OperationPreview(
            name, (StatementPreview("-- depends on what comes before it, and is not shown"),)
        )
    return (
        OperationPreview(name, tuple(map(StatementPreview, editor.collected_sql)))
        if editor.collected_sql
        else None
    )


def _step(connection: BaseDatabaseWrapper, statement: Statement) -> StatementPreview:
    letters = LockPolicy.from_settings().letters
    tables = [statement.table, *statement.also] if statement.lock is not Lock.NONE else []
    blockers = lock_holders(connection, tables, _conflicts(statement), letters) if tables else ()
    if not statement.transactional and not statement.sql.startswith("DROP"):
        seen = {blocker.pid for blocker in blockers}
        blockers += tuple(
            each for each in snapshot_holders(connection, letters) if each.pid not in seen
        )
    size = table_size(connection, statement.table) if tables else None
    return StatementPreview(
        statement.sql, statement.lock, statement.table if tables else "", size, blockers
    )


def _conflicts(statement: Statement) -> tuple[Lock, ...]:
    """A concurrent build waits for all writers of the table too, a concurrent drop for all its users."""
    if statement.transactional:
        return statement.lock.conflicts
    stronger = Lock.ACCESS_EXCLUSIVE if statement.sql.startswith("DROP") else Lock.SHARE
    return tuple({*statement.lock.conflicts, *stronger.conflicts})
