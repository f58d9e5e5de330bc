"""Serving metrics while a command works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

from django.core.management.base import CommandError

from signals.management.arguments import ExitCode


@contextmanager
def serving(
    place: tuple[str, int] | None, serve: Callable[[str, int], WSGIServer]
) -> Iterator[None]:
    """Serve the metrics at host and port meanwhile; without a place do nothing."""
    if place is None:
        yield
        return
    host, port = place
    try:
        server = serve(host, port)
    except OSError as error:
        raise CommandError(
            f"the metrics cannot be served at {host}:{port}: {error.strerror}",
            returncode=ExitCode.UNAVAILABLE,
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
