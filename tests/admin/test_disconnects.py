"""A browser that closes its connection, seen by a real gunicorn."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from signals.admin.disconnects import is_closed
from tests.admin.other_settings import run
from tests.postgres.databases import Database
from tests.postgres.polling import wait_until

LOGIN = """
call_command("migrate", verbosity=0)
visitor = client()
visitor.force_login(User.objects.create_superuser("chief"))
answer(visitor.cookies["sessionid"].value)
"""
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def database(copy: Callable[[str], Database]) -> Database:
    return copy("clean 0013")


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The address of the site under gunicorn, without a limit on the time of statements."""
    environ = {"DATABASE_URL": database.url, "DEBUG": "on", "ADMIN_STATEMENT_TIMEOUT_MS": "0"}
    words = ("-m", "gunicorn", "project.wsgi", "--bind", "127.0.0.1:0", "--workers", "1")
    log = tmp_path / "gunicorn.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=Path(settings.BASE_DIR),
            env={**os.environ, **environ},
            stderr=errors,
        )
    try:
        wait_until(lambda: "Booting worker" in log.read_text(), "gunicorn is there")
        port = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
        assert port is not None
        yield "127.0.0.1", int(port[1])
    finally:
        process.terminate()
        process.wait(30)


def test_a_browser_that_is_gone_ends_its_query(database: Database, server: tuple[str, int]) -> None:
    cookie = run(database, LOGIN)
    request = f"GET /admin/signals/signal/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={cookie}\r\n\r\n"
    with database.connect(autocommit=False) as holder, database.connect() as watcher:
        holder.execute("LOCK TABLE signals IN ACCESS EXCLUSIVE MODE")

        def waiting() -> int:
            row = watcher.execute(WAITING).fetchone()
            return int(row[0]) if row else 0

        with socket.create_connection(server) as patient:
            patient.sendall(request.encode())
            wait_until(lambda: waiting() == 1, "the page waits for the lock")
        wait_until(lambda: waiting() == 0, "its query is cancelled")
        with socket.create_connection(server) as patient:
            patient.sendall(request.encode())
            wait_until(lambda: waiting() == 1, "the page waits for the lock")
            holder.rollback()
            assert patient.recv(15).startswith(b"HTTP/1.1 200")


def test_a_connection_with_something_to_read_is_open() -> None:
    here, there = socket.socketpair()
    with here:
        assert not is_closed(here)
        there.sendall(b"the next request")
        assert not is_closed(here)
        there.close()
        assert not is_closed(here)
        here.recv(100)
        assert is_closed(here)
    assert is_closed(here)
