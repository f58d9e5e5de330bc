"""The bars of long runs on a terminal."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from threading import RLock
from typing import Final, Self

from django.db import DatabaseError, connection

from signals.operations.execution.progress import LONG_STEP, Display, Walk
from signals.verification.job import Options
from signals.verification.upkeep.backlog import read_expected_checks

SECONDS_BETWEEN_LINES: Final = 10.0
"""On a terminal that can show no bar."""

logger = logging.getLogger("signals.verification")


class LoggedDisplay(logging.Filter):
    """A display on stderr, shown while a context lasts, that gives way to the lines of a log.

    As a filter of the logger it removes the bar before a line of the log is printed; the next call of
    show() draws it again. Several threads may share it.
    """

    def __init__(self, name: str, log: logging.Logger) -> None:
        super().__init__()
        self._label, self._log = name, log
        self.lock = RLock()
        self._display: Display | None = None

    def __enter__(self) -> Self:
        self._log.addFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._log.removeFilter(self)
        self.end()

    def display(self) -> Display:
        """Return the display, which is drawn when something is shown on it."""
        self._display = self._display or Display(self._label, SECONDS_BETWEEN_LINES)
        return self._display

    def end(self) -> None:
        """Remove the bar."""
        with self.lock:
            if self._display is not None:
                with suppress(OSError):
                    self._display.__exit__()
                self._display = None

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - logging's signature
        """Remove the bar, and let the record pass."""
        LoggedDisplay.end(self)
        return True


class RunProgress(LoggedDisplay):
    """Shows on stderr how far a run is, once it has taken longer than LONG_STEP seconds."""

    def __init__(self, options: Options, *, quiet: bool) -> None:
        super().__init__("verify_signal", logger)
        self._options, self._quiet = options, quiet
        self._done = 0
        self._walk: Walk | None = None

    def advance(self, counts: Mapping[str, int]) -> None:
        """Show the counts of a run; the first call, and the first after end(), is when the run begins."""
        if self._quiet:
            return
        with self.lock, suppress(OSError):  # a terminal that is gone ends no run
            self._done = counts["scanned"]
            self._walk = self._walk or Walk(self._left, after=LONG_STEP)
            self._walk.show(self.display(), self._done)

    def end(self) -> None:
        """Remove the bar, for the run is over."""
        with self.lock:
            super().end()
            self._walk = None

    def _left(self) -> tuple[int | None, bool]:
        """Return how many checks the run will make from now on, and whether that is exact."""
        selection, limit = self._options.selection, self._options.limit
        if selection.ids or selection.chain or selection.since:
            return None, False
        try:
            left = read_expected_checks(connection)
        except DatabaseError:
            return None, False
        return left if limit is None else min(left, limit - self._done), False
