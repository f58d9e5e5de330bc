"""Send a statement under the timeouts that its lock asks for."""

import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

from django.db import DatabaseError, DataError, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.query import execute_in_savepoint, execute_in_transaction, query_rows
from ..catalog.sessions import Blocker, activity_of, lock_holders
from ..errors import (
    INVALID_PARAMETER_VALUE,
    LOCK_NOT_AVAILABLE,
    LockWaitExceeded,
    Refused,
    RowsViolate,
    is_overtaken,
    one_line,
    sqlstate,
)
from ..names import NAME
from ..statements import Statement
from . import progress
from .limits import milliseconds
from .policy import LockPolicy
from .progress import Display, is_quiet
from .run import run_of
from .second_session import observer_session
from .settings import (
    APPLICATION_NAME,
    CLIENT_CHECK,
    NO_TIMEOUTS,
    NO_TIMEOUTS_IN_TRANSACTION,
    is_shared,
    known_backend,
    local_settings,
    passing_settings,
    session_timeouts,
    with_settings,
)
from .waiting import WaitReport, pauses
from .watch import Watch

_TITLE = 180  # characters

Rows: TypeAlias = list[tuple[Any, ...]]

logger = logging.getLogger(NAME)


def send(
    connection: BaseDatabaseWrapper,
    statement: Statement,
    limits: Mapping[str, float] | None = None,
    question: str = "",
) -> Rows:
    """Execute the statement once its lock is granted.

    Try to get a lock that stops writers for a short time, again and again, so that the sessions queued
    behind it go on between the tries. Wait for a lock that lets writers through as long as necessary. If
    the statement takes long, report its progress and the sessions that it waits for.

    Raise LockWaitExceeded after the last try, RowsViolate if existing rows violate the statement, and all
    that `Run.about_to_change` raises. Raise Refused for a statement that may take long if the session goes
    through a pooler and has timeouts, which cannot be lifted there.

    A failed run leaves nothing of the statement, except that a failed concurrent build leaves an invalid
    index, which the next run drops. If the client is killed, the server ends the statement within seconds.

    limits: the operation's own limits by name, in the place of the settings.
    question: a SELECT to be answered afterwards. Return its rows; none if it could not be sent together with
        the statement, or if it failed.
    """
    policy = LockPolicy.from_settings().limited(limits or {})
    run_of(connection).about_to_change()
    logger.info("%s", statement.sql)
    try:
        return _run(connection, statement, policy, question)
    except (DataError, IntegrityError) as error:
        if sqlstate(error) == INVALID_PARAMETER_VALUE or is_overtaken(error):
            raise
        raise RowsViolate(statement.sql, one_line(error)) from error


def _run(
    connection: BaseDatabaseWrapper, statement: Statement, policy: LockPolicy, question: str
) -> Rows:
    """Send the statement in the way that its lock and the transaction allow; return the answer."""
    label = " ".join(statement.sql.split())
    with Display(label, policy.progress_interval, quiet=is_quiet(connection)) as shown:
        sending = _Sending(connection, statement, policy, shown, question)
        if statement.lock.waits:
            sending.wait()
        elif connection.in_atomic_block:
            sending.try_once()
        else:
            sending.retry()
    return sending.answer


class _Sending:
    """One statement that is being sent, observed from a second connection if it takes long.

    blockers: the sessions that blocked the last try, as observed while it waited; if it ended before it was
        observed, the sessions that held a conflicting lock afterwards.
    answer: the rows that answer the question, if it was sent and did not fail.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        statement: Statement,
        policy: LockPolicy,
        shown: Display,
        question: str,
    ) -> None:
        self._connection, self._statement, self._policy = connection, statement, policy
        what = f"{statement.lock} on {statement.table}"
        self._report = WaitReport(policy, shown, what, quiet=is_quiet(connection))
        self._timeout, self._question = policy.lock_timeout, question
        self.blockers: tuple[Blocker, ...] = ()
        self.answer: Rows = []

    def wait(self) -> None:
        """Wait for the lock as long as it takes."""
        with self._watch(progress.LONG_STEP) as watch, watch.due():
            self.answer = _wait(self._connection, self._statement, self._question)

    def try_once(self) -> None:
        """Try once, with the longer timeout of an open transaction; raise LockWaitExceeded if it fails."""
        self._timeout = self._policy.lock_timeout_in_transaction
        # Observe the only try before it ends, also if it may take less than a long step.
        with self._watch(min(progress.LONG_STEP, self._timeout / 2)) as watch:
            if not self._is_done(watch):
                raise self._exceeded(
                    "wait for them, or set atomic = False on the migration, which makes it try again"
                )

    def retry(self) -> None:
        """Try until the lock is granted; raise LockWaitExceeded after `lock_wait` seconds."""
        deadline = time.monotonic() + self._policy.lock_wait
        with self._watch(progress.LONG_STEP) as watch:
            for pause in pauses(self._policy.longest_pause):
                if self._is_done(watch):
                    return
                if time.monotonic() + pause > deadline:
                    raise self._exceeded("end those sessions, or run again when they are done")
                self._report.name(self.blockers)
                watch.hurry()
                time.sleep(pause)
                run_of(self._connection).about_to_change()

    def _is_done(self, watch: Watch) -> bool:
        """Try once; return whether the statement was executed, else find out who blocked it."""
        self.blockers = ()
        with watch.due():
            is_done = self._try()
        if not is_done and not self.blockers:
            tables = [self._statement.table, *self._statement.also]
            conflicts = self._statement.lock.conflicts
            queries = self._policy.queries
            self.blockers = lock_holders(self._connection, tables, conflicts, queries)
        return is_done

    def _try(self) -> bool:
        """Execute the statement; return False if its lock was not granted before the timeout."""
        timeout = {"lock_timeout": str(milliseconds(self._timeout))}
        try:
            self.answer = _execute(self._connection, self._statement, timeout, self._question)
        except DatabaseError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            return False
        return True

    def _watch(self, after: float) -> Watch:
        connect = partial(observer_session, self._connection)
        return Watch(connect, self._look, after=after, retry=self._policy.progress_interval)

    def _look(self, observer: BaseDatabaseWrapper) -> float:
        """Observe the backend over the observer's connection; return the seconds until the next look."""
        pid = known_backend(self._connection)
        if pid is None:
            return progress.LONG_STEP
        activity = activity_of(observer, pid, self._policy.queries)
        is_long = (
            activity is not None and activity.active and (activity.age or 0) >= progress.LONG_STEP
        )
        if activity is None or self._statement.lock.waits or (is_long and not activity.blockers):
            if activity is not None and activity.active:
                self._report.look(activity)
            return progress.LONG_STEP
        # The blockers of a short try are visible only while it waits, so look several times.
        self.blockers = activity.blockers or self.blockers
        return max(0.02, self._timeout / 5)

    def _exceeded(self, advice: str) -> LockWaitExceeded:
        blockers = [str(blocker) for blocker in self.blockers]
        return LockWaitExceeded(self._statement.sql, self._statement.table, blockers, advice)


