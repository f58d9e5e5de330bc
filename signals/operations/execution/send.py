"""Send a statement under the timeouts that its lock asks for."""

import logging
import time
from collections.abc import Mapping
from functools import partial

from django.db import DatabaseError, DataError, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.query import query_rows
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
from .policy import LockPolicy
from .progress import Display, is_quiet
from .run import run_of
from .second_session import observer_session
from .settings import (
    APPLICATION_NAME,
    CLIENT_CHECK,
    NO_TIMEOUTS,
    NO_TIMEOUTS_IN_TRANSACTION,
    change_settings,
    is_pooled,
    no_timeouts,
    read_committed,
    session_timeouts,
    set_settings,
    was_found_pooled,
    with_settings,
)
from .waiting import WaitReport, pauses
from .watch import Watch

logger = logging.getLogger(NAME)


def send(
    connection: BaseDatabaseWrapper, statement: Statement, limits: Mapping[str, float] | None = None
) -> None:
    """Executes the statement once its lock is granted.

    A lock that stops writers is tried for a short time, again and again, so that what queues behind
    it goes on between the tries; raises LockWaitExceeded after the last one, and RowsViolate where
    existing rows stand against the statement. A statement that lets writers through waits as long as
    it must. What lasts is told: for whom it waits, and how far it is. A failed run leaves nothing of
    this statement, except that a failed concurrent build leaves an invalid index, which the next run
    drops. Where the client is killed, the server ends the statement within seconds.

    limits: the operation's own, in the place of the settings of that name.
    """
    policy = LockPolicy.from_settings().limited(limits or {})
    about_to_change(connection)
    logger.info("%s", statement.sql)
    try:
        _run(connection, statement, policy)
    except (DataError, IntegrityError) as error:
        if sqlstate(error) == INVALID_PARAMETER_VALUE or is_overtaken(error):
            raise
        raise RowsViolate(statement.sql, one_line(error)) from error


def about_to_change(connection: BaseDatabaseWrapper) -> None:
    """Called before anything is changed; raises where the run must stop, or is known to later on."""
    run = run_of(connection)
    if run.still_alone is not None:
        run.still_alone()
    look_ahead, run.look_ahead = run.look_ahead, None
    if look_ahead is not None:
        with no_timeouts(connection):
            look_ahead()


def _run(connection: BaseDatabaseWrapper, statement: Statement, policy: LockPolicy) -> None:
    label = " ".join(statement.sql.split())
    with Display(label, policy.progress_interval, quiet=is_quiet(connection)) as shown:
        sending = _Sending(connection, statement, policy, shown)
        if statement.lock.waits:
            sending.wait()
        elif connection.in_atomic_block:
            sending.try_once()
        else:
            sending.retry()


