"""One server and its data folder."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from project.embedded.account import Account
from project.embedded.errors import ServerError
from project.embedded.folders import PORT, socket_folder
from project.embedded.locks import open_lock
from project.embedded.programs import Programs

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.02
_INITDB = ("-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-instructions")
_SAME_WORKING_DIRECTORY = """
for process in /proc/[0-9]*; do [ "$process/cwd" -ef "$0" ] && echo "${process#/proc/}"; done; :
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The server of the cluster in `home`; start and stop are to be called under the start lock."""

    home: Path

    @property
    def account(self) -> Account:
        return Account.owning(self.home)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def socket(self) -> Path:
        return (self.home / "socket").resolve()

    def start(self, programs: Programs, settings: Mapping[str, str]) -> None:
        """Let the server answer, whatever the last one left behind.

        A failed run leaves the cluster as it was, or none; the next one starts over. What still
        runs from a killed server is waited for; the numbers in its lock files are never trusted,
        because they may be another process's by now.
        """
        if self._answers(programs):
            return
        programs = programs.within_reach(self.account, self.home)
        if not self.data.is_dir():
            self._initialise(programs)
        socket = socket_folder(self.home, self.account)
        launched = False
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers(programs):
            processes = self.processes()
            if not processes and launched:
                raise ServerError(f"PostgreSQL in {self.data} ended at once", self._last_words())
            if not processes:
                self._clear_away(socket)
                self._launch(programs, socket, settings)
                launched = True
            self._wait(until, "does not answer", processes)

    def stop(self) -> bool:
        """Ask for a fast shutdown, as `pg_ctl stop -m fast` does, and wait for the last process.

        False where none ran. Needs none of the programs, which may be gone by now.
        """
        asked: set[int] = set()
        until = time.monotonic() + _PATIENCE_SECONDS
        while processes := self.processes():
            postmaster = self._postmaster(processes)
            if postmaster is not None and postmaster not in asked:
                asked.add(postmaster)
                with suppress(ProcessLookupError):
                    os.kill(postmaster, signal.SIGINT)
            self._wait(until, "does not end", processes)
        return bool(asked)

    def postmaster(self) -> int | None:
        """The process that serves the data folder; a pid file alone proves nothing."""
        return self._postmaster(self.processes())

    def processes(self) -> list[int]:
        """The processes that work in the data folder, as all of a server's do and no others."""
        if not self.data.is_dir():
            return []
        if Path("/proc/self/cwd").exists():
            found = self.account.run("/bin/sh", "-c", _SAME_WORKING_DIRECTORY, self.data)
        else:
            found = self.account.run("lsof", "-a", "-d", "cwd", "-t", "--", self.data)
        return [int(number) for number in found.stdout.split()]

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _postmaster(self, processes: list[int]) -> int | None:
        with suppress(FileNotFoundError):
            number = self._pid_file.read_text().partition("\n")[0]
            if number.isdecimal() and int(number) in processes:
                return int(number)
        return None

    def _answers(self, programs: Programs) -> bool:
        address = ("-h", self.socket, "-p", str(PORT), "-U", "postgres", "-d", "postgres")
        return Account.current().run(programs / "pg_isready", "-q", *address).returncode == 0

    def _initialise(self, programs: Programs) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        for left in self.home.glob("initdb-*"):
            # The initdb of a killed start may still write there, until what it needs is gone.
            while left.exists():
                shutil.rmtree(left, ignore_errors=True)
                if time.monotonic() > until:
                    raise ServerError(f"a killed start left {left}, which stays (remove it)", "")
                time.sleep(_POLL_SECONDS)
        folder = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.home))
        self.account.own(folder)
        made = self.account.run(programs / "initdb", *_INITDB, "-D", folder)
        if made.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise ServerError(f"initdb made no cluster in {self.home}", made.stderr)
        folder.rename(self.data)

    def _clear_away(self, socket: Path) -> None:
        for lock in (self._pid_file, *socket.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)

    def _launch(self, programs: Programs, socket: Path, settings: Mapping[str, str]) -> None:
        settings = {
            **settings,
            "port": str(PORT),
            "listen_addresses": "",
            "unix_socket_directories": '"' + str(socket).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        command: list[str | Path] = [programs / "postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = open_lock(self.log)
        try:
            os.truncate(log, 0)
            self.account.detach(*command, cwd=self.data, output=log)
        finally:
            os.close(log)

    def _wait(self, until: float, what: str, processes: list[int]) -> None:
        if time.monotonic() > until:
            raise ServerError(
                f"PostgreSQL in {self.data} {what}, its processes are {processes} (end them)",
                self._last_words(),
            )
        time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-5:])
