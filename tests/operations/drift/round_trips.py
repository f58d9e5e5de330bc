"""Count the round trips to the server by a relay in front of it: one ReadyForQuery ends each."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from django.db import connections

from project.environment import database_from_url
from tests.postgres.databases import Database


class Relay:
    """Pass on what clients and the server say.

    round_trips: those that the server has ended, the beginning of each session included. sessions: the
    number of sessions that began. url: a DATABASE_URL by way of the relay.
    """

    def __init__(self, server: str) -> None:
        self.round_trips, self.sessions, self.url = 0, 0, ""
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.sessions += 1
            server = self._dial()
            threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
            threading.Thread(target=self._count, args=(server, client), daemon=True).start()

    def _dial(self) -> socket.socket:
        if self._server.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            return server
        host, _, port = self._server.rpartition(":")
        return socket.create_connection((host, int(port)))

    def _count(self, server: socket.socket, client: socket.socket) -> None:
        """Messages are a letter, their length and the rest; Z is ReadyForQuery."""
        pending = b""
        while chunk := _received(server):
            pending += chunk
            while len(pending) >= 5 and len(pending) > (length := _length(pending)):
                self.round_trips += pending[:1] == b"Z"
                pending = pending[length + 1 :]
            try:
                client.sendall(chunk)
            except OSError:
                return
        client.close()


def _length(message: bytes) -> int:
    return int.from_bytes(message[1:5], "big")


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    while chunk := _received(client):
        server.sendall(chunk)
    server.close()


@contextmanager
def counting_relay(database: Database) -> Iterator[tuple[Relay, str]]:
    """Yield a relay to the database's server, and Django's alias of the database through it."""
    url = urlsplit(database.url)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    host, port = query.get("host", "localhost"), query.get("port", "5432")
    server = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    relay = Relay(server)
    user = url.netloc.rpartition("@")[0]
    relay.url = f"postgresql://{user}@127.0.0.1:{relay.port}{url.path}?sslmode=disable"
    defaults = connections.configure_settings({"default": database_from_url(relay.url)})
    alias = f"relayed {relay.port}"
    connections.databases[alias] = defaults["default"]
    try:
        yield relay, alias
    finally:
        connections[alias].close()
        del connections[alias], connections.databases[alias]
        relay.close()
