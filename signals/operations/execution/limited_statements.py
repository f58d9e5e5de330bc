"""Limit how long the statements that other code sends on a connection wait for their locks."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import Any, Final, Self

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.sessions import Blocker, activity_of
from ..errors import DEADLOCK, LOCK_NOT_AVAILABLE, LockWaitExceeded, sqlstate
from . import progress
from .limits import milliseconds
from .policy import LockPolicy
from .progress import Display, is_quiet
from .run import run_of
from .second_session import observer_session
from .settings import is_shared, known_backend, with_lock_timeout
from .waiting import WaitReport, pauses
from .watch import Watch

_NEVER: Final = 10.0**6  # seconds, after which an observer connects that is to wait for hurry()
# Statements whose lock lets writers through. A timeout would leave an invalid index of some.
_WAITS: Final = re.compile(r"\bCONCURRENTLY\b|^\s*VACUUM\b", re.IGNORECASE)


class LimitedStatements:
    """Limits the statements of the connection, within a block, that no convergent operation sends.

    Outside a transaction each is tried again and again. In a transaction a lock that is not granted within
    `timeout` seconds ends it; `is_only_try` says that nobody begins it again.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, label: str, timeout: float, *, is_only_try: bool
    ) -> None:
        self._connection, self._timeout = connection, timeout
        self._policy, self._run = LockPolicy.from_settings(), run_of(connection)
        shown = Display(label, self._policy.progress_interval, quiet=True)
        what = f"a lock for {label}"
        self._report = WaitReport(self._policy, shown, what, quiet=is_quiet(connection))
        self._watch = Watch(
            partial(observer_session, connection),
            self._look,
            after=timeout / 2 if is_only_try else _NEVER,
            retry=self._policy.progress_interval,
        )
        self._stack = ExitStack()
        self._transaction: Any = None  # the outermost block that has its timeout
        self._statement = ""
        self._blockers: tuple[Blocker, ...] = ()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._watch)
        self._stack.enter_context(self._connection.execute_wrapper(self._execute))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def session_timeout(self) -> AbstractContextManager[None]:
        """Return a context in which statements outside a transaction have the timeout of a short try."""
        if is_shared(self._connection):
            return nullcontext()
        return with_lock_timeout(self._connection, self._policy.lock_timeout)

    def pause(self, seconds: float) -> None:
        """Name the sessions that were in the way, and wait before the next try.

        Raise MigratorsLockLost if the run has lost the migrators' lock.
        """
        self._report.name(self._blockers)
        self._blockers = ()
        self._watch.hurry()
        time.sleep(seconds)
        if self._run.still_alone is not None:
            self._run.still_alone()
        self._run.answers.forget()

    def exceeded(self, advice: str = "") -> LockWaitExceeded:
        """Return the error that names the last statement, and who was in its way."""
        blockers = [str(blocker) for blocker in self._blockers]
        sql = " ".join(self._statement.split())
        return LockWaitExceeded(
            sql, "", blockers, f"end those sessions, or run again when they are done{advice}"
        )

    def _execute(
        self, execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any
    ) -> Any:
        """Wrap the execution of a statement; those of convergent operations pass."""
        act = partial(execute, sql, parameters, many, context)
        if self._run.is_converging:
            return act()
        self._statement = str(sql)
        if not self._connection.in_atomic_block:
            return self._retry(act)
        self._limit_transaction()
        with self._watch.due():
            return act()

    def _limit_transaction(self) -> None:
        """Give the transaction its timeout, before its first statement."""
        block = self._connection.atomic_blocks[0]
        if block is not self._transaction:
            self._transaction = block
            self._set(f"SET LOCAL lock_timeout = {milliseconds(self._timeout)}")

    def _retry(self, act: Callable[[], Any]) -> Any:
        """Execute a statement outside a transaction until its lock is granted."""
        if is_shared(self._connection):
            return act()
        if _WAITS.search(self._statement):
            return self._wait(act)
        deadline = time.monotonic() + self._policy.lock_wait
        for pause in pauses(self._policy.longest_pause):
            try:
                with self._watch.due():
                    return act()
            except DatabaseError as error:
                if not is_in_the_way(error):
                    raise
                if time.monotonic() + pause > deadline:
                    raise self.exceeded() from error
            self.pause(pause)
        raise AssertionError  # the pauses have no end

    def _wait(self, act: Callable[[], Any]) -> Any:
        """Execute a statement that waits for its lock as long as necessary; report who is in its way."""
        self._set("SET lock_timeout = 0")
        try:
            self._watch.hurry()
            with self._watch.due():
                return act()
        finally:
            self._set(f"SET lock_timeout = {milliseconds(self._policy.lock_timeout)}")

    def _set(self, setting: str) -> None:
        """Change a setting past Django, whose log of queries is that of the other code."""
        self._connection.connection.execute(setting)

    def _look(self, observer: BaseDatabaseWrapper) -> float:
        """Observe the session over the observer's connection; return the seconds until the next look."""
        pid = known_backend(self._connection)
        activity = None if pid is None else activity_of(observer, pid, self._policy.queries)
        if activity is None or not activity.active:
            return progress.LONG_STEP / 10
        self._blockers = activity.blockers or self._blockers
        is_long = (activity.age or 0) >= progress.LONG_STEP
        if is_long and activity.blockers:
            self._report.look(activity)
        # The blockers of a short try are visible only while it waits, so look several times.
        return progress.LONG_STEP if is_long else max(0.02, self._policy.lock_timeout / 5)


def is_in_the_way(error: BaseException) -> bool:
    """Return whether the error is a lock that was not granted, which may be granted later."""
    is_refused = sqlstate(error) in (LOCK_NOT_AVAILABLE, DEADLOCK)
    return is_refused or isinstance(error, LockWaitExceeded)
