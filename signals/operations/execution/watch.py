"""Observe a busy session from a thread of its own, over a second connection."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from django.db.backends.base.base import BaseDatabaseWrapper

from ..names import NAME

logger = logging.getLogger(NAME)


# A function that observes a session over the connection, and returns the seconds until its next call.
Observe = Callable[[BaseDatabaseWrapper], float]


class Watch:
    """A thread that observes a busy session over a second connection, during `due` blocks.

    connect: returns a context manager that opens the connection and closes it in every case.
    look: is called with the connection, again and again, after the seconds that it returns.
    after: the seconds before the connection is opened, so that short steps open none; `hurry` ends them.
    retry: the seconds before the next attempt if the connection cannot be opened or is lost.

    Errors in the thread never reach the observed session.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[BaseDatabaseWrapper]],
        look: Observe,
        *,
        after: float,
        retry: float,
    ) -> None:
        self._connect, self._look = connect, look
        self._after, self._retry = after, retry
        self._begin, self._due, self._done = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._work, name=NAME, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._begin.set()
        self._due.set()
        self._thread.join()

    def hurry(self) -> None:
        """Begin to observe now, even if `after` seconds have not passed."""
        self._begin.set()

    @contextmanager
    def due(self) -> Iterator[None]:
        """Run the block while the thread observes; it pauses outside of such blocks."""
        self._due.set()
        try:
            yield
        finally:
            self._due.clear()

    def _work(self) -> None:
        """Open the connection and observe over it, until the watch ends; after an error, try again."""
        self._begin.wait(self._after)
        while not self._done.is_set():
            try:
                with self._connect() as observer:
                    self._look_while_due(observer)
            except Exception:
                logger.debug("no observer for the next %s s", self._retry, exc_info=True)
                self._done.wait(self._retry)

    def _look_while_due(self, observer: BaseDatabaseWrapper) -> None:
        """Call look() again and again during `due` blocks; wait outside of them."""
        while self._due.wait() and not self._done.is_set():
            self._done.wait(self._look(observer))
