"""Looks at a session that is busy, from another one, for as long as it is."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

from django.db.backends.base.base import BaseDatabaseWrapper

from ..names import NAME

logger = logging.getLogger(NAME)


Observe = Callable[[BaseDatabaseWrapper], float]


class Watch:
    """A thread that looks, while it is `due`, over a connection of its own.

    connect: opens the connection, which is closed in every case; what is not begun within `after`
    seconds, or hurried, opens none. look: is called again after the seconds that it returns. Where
    no connection can be had, or it is lost, nothing is seen until the next attempt `retry` seconds
    later; whoever is watched notices nothing.
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
        """Looks from now on, however short it took so far."""
        self._begin.set()

    @contextmanager
    def due(self) -> Iterator[None]:
        """Within it there is something to see."""
        self._due.set()
        try:
            yield
        finally:
            self._due.clear()

    def _work(self) -> None:
        self._begin.wait(self._after)
        while not self._done.is_set():
            try:
                with self._connect() as observer:
                    self._go_on(observer)
            except Exception:
                logger.debug("nobody watches for the next %s s", self._retry, exc_info=True)
                self._done.wait(self._retry)

    def _go_on(self, observer: BaseDatabaseWrapper) -> None:
        while self._due.wait() and not self._done.is_set():
            self._done.wait(self._look(observer))
