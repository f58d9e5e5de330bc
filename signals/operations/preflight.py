"""Looks at the whole plan of `migrate` before the first statement of a run changes anything."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from signals.operations import session
from signals.operations.base import Convergent, Status, refuse_different
from signals.operations.create_enum import CreateEnumIfMissing
from signals.operations.report import convergent, judge, steps


def remember(*, using: str, plan: Sequence[tuple[Migration, bool]], **_unused: Any) -> None:
    """Receiver of pre_migrate: names the migration to each operation, and keeps the plan.

    The plan is looked at when the first statement is about to be sent: a run that finds all in place,
    or that only records (--fake), reads nothing more than its operations do.
    """
    for migration, _ in plan:
        for operation in convergent(migration.operations):
            operation.migration = f"{migration.app_label}.{migration.name}"
    forwards = [migration for migration, backwards in plan if not backwards]
    session.before_change[using] = partial(_look_ahead, using, forwards)


def forget(*, using: str, **_unused: Any) -> None:
    """Receiver of post_migrate: the plan is done."""
    session.before_change.pop(using, None)


def _look_ahead(using: str, migrations: Sequence[Migration]) -> None:
    """Raises DifferentDefinition for the first component that would stop the run later on.

    Each app's migrations are judged up to the first operation that is not convergent, because what
    stands behind that cannot be known yet; nor can a column of a type that the plan is going to make,
    or a component that an earlier operation of the plan is going to change.
    """
    connection = connections[using]
    loader = MigrationLoader(connection)
    state = loader.project_state(list(loader.applied_migrations))
    opaque: set[str] = set()
    types: set[str] = set()
    changing: set[tuple[str, str]] = set()
    for migration in migrations:
        label = migration.app_label
        if (label, migration.name) in loader.applied_migrations:
            continue
        for operation, before, after in steps(migration, state):
            if not isinstance(operation, Convergent):
                opaque.add(label)
            elif label not in opaque and not _uses(operation, types, connection):
                for finding in judge(connection, label, operation, before, after):
                    place = (finding.table, finding.name)
                    if finding.status is Status.DIFFERENT and place not in changing:
                        refuse_different(operation, finding)
                    if finding.status is not Status.EXISTS and finding.component != "rows":
                        changing.add(place)
                        types |= (
                            {finding.name} if isinstance(operation, CreateEnumIfMissing) else set()
                        )


def _uses(operation: Convergent, types: set[str], connection: BaseDatabaseWrapper) -> bool:
    """Whether a field of the operation has one of the types."""
    declared = [getattr(operation, "field", None), *dict(getattr(operation, "fields", ())).values()]
    names = (
        field.db_type(connection) or "" for field in declared if field and not field.remote_field
    )
    return any(name.strip('"') in types for name in names)
