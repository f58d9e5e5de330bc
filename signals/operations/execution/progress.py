"""How far a long step is: what there is to say, and where it is shown."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.sessions import Activity
from .policy import LockPolicy
from .run import run_of

if TYPE_CHECKING:
    from rich.progress import Progress


LONG_STEP = 1.0  # seconds; what lasts longer is looked at from a second connection

_LABEL_WIDTH = 72  # characters of a label

_terminal = threading.Lock()  # of whoever draws a bar there; others say lines meanwhile


class Meter:
    """Says what a backend is at; the rate is that of the phase since it was first seen."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._since = self._first = 0.0

    def read(self, activity: Activity) -> tuple[str, float | None]:
        """In words, and the share that is done of what the server can measure."""
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
        if activity.measure is None:
            return []
        done, total, unit = activity.measure
        now, phase = time.monotonic(), f"{activity.phase} {unit}"
        if phase != self._phase or done < self._first:
            self._phase, self._since, self._first = phase, now, done
        said = f"{min(1.0, done / total):.0%} ({done:,} of {total:,} {unit}"
        elapsed = now - self._since
        rate = (done - self._first) / elapsed if elapsed else 0
        return [f"{said}, {rate:,.0f}/s)" if rate else f"{said})"]


class Walk:
    """How far a walk over the rows of a table is.

    left: asks how many rows are left, and whether they were counted; asked once, if the walk takes longer
    than `after` seconds.
    """

    def __init__(self, left: Callable[[], tuple[int | None, bool]], *, after: float) -> None:
        self._left, self._after, self._begin = left, after, time.monotonic()
        self._total: int | None = None
        self._said = ""

    def show(self, shown: "Display", done: int) -> None:
        """Says it, once the walk is long."""
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
    """Shows a long step on stderr: as a bar on a terminal with rich, else as a line each interval.

    Nothing is shown before the first `show`, and nothing at all to who asked for quiet. The bar
    leaves the terminal as it was.
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
            _terminal.release()

    def show(self, text: str, share: float | None = None) -> None:
        """Says how far the step is; may be called as often as there is news."""
        if self._quiet:
            return
        is_first, now = not self._next, time.monotonic()
        if is_first:
            _leave_line()
            self._is_drawing = _terminal.acquire(blocking=False)
            self._bar = _bar() if self._is_drawing else None
        if self._bar is not None:
            self._next = now
            self._draw(self._bar, text, share)
        elif now >= self._next:
            self._next = now + self._interval
            sys.stderr.write(f"{self._label}: {text}\n")
            sys.stderr.flush()

    def _draw(self, bar: "Progress", text: str, share: float | None) -> None:
        """Without a share the bar pulses."""
        if not bar.tasks:
            bar.add_task(self._label)
        (task,) = bar.tasks
        task.total = None if share is None else 1.0  # update() takes None for no news
        bar.update(task.id, completed=share or 0.0, text=text)
        bar.start()
        bar.refresh()


def _leave_line() -> None:
    """Off the line on the terminal that `migrate` ends with its OK."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        sys.stderr.write("\n")


def _bar() -> "Progress | None":
    """A bar where stderr is a terminal that can be drawn on and rich is installed; it honours NO_COLOR."""
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
    """Where a step's progress is shown, as the policy and `migrate --verbosity` ask."""
    interval = LockPolicy.from_settings().progress_interval
    return Display(label, interval, quiet=is_quiet(connection))


def is_quiet(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the run is to be silent."""
    return run_of(connection).verbosity == 0
