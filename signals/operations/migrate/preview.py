"""What `migrate` would send to this database now, statement by statement; nothing is changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..catalog.contents import Size, table_size
from ..catalog.enums import Enum
from ..catalog.indexes import Index
from ..catalog.sessions import Blocker, lock_holders, snapshot_holders
from ..catalog.tables import Column, Constraint, Table, Target
from ..components.columns import type_of
from ..components.foreign_keys import referenced
from ..contract import Contract
from ..convergence import plan, require_no_stop
from ..errors import ConvergenceError, NeedsAutocommit
from ..execution.policy import LockPolicy
from ..findings import Finding, Snapshot, Status
from ..site import AnyField, Site
from ..statements import Lock, Statement
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


@dataclass
class _Course:
    """What the plan has made and removed so far, as pairs of a quoted table and a name; enums with labels.

    gone: columns, with which goes what may name them; removed: other parts. atomic: whether the migration
    runs in a transaction.
    """

    made: set[tuple[str, str]] = field(default_factory=set)
    gone: set[tuple[str, str]] = field(default_factory=set)
    removed: set[tuple[str, str]] = field(default_factory=set)
    enums: dict[str, Enum] = field(default_factory=dict)
    atomic: bool = True

    def go_on(self, site: Site, findings: Sequence[Finding]) -> None:
        """Takes in what an operation does that found this."""
        for finding in findings:
            here = (finding.table, finding.name)
            if finding.status is Status.LEFTOVER:
                self.made.discard(here)
                (self.gone if finding.component == "column" else self.removed).add(here)
            elif finding.status is Status.MISSING and finding.component == "column":
                self.made.add(here)
            elif finding.status is Status.MISSING and finding.component == "table":
                columns = (each.column for each in site.model._meta.local_fields)
                self.made |= {(finding.table, str(column)) for column in columns}

    def at_the_end(self, site: Site, found: Table | None) -> Table | None:
        """The table as the steps so far will have left it, as far as a plan depends on it."""
        table = site.table
        if found is None and not any(name == table for name, _ in self.made):
            return None
        known = found or _nothing(site)
        gone = {name for place, name in self.gone if place == table}

        def stays(part: Constraint | Index) -> bool:
            is_removed = (table, part.name) in self.removed
            return not is_removed and not any(name in part.definition for name in gone)

        kept = tuple(column for column in known.columns if column.name not in gone)
        names = {column.name for column in kept}
        # As the step before leaves them: an alteration is still to be planned.
        fields = (site.before or site.model)._meta.local_fields
        to_come = [
            _column(site, each)
            for each in fields
            if (table, each.column) in self.made and each.column not in names
        ]
        targets = {
            name: Target(
                0, "r", "p", True, {column: "" for place, column in self.made if place == name}
            )
            for name in referenced(site, site.model._meta.local_fields)
            if any(place == name for place, _ in self.made)
        }
        return replace(
            known,
            columns=(*kept, *to_come),
            constraints=tuple(filter(stays, known.constraints)),
            indexes=tuple(filter(stays, known.indexes)),
            targets={**targets, **known.targets},
        )


def preview(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
) -> Iterator[MigrationPreview]:
    """Each migration of the executor's plan, against the catalog as it is; what the plan makes counts.

    Raises nothing for a run that would stop: the part says so.
    """
    executor: Any = MigrationExecutor(connection)
    state = executor._create_project_state(with_applied_migrations=True)
    course = _Course()
    for migration, backwards in plan:
        if backwards:
            key = (migration.app_label, migration.name)
            state = executor.loader.project_state(key, at_end=False)
        course.atomic = migration.atomic
        walked = [(each, before, after.clone()) for each, before, after in steps(migration, state)]
        if backwards:
            walked.reverse()
        parts = [
            _preview_operation(connection, migration.app_label, each, course, backwards=backwards)
            for each in walked
        ]
        shown = tuple(part for part in parts if part is not None)
        yield MigrationPreview(migration.app_label, migration.name, backwards, shown)


def _preview_operation(
    connection: BaseDatabaseWrapper,
    label: str,
    walked: _Walked,
    course: _Course,
    *,
    backwards: bool,
) -> OperationPreview | None:
    operation, before, after = walked
    if not isinstance(operation, Convergent):
        return _foreign(connection, label, walked, backwards=backwards)
    site = operation.locate(label, connection.SchemaEditorClass(connection), after, before)
    if site is None:
        return None
    targets = list(operation.targets(site))
    if backwards:
        targets.reverse()
    try:
        sent = [
            statement
            for each, place in targets
            for statement in _needed(each, place, course, forwards=not backwards)
        ]
    except ConvergenceError as error:
        return OperationPreview(operation.describe(), stops=str(error))
    return OperationPreview(operation.describe(), tuple(_step(connection, each) for each in sent))


def _needed(operation: Contract, site: Site, course: _Course, *, forwards: bool) -> list[Statement]:
    """As the operation itself plans, with the table as it will be by then."""
    snapshot = operation.read(site)
    if forwards and isinstance(snapshot, Snapshot):
        snapshot = replace(snapshot, found=course.at_the_end(site, snapshot.found))
    elif forwards and operation.makes_type:
        name: str = operation.name  # type: ignore[attr-defined]
        course.made |= {("", name)} if snapshot is None else set()
        snapshot = course.enums.get(name, snapshot)
        course.enums[name] = operation.outcome(snapshot)
    findings = operation.compare(site, snapshot)
    if forwards:
        require_no_stop(operation, findings)
    is_new = (
        isinstance(snapshot, Snapshot) and snapshot.found is not None and not snapshot.found.oid
    )
    if forwards and not course.made.isdisjoint(operation.waits_for(site)):
        is_filled = is_new and operation.fills_rows
        statements = [] if is_filled else operation.script(site)
    else:
        statements = plan(
            operation,
            site,
            snapshot,
            forwards=forwards,
            is_atomic=course.atomic,
            combines=True,
            is_new=is_new,
        )
    if forwards:
        course.go_on(site, findings)
    if course.atomic:
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


def _nothing(site: Site) -> Table:
    """A table that is still to come, without its columns; its number is 0."""
    return Table(
        oid=0,
        schema="",
        name=site.db_table,
        kind="r",
        current=True,
        temporary=False,
        unlogged=False,
        hides_rows=False,
        targets={},
        unknown=(),
        columns=(),
        constraints=(),
        indexes=(),
        taken=(),
    )


def _column(site: Site, field: AnyField) -> Column:
    """The column that is still to come, as far as its field says."""
    return Column(
        name=site.column(field.name),
        type=type_of(site, field),
        not_null=not field.null,
        default=None,
        collation=None,
        generated="",
        numbered=False,
        unproven=None,
    )