_KEPT = "the statement was not sent; what was done before it stays, and the next run continues from there"


def require_no_timeouts(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """Raise Refused if the session has timeouts that would have to be lifted, and a pooler shares it.

    They might cut off a concurrent build, which would leave an invalid index. Other statements run in a
    transaction, with which their settings end.
    """
    if statement.transactional or not is_shared(connection):
        return
    timeouts = session_timeouts(connection)
    if timeouts:
        raise Refused(
            statement.sql,
            statement.table,
            f"a pooler stands before the server, and {', '.join(timeouts)} would cut the statement off",
            "migrate over a direct connection, or as a role without these timeouts; or, if the pooler gives "
            "each client a session of its own (pool_mode = session), set SESSION_POOLER "
            "(CONVERGENT_MIGRATIONS_SESSION_POOLER=on)",
            kept=_KEPT,
        )


def _wait(connection: BaseDatabaseWrapper, statement: Statement, question: str) -> Rows:
    """Execute the statement without timeouts; without a transaction, if it cannot run in one."""
    if statement.transactional:
        is_open = connection.in_atomic_block
        timeouts = NO_TIMEOUTS_IN_TRANSACTION if is_open else NO_TIMEOUTS
        return _execute(connection, statement, timeouts, question)
    if is_shared(connection):
        require_no_timeouts(connection, statement)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql)
        return []
    with (
        with_settings(connection, {**NO_TIMEOUTS, **APPLICATION_NAME, **CLIENT_CHECK}),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.sql)
    return []


def _execute(
    connection: BaseDatabaseWrapper, statement: Statement, values: Mapping[str, str], question: str
) -> Rows:
    """Execute the statement under the settings, in a transaction or in a savepoint of the open one.

    The settings end with the transaction. If PostgreSQL refuses a parameter, execute the statement once more
    without CLIENT_CHECK, because the platform of the server may be unable to check its clients. If it was
    the statement that was refused, the second attempt raises the same error.
    """
    act = _execute_in_savepoint if connection.in_atomic_block else _execute_alone
    try:
        return act(connection, statement, {**values, **APPLICATION_NAME, **CLIENT_CHECK}, question)
    except DatabaseError as error:
        if sqlstate(error) != INVALID_PARAMETER_VALUE:
            raise
    return act(connection, statement, {**values, **APPLICATION_NAME}, question)


def _execute_alone(
    connection: BaseDatabaseWrapper, statement: Statement, values: Mapping[str, str], question: str
) -> Rows:
    preparation = local_settings(connection, values)
    return execute_in_transaction(
        connection, statement.sql, preparation, title=_title(statement), question=question
    )


def _execute_in_savepoint(
    connection: BaseDatabaseWrapper, statement: Statement, values: Mapping[str, str], question: str
) -> Rows:
    # SET LOCAL outlives a savepoint that is released.
    preparation, ending = passing_settings(connection, values)
    return execute_in_savepoint(
        connection, statement.sql, preparation, ending, title=_title(statement), question=question
    )


def _title(statement: Statement) -> str:
    """Return the beginning of the statement on one line."""
    return " ".join(statement.sql.split())[:_TITLE]


def fits_transaction(connection: BaseDatabaseWrapper, statement: Statement) -> bool:
    """Return whether the statement can run in the open transaction.

    One that begins with LOCK TABLE looks at the rows under that lock. In REPEATABLE READ or SERIALIZABLE it
    would use a snapshot from before the lock, which does not show the newest rows.
    """
    if not statement.transactional or not statement.sql.startswith("LOCK TABLE"):
        return statement.transactional
    ((level,),) = query_rows(
        connection, "SELECT pg_catalog.current_setting('transaction_isolation')"
    )
    return level in ("read committed", "read uncommitted")
