"""Wait and try again, and report the sessions that are waited for."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self, TypeVar

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.sessions import Activity, Blocker, activity_of, builds_on
from ..errors import LOCK_NOT_AVAILABLE, ROWS_IN_THE_WAY, UNREADABLE, sqlstate
from ..names import NAME
from . import progress
from .policy import LockPolicy
from .progress import Display, Meter, is_quiet
from .second_session import observer_session
from .settings import known_backend, no_timeouts, read_committed
from .watch import Watch

logger = logging.getLogger(NAME)


Answer = TypeVar("Answer")


def pauses(longest: float, first: float = 0.05) -> Iterator[float]:
    """Yield pauses in seconds, without end, that double from `first` up to `longest`.

    Each is shortened at random by up to a half, so that sessions which block each other get out of step.
    """
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        pause = min(longest, pause * 2)


def poll(done: Callable[[], bool], longest: float = 1.0) -> None:
    """Call done() until it returns True, with pauses of up to `longest` seconds.

    Hold no transaction during a pause: a concurrent build that the caller waits for may wait for it in turn.
    """
    for pause in pauses(longest):
        if done():
            return
        time.sleep(pause)


class WaitReport:
    """Reports the progress of a step, and the sessions that block it, while it runs or waits.

    The blocking sessions are logged when they change, and once in each progress_interval.

    what: the name of the step in the log lines. quiet: log at INFO instead of WARNING.
    """

    def __init__(self, policy: LockPolicy, shown: Display, what: str, *, quiet: bool) -> None:
        self._policy, self._shown, self._what, self._quiet = policy, shown, what, quiet
        self._meter = Meter()
        self._named: tuple[int, ...] = ()
        self._next = 0.0

    def look(self, activity: Activity) -> None:
        """Show the progress; log the blocking sessions if they have changed or if the interval has passed."""
        pids, now = tuple(each.pid for each in activity.blockers), time.monotonic()
        if pids != self._named or now >= self._next:
            self._named, self._next = pids, now + self._policy.progress_interval
            phase = f" ({activity.phase})" if activity.phase else ""
            self.name(activity.blockers, phase)
        self._shown.show(*self._meter.read(activity))

    def name(self, blockers: tuple[Blocker, ...], phase: str = "") -> None:
        """Log one line for each blocking session; phase: what the step was doing, in parentheses."""
        for blocker in blockers:
            log_function(self._quiet)("waiting for %s%s: %s", self._what, phase, blocker)


class OthersBuild:
    """Reports the index builds of other sessions: who runs them, their progress, and who blocks them.

    label: the operation that waits for the builds. what: why it waits.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, label: str, what: str = "another session builds it"
    ) -> None:
        self._connection, self._label, self._what = connection, label, what
        self._policy = LockPolicy.from_settings()
        self._quiet = is_quiet(connection)
        self._shown = Display(label, self._policy.progress_interval, quiet=self._quiet)
        self._reports: dict[int, WaitReport] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.__exit__(*error)

    def look(self, table: str) -> bool:
        """Report on the builds on the quoted table; return whether there are any.

        Query over the migrator's own connection, which is idle meanwhile.
        """
        builds = builds_on(self._connection, table, self._policy.queries)
        for activity in builds:
            builder = activity.session
            if builder.pid not in self._reports:
                what = f"the build of pid {builder.pid} on {table}"
                report = WaitReport(self._policy, self._shown, what, quiet=self._quiet)
                self._reports[builder.pid] = report
                who = _OURS if builder.is_ours else _OTHERS
                text = f"%s: {self._what}; waiting for %s: %s"
                log_function(self._quiet)(text, self._label, who, builder)
            if (activity.age or 0) >= progress.LONG_STEP:
                self._reports[builder.pid].look(activity)
        return bool(builds)


_OURS = "a run of these operations, or what a killed one left"
_OTHERS = "a stranger"


def retry_on_conflict(
    connection: BaseDatabaseWrapper, act: Callable[[], int], longest: float
) -> int:
    """Return act(), called in a transaction of its own; call it again after a conflict with other sessions.

    Conflicts are serialization failures, deadlocks and lock timeouts. Raise the last conflict after `longest`
    seconds, and any other error at once. A failed call leaves nothing behind.
    """
    deadline = time.monotonic() + longest
    for pause in pauses(LockPolicy.from_settings().longest_pause):
        try:
            with read_committed(connection):
                return act()
        except DatabaseError as error:
            if sqlstate(error) not in ROWS_IN_THE_WAY or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
    raise AssertionError  # the pauses have no end


def retry_without_timeouts(
    connection: BaseDatabaseWrapper, ask: Callable[[], Answer], *, heeds_lock_timeout: bool = False
) -> Answer:
    """Return ask(); if it fails, call it once more without the session's timeouts.

    Call it again if a timeout cancelled it, or if another session dropped an object while ask() read the
    catalog: the query still sees the object's row, but functions that print a definition no longer find it.

    Raise the error at once if it has ended an open transaction. If a statement of ask() takes long, log the
    sessions that block it.

    heeds_lock_timeout: whether a lock_timeout, as of the role or the database, ends the waiting all the same.
    """
    kept = ("lock_timeout",) if heeds_lock_timeout else ()
    with _report_blockers(connection):
        try:
            return ask()
        except DatabaseError as error:
            is_final = heeds_lock_timeout and sqlstate(error) == LOCK_NOT_AVAILABLE
            if sqlstate(error) not in UNREADABLE or connection.needs_rollback or is_final:
                raise
        with no_timeouts(connection, *kept):
            return ask()


@contextmanager
def _report_blockers(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Run the block; if one of its statements takes long, log the sessions that block it."""
    policy = LockPolicy.from_settings()
    silent = Display("", policy.progress_interval, quiet=True)
    report = WaitReport(policy, silent, "a table that is read", quiet=is_quiet(connection))

    def look(observer: BaseDatabaseWrapper) -> float:
        pid = known_backend(connection)
        if pid is not None:
            activity = activity_of(observer, pid, policy.queries)
            if activity is not None and activity.blockers:
                report.look(activity)
        return progress.LONG_STEP

    connect = partial(observer_session, connection)

    def watched(execute: Callable[..., Any], *statement: Any) -> Any:
        # The time between two statements is the caller's own, in which nobody waits for a lock.
        watch = Watch(connect, look, after=progress.LONG_STEP, retry=policy.progress_interval)
        with watch, watch.due():
            return execute(*statement)

    with connection.execute_wrapper(watched):
        yield


def log_function(quiet: bool) -> Callable[..., None]:
    """Return the logger's method for reports: `warning` or, in a quiet run, `info`."""
    return logger.info if quiet else logger.warning
