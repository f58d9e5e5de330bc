"""The end of a query that nobody waits for any more, because the browser closed its connection."""

import logging
import select
import socket
from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Final

from django.db import connection
from django.http import HttpRequest, HttpResponseBase

PERIOD: Final = 0.5
"""Seconds between two looks at the connection of the browser."""

logger = logging.getLogger(__name__)


class DisconnectMiddleware:
    """Cancel the statement of an admin page when the browser has closed its connection.

    It needs the socket, which gunicorn gives to its applications; under other servers a statement ends by its
    time limit alone.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        browser = request.META.get("gunicorn.socket")
        if not isinstance(browser, socket.socket):
            return self.get_response(request)
        watch = _Watch(browser)
        try:
            with connection.execute_wrapper(watch):
                return self.get_response(request)
        finally:
            watch.is_over.set()


class _Watch:
    """Watches the connection of a browser, from the first statement of its request to the end of it."""

    def __init__(self, browser: socket.socket) -> None:
        self._browser = browser
        self._thread: Thread | None = None
        self.is_over = Event()

    def __call__(
        self, execute: Callable[..., Any], query: str, parameters: Any, many: bool, context: Any
    ) -> Any:
        if self._thread is None:
            session = context["connection"].connection
            self._thread = Thread(target=self._look, args=(session,), daemon=True)
            self._thread.start()
        return execute(query, parameters, many, context)

    def _look(self, session: Any) -> None:
        while not self.is_over.wait(PERIOD):
            if is_closed(self._browser):
                logger.info("a browser is gone, and its query with it")
                session.cancel_safe(timeout=PERIOD * 10)
                return


def is_closed(browser: socket.socket) -> bool:
    """Return whether the other end has closed the connection; what it sent is left unread."""
    try:
        readable, _, _ = select.select([browser], [], [], 0)
        return bool(readable) and browser.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):  # the socket itself is closed
        return True
