"""Measure the progress of a long step, describe it, and show it on stderr."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.sessions import Activity
from .open_line import open_line
from .policy import LockPolicy
from .run import run_of

if TYPE_CHECKING:
    from rich.progress import Progress


LONG_STEP = 1.0  # seconds; a step that takes longer is observed from a second connection

_LABEL_WIDTH = 72  # characters of a label

# Held by the Display that draws a bar on the terminal; any other one writes lines meanwhile.
_terminal_lock = threading.Lock()


class Meter:
    """The description of a backend's progress, with the rate of a phase since it was first seen."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._since = self._first = 0.0

    def read(self, activity: Activity) -> tuple[str, float | None]:
        """Return a description of the activity, and the share of its phase that is done, from 0 to 1.

        The share is None if the server does not measure the phase.
        """
        parts = [activity.phase or "", *self._measured(activity)]
        parts.append(f"{activity.age or 0:.0f} s")
        if activity.phase is None and activity.size:
            parts.append(f"table of about {activity.size}")
        if activity.blockers:
            parts.append(f"waits for pid {', '.join(str(each.pid) for each in activity.blockers)}")
        measure = activity.measure
        share = min(1.0, measure[0] / measure[1]) if measure else None
        return ", ".join(filter(None, parts)), share

    def _measured(self, activity: Activity) -> list[str]:
        """Return the part of the description that has numbers, if the server measures the phase."""
        if activity.measure is None:
            return []
        done, total, unit = activity.measure
        now, phase = time.monotonic(), f"{activity.phase} {unit}"
        # A count that has gone down belongs to a new phase that has the same name.
        if phase != self._phase or done < self._first:
            self._phase, self._since, self._first = phase, now, done
        said = f"{min(1.0, done / total):.0%} ({done:,} of {total:,} {unit}"
        elapsed = now - self._since
        rate = (done - self._first) / elapsed if elapsed else 0
        return [f"{said}, {rate:,.0f}/s)" if rate else f"{said})"]


class Walk:
    """The progress of a walk over the rows of a table.

    left: returns how many rows are left (None if unknown) and whether they were counted or estimated. It is
        called once, and only if the walk takes longer than `after` seconds, because counting takes time.
    """

    def __init__(self, left: Callable[[], tuple[int | None, bool]], *, after: float) -> None:
        self._left, self._after, self._begin = left, after, time.monotonic()
        self._total: int | None = None
        self._said = ""

    def show(self, shown: "Display", done: int) -> None:
        """Show that `done` rows are done, if the walk has taken longer than `after` seconds."""
        elapsed = time.monotonic() - self._begin
        if elapsed < self._after:
            return
        if not self._said:
            left, is_counted = self._left()
            self._total = None if left is None else done + left
            about = "" if is_counted else "about "
            self._said = "rows" if left is None else f"of {about}{self._total:,} rows"
        share = min(1.0, done / self._total) if self._total else None
        percent = f"{share:.0%}, " if share is not None else ""
        shown.show(f"{percent}{done:,} {self._said}, {done / elapsed:,.0f}/s", share)


class Display:
    """A long step on stderr: a bar if that is a terminal and rich is installed, else a line now and then.

    label: the name of the step. interval: seconds between two lines. quiet: show nothing at all.

    Nothing is shown before the first call of `show`. The bar disappears when the context ends, also after
    a failure.
    """

    def __init__(self, label: str, interval: float, *, quiet: bool = False) -> None:
        self._label = label if len(label) <= _LABEL_WIDTH else f"{label[: _LABEL_WIDTH - 1]}…"
        self._interval, self._quiet = interval, quiet
        self._next = 0.0
        self._bar: Progress | None = None
        self._is_drawing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._is_drawing:
            self._is_drawing = False
            _terminal_lock.release()

    def show(self, text: str, share: float | None = None) -> None:
        """Show how far the step is, as often as there is news.

        share: how much is done, from 0 to 1; None if that is unknown.
        """
        if self._quiet:
            return
        is_first, now = not self._next, time.monotonic()
        if is_first:
            open_line.leave()
            self._is_drawing = _terminal_lock.acquire(blocking=False)
            self._bar = _create_bar() if self._is_drawing else None
        if self._bar is not None:
            self._next = now
            self._draw(self._bar, text, share)
        elif now >= self._next:
            self._next = now + self._interval
            sys.stderr.write(f"{self._label}: {text}\n")
            sys.stderr.flush()

    def _draw(self, bar: "Progress", text: str, share: float | None) -> None:
        """Draw the bar; without a share it pulses."""
        if not bar.tasks:
            bar.add_task(self._label)
        (task,) = bar.tasks
        task.total = None if share is None else 1.0  # update(total=None) would leave it unchanged
        bar.update(task.id, completed=share or 0.0, text=text)
        bar.start()
        bar.refresh()


def _create_bar() -> "Progress | None":
    """Return a bar, which honours NO_COLOR; None unless stderr can be drawn on and rich is installed."""
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        return None
    console = Console(stderr=True)
    if console.is_dumb_terminal:
        return None
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}", markup=False),
    ]
    return Progress(*columns, console=console, transient=True, auto_refresh=False)


def display_of(connection: BaseDatabaseWrapper, label: str) -> Display:
    """Return the Display for a step, set up as the policy and `migrate --verbosity` ask."""
    interval = LockPolicy.from_settings().progress_interval
    return Display(label, interval, quiet=is_quiet(connection))


def is_quiet(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the run on the connection is to be silent, as `migrate --verbosity 0` asks."""
    return run_of(connection).verbosity == 0
