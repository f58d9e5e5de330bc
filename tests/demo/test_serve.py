"""manage.py serve: runserver that says when nobody can log in."""

import http.client
import os
import socket
import subprocess
import sys
from contextlib import closing

from tests.deadline import DEADLINE
from tests.embedded.harness import ROOT, eventually
from tests.postgres.databases import new_database


def test_it_says_that_nobody_can_log_in_and_serves_all_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        new_database() as url,
        subprocess.Popen(
            [sys.executable, "manage.py", "serve", str(port)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        eventually(lambda: process.poll() is not None or answers(port))
        process.terminate()
        _, errors = process.communicate()
    assert errors.count("Nobody can log in yet (make demo makes a user, ") == 1


def answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
        try:
            connection.request("GET", "/admin/login/")
        except ConnectionRefusedError:
            return False
        return connection.getresponse().status == http.HTTPStatus.OK
