"""Running a job again and again in one process, through restarts of the database."""

import logging
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Final

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from signals.verification.job import Options, RunReport, run_job
from signals.verification.tally import OnBatch, Stop

logger = logging.getLogger("signals.verification")

SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""The first of these ends a run after the batch at work, a second one before that is written."""
LONGEST_BACKOFF: Final = 60.0
"""Seconds between two attempts to reach the database, at most."""
JITTER: Final = 0.1
"""Share of the interval by which a run may start later, so that many machines do not run at once."""


class Interrupted(Exception):
    """A second signal ended the run; its last batch was given back."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}; the last batch was given back")
        self.number = number


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Let SIGNALS set `stop` instead of ending the process; raise Interrupted at the end after a second one.

    In another thread than the main one Python allows no signal handlers, so nothing is changed there.
    """
    second: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if stop.soon.is_set():
            second.append(number)
            stop.at_once()
        stop.soon.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if second:
        raise Interrupted(second[0])


def watch(
    options: Options,
    every: float,
    stop: Stop,
    on_end: Callable[[RunReport], None],
    on_batch: OnBatch | None = None,
) -> None:
    """Do a run every so many seconds until `stop` is set; see repeat()."""

    def run() -> None:
        report = run_job(options, stop=stop, on_batch=on_batch, on_end=on_end)
        if report.stopped:
            raise report.stopped

    repeat(run, every, stop)


def repeat(run: Callable[[], object], every: float, stop: Stop) -> None:
    """Call `run` every so many seconds until `stop` is set.

    Runs start at multiples of the interval after the first one, plus a jitter; those that a long run
    overtook are left out. Between runs the connection is closed. While the database does not answer, the
    job tries again after 1, 2, 4, … seconds, at most LONGEST_BACKOFF. Other errors are raised.
    """
    first = monotonic()
    failures = 0
    while not stop.soon.is_set():
        try:
            run()
        except (OperationalError, InterfaceError) as error:
            connections[DEFAULT_DB_ALIAS].close()
            if stop.soon.is_set():
                return
            failures += 1
            pause = min(LONGEST_BACKOFF, 2.0 ** (failures - 1)) * random.uniform(0.5, 1)  # noqa: S311
            logger.warning("the database does not answer, again in %.1f s: %s", pause, error)
            stop.soon.wait(pause)
            continue
        finally:
            connections[DEFAULT_DB_ALIAS].close()
        failures = 0
        elapsed = monotonic() - first
        pause = every - elapsed % every + random.uniform(0, JITTER * every)  # noqa: S311
        stop.soon.wait(pause)
