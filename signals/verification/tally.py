"""What the workers of a run share: how much is left to do, what was counted, and whether to stop."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.choices import Decision
from signals.verification.changes import Change
from signals.verification.errors import TooManyFailures
from signals.verification.evaluation import Failure
from signals.verification.settings import Settings

COUNT_NAMES: Final = (
    *("scanned", "evaluated", "updated", "skipped", "errors"),
    *("verified", "downgraded", "held", "insufficient"),
)
"""The keys of a run's counts, in the order in which they are shown."""

OnBatch = Callable[[Mapping[str, int]], None]
"""Called with the counts of a run so far."""

COUNT_OF_DECISION: Final = {
    Decision.UPGRADE: "verified",
    Decision.DOWNGRADE: "downgraded",
    Decision.HOLD: "held",
    Decision.INSUFFICIENT: "insufficient",
}
"""The count in which each decision is counted."""


class Stop:
    """What ends a run early: `soon` after the batches at work, `now` before they are written."""

    def __init__(self) -> None:
        self.soon = Event()
        self.now = Event()
        self._sessions: set[Any] = set()

    @contextmanager
    def cancels(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Let at_once() cancel the statements of this connection."""
        connection.ensure_connection()
        session = connection.connection
        self._sessions.add(session)
        try:
            yield
        finally:
            self._sessions.discard(session)

    def at_once(self) -> None:
        """End the run before the batches at work are written, and cancel its statements."""
        self.soon.set()
        self.now.set()
        for session in tuple(self._sessions):
            session.cancel()


class Tally:
    """The counts of a run. Its workers, which are threads, share it.

    `on_batch` is called with the counts at once, and after each batch by the worker whose batch it was.
    """

    def __init__(
        self, limit: int | None, settings: Settings, on_batch: OnBatch | None = None
    ) -> None:
        self._left = limit
        self._settings = settings
        self._on_batch = on_batch
        self._counts: Counter[str] = Counter()
        self._first_error = ""
        self._lock = Lock()
        self.last_failures: list[int] = []
        """Numbers of the signals that the run makes dead when it ends, unless it stops for its failures."""
        self._tell()

    @property
    def counts(self) -> dict[str, int]:
        """The counts so far, with all their names."""
        with self._lock:
            return {name: self._counts[name] for name in COUNT_NAMES}

    def take(self, size: int) -> int:
        """Return how many signals a worker may claim, at most `size`, and count them as taken."""
        with self._lock:
            taken = size if self._left is None else min(size, self._left)
            if self._left is not None:
                self._left -= taken
            return taken

    def give_back(self, number: int) -> None:
        """Take back what take() gave for signals that were not claimed, or not wanted."""
        with self._lock:
            if self._left is not None:
                self._left += number

    def refusal(self, scanned: int, failures: Sequence[Failure]) -> TooManyFailures | None:
        """Return the error that stops the run, if with this batch too many of its checks have failed."""
        with self._lock:
            if failures and not self._first_error:
                self._first_error = failures[0].error
            checks = self._counts["scanned"] + scanned
            failed = self._counts["errors"] + len(failures)
            is_many = failed > self._settings.max_failures * checks
            if not failures or checks < self._settings.min_checks or not is_many:
                return None
            return TooManyFailures(failed, checks, self._first_error)

    def count(self, counts: Mapping[str, int]) -> None:
        """Add the counts of a batch in which no check failed."""
        with self._lock:
            self._counts.update(counts)
        self._tell()

    def add(self, scanned: int, changes: Iterable[Change], failures: Sequence[Failure]) -> None:
        """Count a batch that was written, or that a dry run would have written."""
        counts = Counter(scanned=scanned, errors=len(failures))
        for change in changes:
            if not change.outdated:
                counts["evaluated"] += 1
                counts[COUNT_OF_DECISION[change.evaluation.verdict.decision]] += 1
                counts["updated"] += change.updates_signal
        counts["skipped"] = scanned - counts["evaluated"] - counts["errors"]
        with self._lock:
            self._counts.update(counts)
            self.last_failures += [each.candidate.signal_id for each in failures if each.is_last]
        self._tell()

    def _tell(self) -> None:
        if self._on_batch:
            self._on_batch(self.counts)
