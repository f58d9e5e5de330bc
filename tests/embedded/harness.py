"""Real processes on clusters of their own, and what can be seen of them from outside."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import psycopg

from project.embedded import cluster
from project.embedded.account import is_root
from project.embedded.server import Server
from project.embedded.watcher import LINGER_SECONDS
from tests.deadline import DEADLINE
from tests.postgres.run_server import run_folder

ROOT = Path(__file__).resolve().parents[2]
LONGER_THAN_THE_LINGER_SECONDS = LINGER_SECONDS + 0.5


def environment(**variables: str) -> dict[str, str]:
    """The test run's variables without those that choose a server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "DATABASE_URL" and not name.startswith("PG")
    }
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, **variables}


def eventually(condition: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, "the deadline has passed"
        time.sleep(0.02)


def lasts(condition: Callable[[], object]) -> None:
    """Assert that the condition holds for longer than a watcher lingers."""
    until = time.monotonic() + LONGER_THAN_THE_LINGER_SECONDS
    while time.monotonic() < until:
        assert condition()
        time.sleep(0.1)


class User:
    """A process that has joined the server of a data folder, or was refused."""

    def __init__(
        self,
        data_dir: Path,
        mode: str = "",
        *,
        python: Sequence[str] = (sys.executable,),
        **options: Any,
    ) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*python, "-m", "tests.embedded.user", str(data_dir), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            **{"env": environment(), **options},
        )

    @cached_property
    def host(self) -> str:
        """Where its server listens; blocks until it has joined."""
        assert self.process.stdout
        host = self.process.stdout.readline().rstrip("\n")
        assert host, self.end()
        return host

    def end(self) -> str:
        """Let it end by itself; the result is what it complained about."""
        _, complaint = self.process.communicate()
        return complaint

    def kill(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill(signal.SIGKILL)


def query(host: str, statement: str, database: str = "postgres") -> Any:
    with psycopg.connect(
        host=host, port=5432, user="postgres", dbname=database, autocommit=True
    ) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster(data_dir: Path) -> int:
    (running,) = cluster.running(data_dir)
    return running.postmaster


def watchers(data_dir: Path) -> list[int]:
    return [pid for pid, command in _commands(data_dir) if "project.embedded.watcher" in command]


def processes(data_dir: Path) -> list[int]:
    """Every process of the server's and the watcher's that has not ended."""
    homes = [place.resolve() for place in data_dir.glob("[0-9]*")]
    working = [pid for home in homes for pid in Server(home).processes()]
    return working + [pid for pid, _ in _commands(data_dir)]


@contextmanager
def moved(data_dir: Path, folder: Path) -> Iterator[Path]:
    """The cluster in another folder for a while."""
    folder.mkdir(parents=True)
    there = data_dir.rename(folder / data_dir.name)
    try:
        yield there
    finally:
        cluster.stop(there)
        _remove_outside(there)
        there.rename(data_dir)


@contextmanager
def killed_server(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A cluster whose lock files name an innocent process of the server's own account."""
    with User(data_dir) as user:
        assert user.host
        server = postmaster(data_dir)
        account = Server(next(data_dir.glob("[0-9]*"))).account
        os.kill(server, signal.SIGKILL)
    cluster.stop(data_dir)
    drop = {"user": account.uid, "group": account.gid, "extra_groups": []} if is_root() else {}
    sleep = shutil.which("sleep") or "sleep"
    with subprocess.Popen([sleep, "600"], **drop) as stranger:  # type: ignore[call-overload]
        try:
            for pattern in ("*/data/postmaster.pid", "*/socket/.s.PGSQL.*.lock"):
                (file,) = data_dir.glob(pattern)
                file.write_text(file.read_text().replace(str(server), str(stranger.pid), 1))
            yield stranger
        finally:
            stranger.kill()


def accounts(data_dir: Path) -> set[int]:
    """Whom the processes of the server's and the watcher's belong to."""
    listed = [line.split() for line in _listed("-A", "-o", "pid=,uid=").splitlines()]
    running = processes(data_dir)
    return {int(uid) for pid, uid in listed if int(pid) in running}


def _remove_outside(data_dir: Path) -> None:
    for place in (*data_dir.glob("*/socket"), *data_dir.glob("*")):
        if place.is_symlink():
            shutil.rmtree(place.resolve())
            place.unlink()


def _commands(data_dir: Path) -> Iterator[tuple[int, str]]:
    homes = [str(place.resolve()) for place in data_dir.glob("[0-9]*")]
    for line in _listed("-A", "-ww", "-o", "pid=,stat=,args=").splitlines():
        pid, state, command = line.split(maxsplit=2)
        if not state.startswith("Z") and any(home in command for home in homes):
            yield int(pid), command


def _listed(*options: str) -> str:
    ps = shutil.which("ps") or "ps"
    return subprocess.run([ps, *options], capture_output=True, text=True, check=True).stdout


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter, as pytest's are not; what runs in it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="tests-embedded-", dir=run_folder())).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for data_dir in folder.rglob(".postgres"):
            cluster.stop(data_dir)
            _remove_outside(data_dir)
        shutil.rmtree(folder)
