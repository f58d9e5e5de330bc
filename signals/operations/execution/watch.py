"""Observe a busy session from a thread of its own, over a second connection."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from django.db.backends.base.base import BaseDatabaseWrapper

from ..names import NAME

logger = logging.getLogger(NAME)


# Looks over the given connection, and returns the seconds until the next look.
Observe = Callable[[BaseDatabaseWrapper], float]


class Watch:
    """A thread that looks at another session, over a connection of its own, while it is `due`.

    connect: returns a context that opens the connection and closes it in every case.
    look: is called with the connection, and again after the seconds that it returns.
    after: seconds until the connection is opened, unless `hurry` is called, so that short steps open none.
    retry: seconds until the next attempt after the connection could not be opened or was lost.

    No error of the thread reaches the session that is observed.
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
        """Begin to look now, before `after` seconds have passed."""
        self._begin.set()

    @contextmanager
    def due(self) -> Iterator[None]:
        """Run the block while the thread looks; outside such a block it does not."""
        self._due.set()
        try:
            yield
        finally:
            self._due.clear()

    def _work(self) -> None:
        """Open the connection and look over it, until the watch ends; after an error try again."""
        self._begin.wait(self._after)
        while not self._done.is_set():
            try:
                with self._connect() as observer:
                    self._look_while_due(observer)
            except Exception:
                logger.debug("nobody watches for the next %s s", self._retry, exc_info=True)
                self._done.wait(self._retry)

    def _look_while_due(self, observer: BaseDatabaseWrapper) -> None:
        """Look again and again while it is due; wait while it is not."""
        while self._due.wait() and not self._done.is_set():
            self._done.wait(self._look(observer))
