"""The process that stops a server after its last user; run as `-m project.embedded.watcher`."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from project.embedded.account import Account
from project.embedded.errors import ServerError
from project.embedded.locks import exclusive, is_replaced, open_lock, try_exclusive
from project.embedded.server import Server

LINGER_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parents[2]


def ensure(home: Path) -> None:
    """Let a watcher run; to be called under the start lock.

    The watcher inherits the lock that this process takes, so there is never a second one.
    """
    badge = open_lock(home / "watcher")
    try:
        if try_exclusive(badge):
            os.truncate(badge, 0)
            command = (sys.executable, "-P", "-S", "-m", __name__, str(home), str(badge))
            Account.current().detach(
                *command,
                cwd=home,
                output=subprocess.DEVNULL,
                pass_fds=(badge,),
                variables={"PYTHONPATH": str(_ROOT)},
            )
    finally:
        os.close(badge)


def dismiss(home: Path) -> None:
    """End the watcher without its stopping the server; to be called under the start lock."""
    badge = open_lock(home / "watcher")
    until = time.monotonic() + _PATIENCE_SECONDS
    try:
        while not try_exclusive(badge):
            number = os.pread(badge, 20, 0).decode()
            if time.monotonic() > until:
                raise ServerError(f"the watcher of {home}, process {number}, does not end (end it)")
            if number:
                with suppress(ProcessLookupError):
                    os.kill(int(number), signal.SIGTERM)
            time.sleep(0.02)
    finally:
        os.close(badge)


def watch(home: Path, badge: int) -> None:
    """Wait until nobody shares the users file, linger, and stop the server unless somebody came.

    Returns when the server is stopped, or when `home` was removed: the server of a removed folder
    ends by itself within a minute.
    """
    Account.owning(home).assume()
    os.write(badge, str(os.getpid()).encode())
    users = open_lock(home / "users")
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(LINGER_SECONDS)
        if is_replaced(users, home / "users"):
            return
        with exclusive(home / "start"):
            if try_exclusive(users):
                Server(home).stop()
                os.close(badge)
                return


if __name__ == "__main__":
    watch(Path(sys.argv[1]), int(sys.argv[2]))
