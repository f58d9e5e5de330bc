"""Count the messages that ask the server to do something, on their way from a client."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from tests.postgres.databases import Database, address, server_session

PORT = 5432
ASKING = (b"Q", b"E")  # a query, and the execution of a prepared one


class Wire:
    """A Unix socket that leads to the server of the tests, and what clients send over it.

    texts: the SQL of each simple query, and an empty text for each execution of a prepared statement.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.texts = folder, list[str]()
        host, port = server_session().info.host, server_session().info.port
        self._server = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / f".s.PGSQL.{PORT}"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: Database) -> str:
        """Return the DATABASE_URL of the database by way of the socket."""
        user, _ = address()
        return f"postgresql://{user}@/{database.name}?host={quote(str(self.folder))}&port={PORT}"

    def close(self) -> None:
        """Accept no more clients."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
            server = socket.socket(family)
            server.connect(self._server)
            for act, source, target in (
                (self._listen, client, server),
                (_forward, server, client),
            ):
                threading.Thread(target=act, args=(source, target), daemon=True).start()

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        """Forward the client's messages; the first one, which begins the session, has no type."""
        stream = client.makefile("rb")
        header = b""
        while size := stream.read(4):
            body = stream.read(int.from_bytes(size, "big") - 4)
            if header in ASKING:
                self.texts.append(body[:-1].decode() if header == b"Q" else "")
            server.sendall(header + size + body)
            header = stream.read(1)
        server.close()


def _forward(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    target.close()


@contextmanager
def wire() -> Iterator[Wire]:
    """Yield a wire to the server of the tests."""
    with TemporaryDirectory() as folder:
        made = Wire(Path(folder))
        try:
            yield made
        finally:
            made.close()
