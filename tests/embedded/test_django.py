"""The database backend, in Django's own commands."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded.harness import ROOT, User, environment, eventually, processes, query


def manage(data_dir: Path, *arguments: str, stdin: str = "", **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=django(data_dir, **variables),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def django(data_dir: Path, **variables: str) -> dict[str, str]:
    return environment(
        DJANGO_SETTINGS_MODULE="tests.embedded.settings", DATA_DIR=str(data_dir), **variables
    )


@pytest.mark.parametrize(
    "arguments", [("check",), ("--help",), ("migrate", "--help"), ("diffsettings",)]
)
def test_a_command_that_needs_no_database_starts_none(
    place: Path, arguments: tuple[str, ...]
) -> None:
    manage(place / ".postgres", *arguments)
    assert not (place / ".postgres").exists()


def test_makemigrations_does_without_a_server(place: Path) -> None:
    manage(place / ".postgres", "makemigrations", "--check", PGBINDIR=str(place))
    assert not (place / ".postgres").exists()


def test_the_first_connection_starts_the_server_and_makes_the_database(data_dir: Path) -> None:
    manage(data_dir, "migrate", NAME="Ours & theirs")
    assert manage(data_dir, "dbshell", "--", "-Atc", "SELECT current_database()", NAME="new") == (
        "new\n"
    )
    with User(data_dir) as user:
        assert query(user.host, "SELECT count(*) FROM django_migrations", "Ours & theirs") == 2


TEST_DATABASE = """
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
old = setup_databases(verbosity=0, interactive=False)
with connection.cursor() as cursor:
    cursor.execute("SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database")
    print(cursor.fetchone()[0])
teardown_databases(old, verbosity=0)
"""


def test_a_test_run_makes_its_own_database_only(data_dir: Path) -> None:
    made = manage(data_dir, "shell", "-v0", "-c", TEST_DATABASE, NAME="own").split()
    assert "test_own" in made
    assert "own" not in made


RECONNECT = """
from pathlib import Path
from django.db import connection
from project.embedded import cluster
connection.ensure_connection()
connection.close()
assert cluster.stop(Path(connection.settings_dict["DATA_DIR"]))
connection.ensure_connection()
"""


def test_a_connection_starts_a_server_that_was_stopped_meanwhile(data_dir: Path) -> None:
    manage(data_dir, "shell", "-v0", "-c", RECONNECT)


@pytest.mark.parametrize("reloader", [(), ("--noreload",)], ids=["reloader", "noreload"])
def test_a_terminated_runserver_leaves_no_process(
    data_dir: Path, reloader: tuple[str, ...]
) -> None:
    address = ("127.0.0.1", _free_port())
    command = [sys.executable, "manage.py", "runserver", *reloader, f"127.0.0.1:{address[1]}"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=django(data_dir),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            eventually(lambda: _answers(address))
            assert processes(data_dir)
        finally:
            server.send_signal(signal.SIGTERM)
    eventually(lambda: not processes(data_dir))
    assert not _answers(address)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True
