"""Sends a statement under the timeouts that its lock asks for."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.operations.catalog import Blocker, Catalog
from signals.operations.errors import LockWaitExceeded, RowsViolate, is_overtaken, sqlstate, words
from signals.operations.statements import Statement

logger = logging.getLogger("signals.operations")

LOCK_NOT_AVAILABLE = "55P03"
INVALID_PARAMETER_VALUE = "22023"  # of the statement, not of a row


# What to do once, by database alias, before the next statement of a run.
before_change: dict[str, Callable[[], None]] = {}


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """The setting SIGNALS_OPERATIONS, each value in seconds.

    lock_timeout: one try's wait for a lock that stops writers; they queue behind it for no longer.
    lock_timeout_in_transaction: the same where no second try is possible.
    longest_pause: the pauses between tries grow to this.
    lock_wait: after this long in all the run stops and names the blockers.
    """

    lock_timeout: float = 0.1
    lock_timeout_in_transaction: float = 2.0
    longest_pause: float = 2.0
    lock_wait: float = 600.0

    @classmethod
    def from_settings(cls) -> "LockPolicy":
        """Reads and validates the setting; raises ImproperlyConfigured with the key and the fix."""
        given = getattr(settings, "SIGNALS_OPERATIONS", {})
        known = {field.name.upper(): field.name for field in fields(cls)}
        values: dict[str, float] = {}
        for key, value in given.items():
            if key not in known:
                raise ImproperlyConfigured(
                    f"SIGNALS_OPERATIONS[{key!r}] is not a setting (use {', '.join(known)})"
                )
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ImproperlyConfigured(
                    f"SIGNALS_OPERATIONS[{key!r}] is {value!r} (use a number of seconds above 0)"
                )
            values[known[key]] = float(value)
        return cls(**values)


def run(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """Executes the statement once its lock is granted.

    A lock that stops writers is tried for a short time, again and again, so that what queues behind
    it goes on between the tries; raises LockWaitExceeded after the last one, and RowsViolate where
    existing rows stand against the statement. A statement that lets writers through waits as long as
    it must. A failed run leaves nothing of this statement, except that a failed concurrent build
    leaves an invalid index, which the next run drops.
    """
    about_to_change(connection)
    logger.info("%s", statement.sql)
    try:
        _run(connection, statement, LockPolicy.from_settings())
    except (DataError, IntegrityError) as error:
        if sqlstate(error) == INVALID_PARAMETER_VALUE or is_overtaken(error):
            raise
        raise RowsViolate(statement.sql, words(error)) from error


def about_to_change(connection: BaseDatabaseWrapper) -> None:
    """Called before anything is changed; raises where the rest of the plan is known to stop."""
    check = before_change.pop(connection.alias, None)
    if check is not None:
        check()


def _run(connection: BaseDatabaseWrapper, statement: Statement, policy: LockPolicy) -> None:
    if statement.lock.waits:
        _wait(connection, statement)
    elif connection.in_atomic_block:
        advice = "wait for them, or set atomic = False on the migration, which makes it try again"
        if not _try(connection, statement, policy.lock_timeout_in_transaction):
            raise _exceeded(connection, statement, advice)
    else:
        _retry(connection, statement, policy)


def pauses(longest: float, first: float = 0.05) -> Iterator[float]:
    """Pauses in seconds that double up to the longest, each drawn between its half and its whole."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        pause = min(longest, pause * 2)


def poll(done: Callable[[], bool], longest: float = 1.0) -> None:
    """Returns when `done` does; holds no transaction between its calls."""
    for pause in pauses(longest):
        if done():
            return
        time.sleep(pause)


def _retry(connection: BaseDatabaseWrapper, statement: Statement, policy: LockPolicy) -> None:
    deadline = time.monotonic() + policy.lock_wait
    for pause in pauses(policy.longest_pause):
        if _try(connection, statement, policy.lock_timeout):
            return
        if time.monotonic() + pause > deadline:
            advice = "end those sessions, or run again when they are done"
            raise _exceeded(connection, statement, advice)
        for blocker in _blockers(connection, statement):
            logger.warning("waiting for %s on %s: %s", statement.lock, statement.table, blocker)
        time.sleep(pause)


def _try(connection: BaseDatabaseWrapper, statement: Statement, timeout: float) -> bool:
    """Whether the lock was granted in time; SET LOCAL ends with the transaction, whatever happens."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('lock_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute(f"SET LOCAL lock_timeout = {round(timeout * 1000)}")
            cursor.execute(statement.sql)
            if connection.savepoint_ids:
                cursor.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", [before])
    except DatabaseError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def _wait(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """In a transaction within a savepoint, so that a failure can be looked into."""
    alias, is_within = connection.alias, connection.in_atomic_block
    savepoint = transaction.atomic(using=alias) if is_within else nullcontext()
    with no_timeouts(connection), savepoint, connection.cursor() as cursor:
        cursor.execute(statement.sql)


@contextmanager
def no_timeouts(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lifts the session's timeouts and puts each back to what it was, also after a failure."""
    names = ["lock_timeout", "statement_timeout", "transaction_timeout"]  # the last from 17 on
    values = ", ".join(f"pg_catalog.current_setting('{name}', true)" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {values}")
        before = dict(zip(names, cursor.fetchone(), strict=True))
        lifted = [name for name in names if before[name] not in (None, "0")]
        if connection.in_atomic_block:
            lifted = [name for name in lifted if name != "transaction_timeout"]  # it runs already
        for name in lifted:
            cursor.execute(f"SET {name} = 0")
    try:
        yield
    finally:
        if lifted and not connection.needs_rollback and connection.is_usable():
            with connection.cursor() as cursor:
                for name in lifted:
                    cursor.execute(f"SET {name} = '{before[name]}'")


def _exceeded(
    connection: BaseDatabaseWrapper, statement: Statement, advice: str
) -> LockWaitExceeded:
    blockers = [str(blocker) for blocker in _blockers(connection, statement)]
    return LockWaitExceeded(statement.sql, statement.table, blockers, advice)


def _blockers(connection: BaseDatabaseWrapper, statement: Statement) -> tuple[Blocker, ...]:
    return Catalog(connection).blockers(
        [statement.table, *statement.also], statement.lock.conflicts
    )
