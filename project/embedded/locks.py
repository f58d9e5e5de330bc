"""File locks; the kernel frees a lock when its last holder ends, however it ends.

A lock belongs to the opened file, which a forked child shares with its parent and a started
program does not inherit.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.embedded.account import Account

_shared: dict[tuple[int, int], int] = {}


def open_lock(path: Path) -> int:
    """The file at `path`, made if missing; it belongs to whom its folder belongs to."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    Account.owning(path.parent).own(path)
    return descriptor


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on a file, or on a folder, which needs no file that would outlive the lock.

    It is released before it is closed: a child forked meanwhile by another thread keeps the file
    open, and must not keep the lock.
    """
    descriptor = os.open(path, os.O_RDONLY) if path.is_dir() else open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def try_exclusive(descriptor: int) -> bool:
    """Take the lock if nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_for_life(path: Path) -> None:
    """Share the lock until this process and every child it forks have ended.

    The file is known by its inode, so a folder that was removed and made again is shared anew.
    """
    descriptor = open_lock(path)
    status = os.fstat(descriptor)
    if _shared.setdefault((status.st_dev, status.st_ino), descriptor) == descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    else:
        os.close(descriptor)


def is_replaced(descriptor: int, path: Path) -> bool:
    """Whether `path` names another file by now, or none."""
    return not (path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()))
