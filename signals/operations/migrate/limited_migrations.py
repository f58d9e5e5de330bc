"""Run migrations with operations of others, Django's among them, under the lock policy too.

Such an operation sends its statements itself. Outside a transaction, each is tried for a short time, again
and again. An atomic migration is tried as a whole: it is rolled back if a lock is not granted soon, and
begins again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation

from ..base import Convergent
from ..errors import LockWaitExceeded
from ..execution.limited_statements import LimitedStatements, is_in_the_way
from ..execution.policy import LockPolicy
from ..execution.repeating import is_repeatable
from ..execution.waiting import pauses
from .walk import in_database

_ONE_TRY: Final = (
    "; a migration with Python of its own has one try, unless its functions are marked with @repeatable, "
    "or atomic = False lets each statement try again"
)


@contextmanager
def limiting_every_statement(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Limit the waits for locks of all migrations that are run on the connection within the block.

    A migration with the attribute `limit_every_statement = False` is left alone, and so are all with that
    setting, and one whose database operations are all convergent, because these limit themselves.
    """
    names = ("apply_migration", "unapply_migration")
    before = {name: getattr(MigrationExecutor, name) for name in names}
    for name, method in before.items():
        setattr(MigrationExecutor, name, _limited(method, connection))
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(MigrationExecutor, name, method)


def is_limited(migration: Migration) -> bool:
    """Return whether `migrate` limits the waits of the migration's statements."""
    is_wanted = getattr(migration, "limit_every_statement", True)
    return bool(is_wanted and LockPolicy.from_settings().limit_every_statement)


def _limited(method: Callable[..., Any], connection: BaseDatabaseWrapper) -> Callable[..., Any]:
    """Return the method of MigrationExecutor, which applies or unapplies a migration, with limits."""

    def run(executor: Any, state: Any, migration: Migration, *args: Any, **options: Any) -> Any:
        def act(state: Any) -> Any:
            return method(executor, state, migration, *args, **options)

        fake = args[0] if args else options.get("fake", False)
        is_other = executor.connection is not connection
        if fake or is_other or not _needs_limits(connection, migration):
            return act(state)
        if migration.atomic:
            return _in_tries(executor, state, migration, act)
        return _in_statements(connection, state, migration, act)

    return run


def _in_statements(
    connection: BaseDatabaseWrapper, state: Any, migration: Migration, act: Callable[[Any], Any]
) -> Any:
    """Return act(state), for a migration of which each statement is tried by itself."""
    timeout = LockPolicy.from_settings().lock_timeout_in_transaction  # of operations with their own
    with (
        LimitedStatements(connection, _label(migration), timeout, is_only_try=False) as limited,
        limited.session_timeout(),
    ):
        return act(state)


def _in_tries(executor: Any, state: Any, migration: Migration, act: Callable[[Any], Any]) -> Any:
    """Return act(state), for a migration that is one transaction, called until it gets its locks.

    Raise LockWaitExceeded after the last try.
    """
    policy, callback = LockPolicy.from_settings(), executor.progress_callback
    others = [each for each in in_database(migration.operations) if not _is_ours(each)]
    is_repeated = all(map(is_repeatable, others))
    timeout = policy.lock_timeout if is_repeated else policy.lock_timeout_in_transaction
    deadline = time.monotonic() + policy.lock_wait * is_repeated
    label = _label(migration)
    try:
        with LimitedStatements(
            executor.connection, label, timeout, is_only_try=not is_repeated
        ) as limited:
            for pause in pauses(policy.longest_pause):
                try:
                    return act(state.clone() if is_repeated else state)
                except (DatabaseError, LockWaitExceeded) as error:
                    if not is_in_the_way(error):
                        raise
                    if time.monotonic() + pause > deadline:
                        raise limited.exceeded("" if is_repeated else _ONE_TRY) from error
                executor.progress_callback = _without_starts(callback)
                limited.pause(pause)
    finally:
        executor.progress_callback = callback
    raise AssertionError  # the pauses have no end


def _without_starts(callback: Callable[..., None] | None) -> Callable[..., None]:
    """Return the callback of an executor without the lines that the first try has printed."""

    def call(action: str, *args: Any, **options: Any) -> None:
        if callback is not None and not action.endswith("_start"):
            callback(action, *args, **options)

    return call


def _needs_limits(connection: BaseDatabaseWrapper, migration: Migration) -> bool:
    if connection.in_atomic_block or not is_limited(migration):
        return False
    return not all(map(_is_ours, in_database(migration.operations)))


def _is_ours(operation: Operation) -> bool:
    return isinstance(operation, Convergent)


def _label(migration: Migration) -> str:
    return f"{migration.app_label}.{migration.name}"
