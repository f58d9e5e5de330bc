"""A pooler as PgBouncer with pool_mode = session: each client has a backend, and is told another pid."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from tests.operations.drift.round_trips import Relay
from tests.postgres.databases import Database

INVENTED = 999_999_999


class Pooler(Relay):
    """Pass on what a client and its backend say, except the pid of the backend."""

    def _count(self, server: socket.socket, client: socket.socket) -> None:
        """Messages are a letter, their length and the rest; K is BackendKeyData, a pid and a key."""
        greeting = b""
        while (place := _key_data(greeting)) is None:
            chunk = server.recv(65536)
            if not chunk:
                client.sendall(greeting)  # an error, and the end of the session
                client.close()
                return
            greeting += chunk
        pid = INVENTED.to_bytes(4, "big")
        client.sendall(greeting[: place + 5] + pid + greeting[place + 9 :])
        super()._count(server, client)


def _key_data(greeting: bytes) -> int | None:
    """Return the place of BackendKeyData in what the server has said; None if it is not complete."""
    place = 0
    while len(greeting) >= place + 5:
        length = int.from_bytes(greeting[place + 1 : place + 5], "big")
        if greeting[place : place + 1] == b"K":
            return place if len(greeting) > place + length else None
        place += 1 + length
    return None


@contextmanager
def behind_pooler(database: Database) -> Iterator[str]:
    """Yield the DATABASE_URL of the database through a pooler."""
    url = urlsplit(database.url)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    host, port = query.get("host", "localhost"), query.get("port", "5432")
    pooler = Pooler(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}")
    user = url.netloc.rpartition("@")[0]
    try:
        yield f"postgresql://{user}@127.0.0.1:{pooler.port}{url.path}?sslmode=disable"
    finally:
        pooler.close()
