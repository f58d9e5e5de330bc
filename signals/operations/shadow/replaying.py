"""Replay the recorded migrations into an empty database, as `migrate` runs them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, NoReturn

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from ..errors import one_line
from ..execution.run import run_of
from ..execution.second_session import second_connection
from ..migrate.walk import in_plan_order


class OtherDatabaseUsed(Exception):
    """A migration asked for another database of the settings than the one that it migrates."""


@dataclass(frozen=True, slots=True)
class FailedMigration:
    """A recorded migration that could not be replayed, and the error."""

    app_label: str
    name: str
    error: str

    def __str__(self) -> str:
        return f"{self.app_label}.{self.name} cannot be replayed on an empty database: {self.error}"


def recorded_plan(loader: MigrationLoader) -> list[Migration]:
    """Return the recorded migrations that the code has, in the order of `migrate`."""
    nodes = loader.graph.nodes
    return [nodes[key] for key in in_plan_order(loader) if key in loader.applied_migrations]


def replay_into(shadow: BaseDatabaseWrapper, loader: MigrationLoader) -> list[FailedMigration]:
    """Run the recorded migrations in the shadow; return those that failed there.

    After a failure go on with the next migration, as if the failed one had been applied. Meanwhile the alias
    of the shadow leads to it, in all threads, so that routers and RunPython see what they see in `migrate`;
    no other database of the settings can be used. Signals are not sent. What migrations print goes to stderr.
    """
    failed = []
    with _alias_leads_to(shadow), redirect_stdout(sys.stderr):
        run_of(shadow).verbosity = 0
        executor = MigrationExecutor(shadow)
        executor.loader = loader
        executor.recorder.ensure_schema()
        plan = recorded_plan(loader)
        state = ProjectState(real_apps=loader.unmigrated_apps)
        for place, migration in enumerate(plan, 1):
            # Render the models before, as `migrate` does; an operation then changes what is rendered.
            _ = state.apps
            try:
                state = executor.apply_migration(state, migration)
            except Exception as error:  # noqa: BLE001 - a migration may raise anything
                text = f"{type(error).__name__}: {one_line(error)}"
                failed.append(FailedMigration(migration.app_label, migration.name, text))
                shadow.close()
                state = _state_after(loader, plan[:place])
    return failed


def _state_after(loader: MigrationLoader, migrations: list[Migration]) -> ProjectState:
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for migration in migrations:
        state = migration.mutate_state(state, preserve=False)
    return state


@contextmanager
def _alias_leads_to(shadow: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the alias lead to the shadow, within the block, and seal the other databases of the settings."""
    settings = connections.settings
    before = {alias: (connections[alias], settings[alias]) for alias in connections}
    try:
        for alias in before:
            is_own = alias == shadow.alias
            other = shadow if is_own else _sealed(before[alias][0])
            connections[alias] = other
            settings[alias] = other.settings_dict
        yield
    finally:
        for alias, (connection, own) in before.items():
            connections[alias] = connection
            settings[alias] = own


def _sealed(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a connection to the same database that cannot be opened, in no other thread either."""
    sealed = second_connection(connection)
    alias = connection.alias
    # A thread makes a connection of its own from the settings; the dummy backend refuses to open one.
    sealed.settings_dict["ENGINE"] = "django.db.backends.dummy"
    text = f"it uses the database {alias!r}, and only its own one has a shadow"

    def refuse(*_: Any) -> NoReturn:
        raise OtherDatabaseUsed(text)

    vars(sealed)["connect"] = refuse
    return sealed