class _Sending:
    """One statement on its way, looked at from a second connection where it takes long.

    blockers: those of the last try, as seen while it waited; where nobody saw it, who holds the locks.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        statement: Statement,
        policy: LockPolicy,
        shown: Display,
    ) -> None:
        self._connection, self._statement, self._policy = connection, statement, policy
        what = f"{statement.lock} on {statement.table}"
        self._report = WaitReport(policy, shown, what, quiet=is_quiet(connection))
        self._timeout = policy.lock_timeout
        self.blockers: tuple[Blocker, ...] = ()

    def wait(self) -> None:
        with self._watch(progress.LONG_STEP) as watch, watch.due():
            _wait(self._connection, self._statement)

    def try_once(self) -> None:
        self._timeout = self._policy.lock_timeout_in_transaction
        with self._watch(min(progress.LONG_STEP, self._timeout / 2)) as watch:
            if not self._is_done(watch):
                raise self._exceeded(
                    "wait for them, or set atomic = False on the migration, which makes it try again"
                )

    def retry(self) -> None:
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
                about_to_change(self._connection)

    def _is_done(self, watch: Watch) -> bool:
        """Tries once."""
        self.blockers = ()
        with watch.due():
            is_done = _try(self._connection, self._statement, self._timeout)
        if not is_done and not self.blockers:
            tables = [self._statement.table, *self._statement.also]
            conflicts = self._statement.lock.conflicts
            letters = self._policy.letters
            self.blockers = lock_holders(self._connection, tables, conflicts, letters)
        return is_done

    def _watch(self, after: float) -> Watch:
        connect = partial(observer_session, self._connection)
        return Watch(connect, self._look, after=after, retry=self._policy.progress_interval)

    def _look(self, observer: BaseDatabaseWrapper) -> float:
        if was_found_pooled(self._connection):
            return progress.LONG_STEP  # whose number that is, nobody knows
        pid = self._connection.connection.info.backend_pid
        activity = activity_of(observer, pid, self._policy.letters)
        is_long = (
            activity is not None and activity.active and (activity.age or 0) >= progress.LONG_STEP
        )
        if activity is None or self._statement.lock.waits or (is_long and not activity.blockers):
            if activity is not None and activity.active:
                self._report.look(activity)
            return progress.LONG_STEP
        self.blockers = activity.blockers or self.blockers
        return max(0.02, self._timeout / 5)

    def _exceeded(self, advice: str) -> LockWaitExceeded:
        blockers = [str(blocker) for blocker in self.blockers]
        return LockWaitExceeded(self._statement.sql, self._statement.table, blockers, advice)


def _try(connection: BaseDatabaseWrapper, statement: Statement, timeout: float) -> bool:
    """Whether the lock was granted in time."""
    try:
        _execute(connection, statement, {"lock_timeout": str(max(1, round(timeout * 1000)))})
    except DatabaseError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def _require_no_timeouts(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """Refuses what a timeout would cut off and leave invalid, where none can be lifted."""
    timeouts = session_timeouts(connection)
    if timeouts:
        raise Refused(
            statement.sql,
            statement.table,
            f"a pooler stands before the server, and {', '.join(timeouts)} would cut the statement off",
            "migrate over a direct connection, or as a role without these timeouts",
        )


def _wait(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """Outside a transaction, because CONCURRENTLY can run in none, if none is open."""
    if connection.in_atomic_block:
        _execute(connection, statement, NO_TIMEOUTS_IN_TRANSACTION)
        return
    if is_pooled(connection):
        _require_no_timeouts(connection, statement)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql)
        return
    with (
        with_settings(connection, {**NO_TIMEOUTS, **APPLICATION_NAME, **CLIENT_CHECK}),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.sql)


def _execute(
    connection: BaseDatabaseWrapper, statement: Statement, values: Mapping[str, str]
) -> None:
    """In a transaction, or a savepoint of the one that is open; the settings go back with its end.

    Sent once more without CHECK where a value is refused: either the server's platform cannot check,
    or the statement itself is refused, which then says so again.
    """
    for further in ({**APPLICATION_NAME, **CLIENT_CHECK}, APPLICATION_NAME):
        try:
            with read_committed(connection), connection.cursor() as cursor:
                before = change_settings(connection, {**values, **further})
                cursor.execute(statement.sql)
                if connection.savepoint_ids:
                    set_settings(connection, before)
        except DatabaseError as error:
            if sqlstate(error) != INVALID_PARAMETER_VALUE or further is APPLICATION_NAME:
                raise
        else:
            return


def fits_transaction(connection: BaseDatabaseWrapper, statement: Statement) -> bool:
    """Whether the statement can run in the open transaction.

    Under its lock it may look at the rows, and a transaction's old snapshot would not show the newest.
    """
    if not statement.transactional or not statement.sql.startswith("LOCK TABLE"):
        return statement.transactional
    ((level,),) = query_rows(
        connection, "SELECT pg_catalog.current_setting('transaction_isolation')"
    )
    return level in ("read committed", "read uncommitted")
