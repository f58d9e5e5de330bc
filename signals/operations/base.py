"""The shape of convergence, written once: read, plan, act, read again."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db import DatabaseError, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from signals.operations import session, violations
from signals.operations.at_once import at_once, is_worthwhile
from signals.operations.catalog import Catalog, Table
from signals.operations.errors import (
    NeedsAutocommit,
    NotConverged,
    RowsViolate,
    StatementRefused,
    is_overtaken,
    sqlstate,
    words,
)
from signals.operations.findings import Finding, Status
from signals.operations.guards import literal
from signals.operations.indexes import drop_index
from signals.operations.limits import accept_limits
from signals.operations.refusals import refuse_different, require_postgresql
from signals.operations.site import AnyField, Site
from signals.operations.snapshots import read_all
from signals.operations.statements import Lock, Statement

_REMOVALS = (
    (migrations.AddField, migrations.RemoveField),
    (migrations.AddIndex, migrations.RemoveIndex),
    (migrations.AddConstraint, migrations.RemoveConstraint),
    (migrations.CreateModel, migrations.DeleteModel),
)

# Classes of what PostgreSQL refuses whatever the rows: no such thing or not so, not supported, something
# depends on it, beyond a limit, not in this state, cancelled, read-only; what a trigger forbids, what an
# identity cannot be.
_REFUSALS = ("42", "0A", "2B", "54", "55000", "55006", "57014", "22023", "25006", "P0")

_TRIES = 6  # of a plan that other sessions overtake

# What another session may be changing between two questions.
_UNSURE = (Status.UNFINISHED, Status.DIFFERENT)

logger = logging.getLogger("signals.operations")


class Convergent(Operation):
    """What every operation here shares; a mixin in front of the Django operation that it stands in for.

    A subclass says what to look at (`names`, `probe`), what that means (`inspect`) and what to send
    (`plan`, `plan_backwards`, `script`, `script_backwards`). Nothing but this class and the session
    executes, so a run that dies anywhere is continued by running it again.
    """

    migration = ""  # the label of the migration that a run of `migrate` takes the operation from
    # Columns that earlier operations of a plan are going to add.
    coming: frozenset[str] = frozenset()
    on_different = ""  # "stop" or "replace" where an operation offers to replace
    limits: Mapping[str, float] = {}  # of this operation, in the place of the settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        accept_limits(cls)
        cls.__module__ = "signals.operations"  # the path that the migration writer prints

    def names(self, site: Site) -> Sequence[str]:
        """The index names to look up in the table's schema."""
        return ()

    def declared(self, site: Site) -> Sequence[AnyField]:
        """The declared fields; their types and the tables that they refer to are looked up."""
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

    def script(self, site: Site) -> list[Statement]:
        """Every step, each with the condition under which it is left out."""
        raise NotImplementedError

    def script_backwards(self, site: Site) -> list[Statement]:
        """Every step back, each with the condition under which it is left out."""
        raise NotImplementedError

    def targets(self, site: Site) -> "Sequence[tuple[Convergent, Site]]":
        """What converges where, in order; more than itself where further tables belong to a model."""
        return [(self, site)]

    def accepts(self, site: Site, found: Table) -> bool:
        """Whether what the table's name leads to is the declared table."""
        return True

    def read(self, site: Site) -> Any:
        """One round trip for the catalog, and one for the canonical form where there is a rival."""
        return read_all(site.connection, [(self, site)])[0]

    def assess(self, site: Site, snapshot: Any) -> list[Finding]:
        """The findings, or the one that the table cannot take the declaration at all."""
        if not getattr(snapshot, "failure", ""):
            return self.inspect(site, snapshot)
        return [
            Finding(
                "declaration",
                self.migration_name_fragment,
                site.table,
                Status.DIFFERENT,
                f"a table that cannot take it: {snapshot.failure}",
                snapshot.declaration,
                "correct by hand what PostgreSQL names, and run again",
            )
        ]

    def weigh(self, site: Site, snapshot: Any, *, forwards: bool) -> Any:
        """The snapshot with what a plan depends on beyond it; asks only where there is something to do."""
        return snapshot

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        site = self.locate(app_label, schema_editor, to_state, from_state)
        if site is not None:
            self._run(site, schema_editor, forwards=True)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        site = self.locate(app_label, schema_editor, from_state, to_state)
        if site is not None:
            self._run(site, schema_editor, forwards=False)

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
            without.apps,
        )

    @property
    def model_key(self) -> str:
        """The lower-cased name of the model that the operation works on."""
        return str(getattr(self, "model_name", None) or self.name).lower()  # type: ignore[attr-defined]

    @property
    def hints(self) -> dict[str, str]:
        """What a router is told where the model is not loaded."""
        return {"model_name": self.model_key}

    def findings(self, site: Site) -> list[Finding]:
        """Reads the catalog and judges; changes nothing."""
        return [
            finding
            for operation, place in self.targets(site)
            for finding in operation.assess(place, operation.read(place))
        ]

    def stops_at(self, finding: Finding) -> bool:
        """Whether a run stops here, rather than put the wanted definition in the place of the found one."""
        replaces = finding.replaceable and self.on_different == "replace"
        return finding.status is Status.DIFFERENT and not replaces

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

    def _run(self, site: Site, editor: BaseDatabaseSchemaEditor, *, forwards: bool) -> None:
        connection = site.connection
        if not (editor.collect_sql or connection.in_atomic_block or connection.get_autocommit()):
            raise NeedsAutocommit(self.describe(), "the connection has autocommit off")
        targets = list(self.targets(site))
        for operation, _ in targets:
            operation.migration, operation.limits = self.migration, self.limits
        if not forwards:
            targets.reverse()
        if editor.collect_sql:
            for operation, place in targets:
                script = operation.script if forwards else operation.script_backwards
                _print(editor, script(place))
            return
        for operation, place in targets[1:] if not forwards else []:
            operation._needed(place, forwards=False)  # a refusal comes before the first change
        for operation, place in targets:
            operation._converge(place, forwards=forwards)

    def _converge(self, site: Site, *, forwards: bool) -> None:
        sent: list[list[Statement]] = []
        refused: StatementRefused | None = None
        is_hasty = True
        pauses = session.pauses(1.0)
        while statements := self._needed(site, forwards=forwards, hastily=is_hasty):
            if statements in sent:
                if refused is None:
                    remaining = [statement.sql for statement in statements]
                    raise NotConverged(self.describe(), remaining)
                if not is_overtaken(refused.__cause__) or len(sent) > _TRIES:
                    raise refused
                time.sleep(next(pauses))
            sent.append(statements)
            refused = None
            for statement in statements:
                if site.connection.in_atomic_block and not session.fits_transaction(
                    site.connection, statement
                ):
                    raise NeedsAutocommit(self.describe(), statement.sql)
            try:
                for statement in statements:
                    self._send(site, statement)
            except StatementRefused as error:
                if not (statement.part or is_overtaken(error.__cause__)):
                    raise
                # What the catalog, read again, asks for; the same again where others undo it meanwhile.
                refused, is_hasty = error, False

    def _send(self, site: Site, statement: Statement) -> None:
        if statement.lock is Lock.SHARE_UPDATE_EXCLUSIVE:
            self._give_way(site, statement)
        try:
            session.run(site.connection, statement, self.limits)
        except RowsViolate as error:
            table = Catalog(site.connection).table(statement.table)
            explained = violations.explain(site.connection, table, statement, error)
            self._retreat(site, statement)
            raise explained from error
        except DatabaseError as error:
            if not is_overtaken(error):
                self._retreat(site, statement)
            self.refuse(statement.sql, error)
            raise

    def refuse(self, sql: str, error: DatabaseError) -> None:
        """Raises StatementRefused where PostgreSQL refuses the SQL whatever the rows."""
        state = sqlstate(error)
        if state.startswith(_REFUSALS) or is_overtaken(error):
            raise StatementRefused(self.describe(), sql, state, words(error)) from error

    def _give_way(self, site: Site, statement: Statement) -> None:
        """Waits, holding nothing, until no other session builds an index of the table.

        Its build ends by waiting for all older snapshots, and this statement would wait for its lock
        with one: a deadlock, which the build would lose.
        """

        def is_free() -> bool:
            builds = others.look(statement.table)
            if builds and site.connection.in_atomic_block:
                raise NeedsAutocommit(self.describe(), statement.sql)
            return not builds

        what = "another session builds an index of the table"
        with session.OthersBuild(site.connection, self.describe(), what) as others:
            session.poll(is_free)

    def _retreat(self, site: Site, statement: Statement) -> None:
        """Drops the invalid unique index of a failed build, which would go on refusing rows."""
        connection = site.connection
        if not statement.unique or connection.in_atomic_block or not connection.is_usable():
            return
        try:
            table = Catalog(connection).table(statement.table)
            index = table.index(statement.unique) if table else None
            if index is not None and not index.valid and not index.building:
                session.run(connection, drop_index(site, index.name, table), self.limits)
        except DatabaseError as error:
            if not is_overtaken(error):
                raise

    def _needed(self, site: Site, *, forwards: bool, hastily: bool = False) -> list[Statement]:
        """The plan; hastily: for an empty table as one statement."""
        plan = partial(self._planned, site, forwards=forwards, hastily=hastily)
        return session.in_time(site.connection, plan)

    def _planned(self, site: Site, *, forwards: bool, hastily: bool) -> list[Statement]:
        snapshot, findings = self._settled(site)
        if forwards:
            for finding in findings:
                self._announce(finding)
        snapshot = self.weigh(site, snapshot, forwards=forwards)
        plan = self.plan if forwards else self.plan_backwards
        statements = plan(site, snapshot)
        if site.connection.in_atomic_block and not all(each.transactional for each in statements):
            return statements  # refused here too, not only where the table has rows
        is_short = hastily and is_worthwhile(statements) and self._is_empty(site)
        return at_once(statements) if is_short else statements

    def _is_empty(self, site: Site) -> bool:
        try:
            return bool(site.db_table) and Catalog(site.connection).is_empty(site.table)
        except DatabaseError as error:
            if site.connection.in_atomic_block or not is_overtaken(error):
                raise
            return False  # what the plan then meets, it says

    def _announce(self, finding: Finding) -> None:
        """Says what deserves a line before anything is sent; raises where the run stops."""
        if self.stops_at(finding):
            refuse_different(self, finding)
        verb = {Status.UNFINISHED: "healing the unfinished", Status.DIFFERENT: "replacing the"}
        if finding.status in verb:
            logger.warning("%s %s", verb[finding.status], finding.label)
        if finding.note:
            logger.warning("%s: %s", finding.label, finding.note)

    def _settled(self, site: Site) -> tuple[Any, list[Finding]]:
        """A snapshot in which no other session builds one of the components, and what it says.

        What looks unfinished or different is read twice: a build may end between a reading's view of the
        index and its question who builds, and a column go before the probe copies it.
        """
        snapshot: Any = None
        findings: list[Finding] = []

        def settled() -> bool:
            nonlocal snapshot, findings
            snapshot = self.read(site)
            before, findings = findings, self.assess(site, snapshot)
            statuses = {finding.status for finding in findings}
            if Status.BUILDING in statuses:
                if site.connection.in_atomic_block:  # which the build may be waiting for
                    raise NeedsAutocommit(self.describe(), "another session builds it")
                others.look(site.table)
            is_sure = statuses.isdisjoint(_UNSURE) or findings == before
            return Status.BUILDING not in statuses and is_sure

        with session.OthersBuild(site.connection, self.describe()) as others:
            session.poll(settled)
        return snapshot, findings


def _print(editor: BaseDatabaseSchemaEditor, statements: Sequence[Statement]) -> None:
    """Adds psql's script to sqlmigrate's output: each step asks for itself when it runs."""
    stop = "\\set ON_ERROR_STOP on"
    if statements and stop not in editor.collected_sql:
        editor.collected_sql.append(stop)
    editor.collected_sql += map(guarded, statements)


def guarded(statement: Statement) -> str:
    """The step for psql: it asks for itself, when it runs, whether it is done."""
    question = statement.question or f"SELECT {literal(statement.sql)}"
    return f"{question} WHERE NOT ({statement.unless}) \\gexec"
