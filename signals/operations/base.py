"""The shape of convergence, written once: read, plan, act, read again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

from django.db import NotSupportedError, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from signals.operations import session
from signals.operations.catalog import Catalog, Column, Constraint, Index, Table
from signals.operations.errors import (
    DifferentDefinition,
    NeedsAutocommit,
    NotConverged,
    Refused,
    RowsViolate,
    TableMissing,
)
from signals.operations.guards import literal
from signals.operations.site import PROBE, Site
from signals.operations.statements import Statement

_REMOVALS = (
    (migrations.AddField, migrations.RemoveField),
    (migrations.AddIndex, migrations.RemoveIndex),
    (migrations.AddConstraint, migrations.RemoveConstraint),
    (migrations.CreateModel, migrations.DeleteModel),
)

logger = logging.getLogger("signals.operations")


class Status(Enum):
    """What the catalog says of a declared component; the value is how it is shown."""

    EXISTS = "✓ Exists"
    MISSING = "✗ Missing"
    UNFINISHED = "! Unfinished"
    BUILDING = "… Building"
    DIFFERENT = "≠ Different"


@dataclass(frozen=True, slots=True)
class Finding:
    """One component's status; found and wanted as PostgreSQL prints them, fix for what differs."""

    component: str
    name: str
    table: str
    status: Status
    found: str = ""
    wanted: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The table as it is, and its copy with the declaration put on it where there is a rival to compare.

    has_rows, rewrites: read only by the operations whose plan depends on them.
    """

    found: Table | None
    wanted: Table | None = None
    has_rows: bool = False
    rewrites: bool = False

    def columns(self, name: str) -> tuple[Column | None, Column | None]:
        """The column of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.column(name),
            None if self.wanted is None else self.wanted.column(name),
        )

    def constraints(self, name: str) -> tuple[Constraint | None, Constraint | None]:
        """The constraint of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.constraint(name),
            None if self.wanted is None else self.wanted.constraint(name),
        )

    def indexes(self, name: str) -> tuple[Index | None, Index | None]:
        """The index of that name as found and as wanted."""
        return (
            None if self.found is None else self.found.index(name),
            None if self.wanted is None else self.wanted.index(name),
        )


class Convergent(Operation):
    """What every operation here shares; a mixin in front of the Django operation that it stands in for.

    A subclass says what to look at (`names`, `probe`), what that means (`inspect`) and what to send
    (`plan`, `plan_backwards`, `script`, `script_backwards`). Nothing but this class and the session
    executes, so a run that dies anywhere is continued by running it again.
    """

    migration = ""  # the label of the migration that a run of `migrate` takes the operation from

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__module__ = "signals.operations"  # the path that the migration writer prints

    def names(self, site: Site) -> Sequence[str]:
        """The index names to look up in the table's schema."""
        return ()

    def probe(self, site: Site, found: Table) -> list[str]:
        """DDL for the probe: the declaration, if something of its name exists on the table."""
        raise NotImplementedError

    def inspect(self, site: Site, snapshot: Any) -> list[Finding]:
        """The status of each declared component; pure."""
        raise NotImplementedError

    def plan(self, site: Site, snapshot: Any) -> list[Statement]:
        """What this database still needs; pure."""
        raise NotImplementedError

    def plan_backwards(self, site: Site, snapshot: Any) -> list[Statement]:
        """What this database still has; pure."""
        raise NotImplementedError

    def plan_retreat(self, site: Site, snapshot: Any) -> list[Statement]:
        """What must not stay where existing rows stand against a step; pure."""
        return []

    def script(self, site: Site) -> list[Statement]:
        """Every step, each with the condition under which it is left out."""
        raise NotImplementedError

    def script_backwards(self, site: Site) -> list[Statement]:
        """Every step back, each with the condition under which it is left out."""
        raise NotImplementedError

    def read(self, site: Site) -> Any:
        """One round trip for the catalog, and one for the canonical form where there is a rival."""
        catalog = Catalog(site.connection)
        found = catalog.table(site.table, self.names(site))
        if found is None:
            return Snapshot(None)
        with site.on_probe():
            ddl = self.probe(site, found)
        return Snapshot(found, catalog.probe(found, ddl, PROBE) if ddl else None)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        site = self.locate(app_label, schema_editor, to_state, from_state)
        if site is not None and schema_editor.collect_sql:
            _print(schema_editor, self.script(site))
        elif site is not None:
            self._converge(site, forwards=True)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        site = self.locate(app_label, schema_editor, from_state, to_state)
        if site is not None and schema_editor.collect_sql:
            _print(schema_editor, self.script_backwards(site))
        elif site is not None:
            self._converge(site, forwards=False)

    def locate(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        with_operation: ProjectState,
        without: ProjectState,
    ) -> Site | None:
        """Where to work, or None where the routers or the model's options keep this database out."""
        connection = schema_editor.connection
        model = with_operation.apps.get_model(app_label, self.model_key)
        if not self.allow_migrate_model(connection.alias, model):
            return None
        require_postgresql(connection, self)
        before = without.models.get((app_label, self.model_key))
        return Site(
            connection,
            model,
            model._meta.db_table,
            without.apps.get_model(app_label, self.model_key) if before else None,
        )

    @property
    def model_key(self) -> str:
        """The lower-cased name of the model that the operation works on."""
        return str(getattr(self, "model_name", None) or self.name).lower()  # type: ignore[attr-defined]

    def findings(self, site: Site) -> list[Finding]:
        """Reads the catalog and judges; changes nothing."""
        return self.inspect(site, self.read(site))

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Cancels out with a removal and steps aside for other models, but is never merged.

        A merged operation would be Django's own, or would meet a database between the two steps and
        take its column for a different one.
        """
        cancels = any(
            isinstance(self, made) and isinstance(operation, removed) for made, removed in _REMOVALS
        )
        if not cancels and operation.references_model(self.model_key, app_label):
            return Operation.reduce(self, operation, app_label)
        return super().reduce(operation, app_label)

    def _converge(self, site: Site, *, forwards: bool) -> None:
        sent: list[list[Statement]] = []
        while statements := self._needed(site, forwards=forwards):
            if statements in sent:
                raise NotConverged(self.describe(), [statement.sql for statement in statements])
            sent.append(statements)
            for statement in statements:
                if site.connection.in_atomic_block and not statement.transactional:
                    raise NeedsAutocommit(self.describe(), statement.sql)
            for statement in statements:
                self._send(site, statement)

    def _send(self, site: Site, statement: Statement) -> None:
        try:
            session.run(site.connection, statement)
        except RowsViolate:
            if not site.connection.in_atomic_block:
                for each in self.plan_retreat(site, self.read(site)):
                    session.run(site.connection, each)
            raise

    def _needed(self, site: Site, *, forwards: bool) -> list[Statement]:
        snapshot = self._settled(site)
        if not forwards:
            return self.plan_backwards(site, snapshot)
        findings = self.inspect(site, snapshot)
        for finding in findings:
            if finding.status is Status.DIFFERENT:
                refuse_different(self, finding)
            if finding.status is Status.UNFINISHED:
                logger.warning(
                    "healing the unfinished %s %s of %s",
                    finding.component,
                    finding.name,
                    finding.table,
                )
        return self.plan(site, snapshot)

    def _settled(self, site: Site) -> Any:
        """A snapshot in which no other session builds one of the components.

        What looks unfinished is read twice: a build may end between a reading's view of the index and
        its question who builds.
        """
        snapshot: Any = None
        findings: list[Finding] = []
        is_announced = False

        def settled() -> bool:
            nonlocal snapshot, findings, is_announced
            snapshot = self.read(site)
            before, findings = findings, self.inspect(site, snapshot)
            statuses = {finding.status for finding in findings}
            if Status.BUILDING in statuses and not is_announced:
                logger.warning("%s: another session builds it; waiting", self.describe())
                is_announced = True
            is_sure = Status.UNFINISHED not in statuses or findings == before
            return Status.BUILDING not in statuses and is_sure

        session.poll(settled)
        return snapshot


def refuse_different(operation: Convergent, finding: Finding) -> NoReturn:
    raise DifferentDefinition(
        operation=operation.describe(),
        migration=operation.migration,
        component=finding.component,
        name=finding.name,
        table=finding.table,
        found=finding.found,
        wanted=finding.wanted,
        fix=finding.fix,
    )


def require_postgresql(connection: Any, operation: Operation) -> None:
    if connection.vendor != "postgresql":
        raise NotSupportedError(
            f"{operation.describe()}: {type(operation).__name__} needs PostgreSQL, and the database "
            f"{connection.alias!r} is {connection.display_name}"
        )


def require_table(operation: Operation, site: Site, snapshot: Snapshot) -> Table:
    if snapshot.found is None:
        raise TableMissing(operation.describe(), site.table)
    return snapshot.found


def require_column(
    operation: Operation, site: Site, snapshot: Snapshot, name: str
) -> tuple[Table, Column]:
    table = require_table(operation, site, snapshot)
    column = table.column(name)
    if column is None:
        raise Refused(
            operation.describe(),
            site.table,
            f"table {site.table} has no column {name}",
            "go back to before the migration that adds the column, and forward again",
        )
    return table, column


def keep(operation: Operation, what: str, reason: str) -> None:
    """Says why backwards leaves something that it would otherwise drop."""
    logger.warning("%s, backwards: %s stays: %s", operation.describe(), what, reason)


def _print(editor: BaseDatabaseSchemaEditor, statements: Sequence[Statement]) -> None:
    """Adds psql's script to sqlmigrate's output: each step asks for itself when it runs."""
    stop = "\\set ON_ERROR_STOP on"
    if statements and stop not in editor.collected_sql:
        editor.collected_sql.append(stop)
    for statement in statements:
        question = statement.question or f"SELECT {literal(statement.sql)}"
        editor.collected_sql.append(f"{question} WHERE NOT ({statement.unless}) \\gexec")
