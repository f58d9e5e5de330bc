"""Convergent, the base class of the operations: the methods that Django calls."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from .components.guards import guarded
from .components.snapshots import read_all
from .contract import Contract
from .convergence import converge, needed
from .errors import NeedsAutocommit
from .execution.limits import accept_limits
from .execution.run import run_of
from .findings import Finding, Snapshot
from .names import PACKAGE
from .refusals import failures_in_words, require_postgresql
from .site import Site
from .statements import Statement

_REMOVALS = (
    (migrations.AddField, migrations.RemoveField),
    (migrations.AddIndex, migrations.RemoveIndex),
    (migrations.AddConstraint, migrations.RemoveConstraint),
    (migrations.CreateModel, migrations.DeleteModel),
)


# What is kept of an operation during which the server fails.
_IN_ONE = "all migrations before this one; of this one nothing, because it is one transaction"
_IN_STEPS = "every statement that ended; the next run continues from there"


class Convergent(Contract):
    """Mixin of every operation, in front of the Django operation that it stands in for.

    Its methods translate the calls of Django into calls of the loop. Only the loop sends statements, so a
    run that dies anywhere is continued by running it again.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        accept_limits(cls)
        cls.__module__ = PACKAGE  # the path that the migration writer prints

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change the state as Django's operation does, with copies of the fields.

        Django renames a field by writing into the fields of the state that refer to it. A deep copy equals
        its original and refers to the same models, as a clone does not.
        """
        super().state_forwards(app_label, state)
        model = state.models.get((app_label, self.model_key))
        if model is not None:
            own = set(map(id, self.declared_fields))
            model.fields = {
                name: deepcopy(field) if id(field) in own else field
                for name, field in model.fields.items()
            }

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Cancel out with a removal, let operations on other models pass, and merge with nothing.

        Django would merge the two into its own, blocking operation. A merged convergent operation would
        stop at a database that has only the first of the two changes, and so a different definition.
        """
        cancels = any(
            isinstance(self, made) and isinstance(operation, removed) for made, removed in _REMOVALS
        )
        if not cancels and operation.references_model(self.model_key, app_label):
            return Operation.reduce(self, operation, app_label)
        return super().reduce(operation, app_label)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        site = self.locate(app_label, schema_editor.connection, to_state, from_state)
        if site is not None:
            run = run_of(site.connection)
            with run.converging():
                if not schema_editor.collect_sql:
                    run.enter(self, from_state)
                self._run(site, schema_editor, forwards=True)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        site = self.locate(app_label, schema_editor.connection, from_state, to_state)
        if site is not None:
            run = run_of(site.connection)
            run.answers.forget()
            with run.converging():
                self._run(site, schema_editor, forwards=False)

    def locate(
        self,
        app_label: str,
        connection: BaseDatabaseWrapper,
        with_operation: ProjectState,
        without: ProjectState,
    ) -> Site | None:
        """Return the operation's site; None if the routers or the model's options exclude this database."""
        model = with_operation.apps.get_model(app_label, self.model_key)
        if not self.allow_migrate_model(connection.alias, model):
            return None
        require_postgresql(connection, self)
        before = without.models.get((app_label, self.former_key))
        return Site(
            connection,
            model,
            model._meta.db_table,
            without.apps.get_model(app_label, self.former_key) if before else None,
            without.apps,
            # Copies, because Django renames a field by writing into the options of the state.
            options=dict(with_operation.models[app_label, self.model_key].options),
            options_before=dict(before.options) if before else {},
        )

    def read(self, site: Site) -> Snapshot:
        """Return the snapshot; take a second round trip if there is a definition to compare with."""
        return read_all(site.connection, [(self, site)])[0]

    def converge(self, site: Site, *, forwards: bool) -> None:
        converge(self, site, forwards=forwards)

    def findings(self, site: Site) -> list[Finding]:
        """Return the findings of all targets; read the catalog and change nothing."""
        return [
            finding
            for operation, place in self.targets(site)
            for finding in operation.compare(place, operation.read(place))
        ]

    def _run(self, site: Site, editor: BaseDatabaseSchemaEditor, *, forwards: bool) -> None:
        connection = site.connection
        if not (editor.collect_sql or connection.in_atomic_block or connection.get_autocommit()):
            raise NeedsAutocommit(self.describe(), "the connection has autocommit off")
        run = run_of(connection)
        migration = run.migration_of(self)
        expands = forwards and run.expands and not run.creates_model_of(self)
        known = run.knowing(self) if forwards else self
        targets = [
            (operation, replace(place, migration=migration, limits=self.limits, expands=expands))
            for operation, place in known.targets(site)
        ]
        if not forwards:
            targets.reverse()
        if editor.collect_sql:
            for operation, place in targets:
                if run.prints_plain:
                    is_within: bool = editor.atomic_migration
                    editor.collected_sql += [
                        step.plain(in_transaction=is_within)
                        for step in operation.plain_script(place, forwards=forwards)
                    ]
                else:
                    script = operation.script if forwards else operation.script_backwards
                    _print(editor, script(place))
            return
        what = f"{migration}: {self.describe()}" if migration else self.describe()
        with failures_in_words(what, _IN_ONE if connection.in_atomic_block else _IN_STEPS):
            for operation, place in targets[1:] if not forwards else []:
                needed(operation, place, forwards=False)  # a refusal comes before the first change
            for operation, place in targets:
                operation.converge(place, forwards=forwards)


def _print(editor: BaseDatabaseSchemaEditor, statements: Sequence[Statement]) -> None:
    """Add the steps to the output of `sqlmigrate`, each with a check by psql whether it is still needed."""
    stop = "\\set ON_ERROR_STOP on"
    if statements and stop not in editor.collected_sql:
        editor.collected_sql.append(stop)
    editor.collected_sql += map(guarded, statements)
