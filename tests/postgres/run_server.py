"""A PostgreSQL for one run of the tests, where DATABASE_URL names none; its data goes with the run."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.embedded import cluster
from project.embedded.locks import exclusive, open_lock, try_exclusive

# Nobody reads the data after a crash of the machine, so nothing waits for a disk.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

# By this variable the workers of a run learn where the cluster of the first process lies.
_VARIABLE = "TESTS_DATA_DIR"
_PREFIX = "signals-tests-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - of Linux, and every name in it is a new one
_MEMORY_BYTES = 2 * 2**30


def run_folder() -> Path:
    """Return the folder of the run, which every account may enter; it goes with the run."""
    return Path(os.environ[_VARIABLE]).parent


def _fast_folder() -> Path:
    """Return a file system in memory that has room and may hold programs, else the temporary folder."""
    if os.access(_MEMORY, os.W_OK):
        status = os.statvfs(_MEMORY)
        has_room = status.f_bavail * status.f_frsize >= _MEMORY_BYTES
        if has_room and not status.f_flag & os.ST_NOEXEC:
            return _MEMORY
    return Path(tempfile.gettempdir())


@contextmanager
def data_dir() -> Iterator[Path]:
    """Yield the DATA_DIR of the run; its first process stops the servers and removes the folder in the end.

    A lock in the folder tells later runs that this one goes on; they remove what killed runs have left.
    """
    if given := os.environ.get(_VARIABLE):
        yield Path(given)
        return
    base = _fast_folder()
    with exclusive(base):
        _remove_leftovers(base)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        lock = open_lock(folder / "run")
        fcntl.flock(lock, fcntl.LOCK_SH)
    folder.chmod(0o755)  # root's server runs as another account
    os.environ[_VARIABLE] = str(folder / ".postgres")
    try:
        yield folder / ".postgres"
    finally:
        del os.environ[_VARIABLE]
        with exclusive(base):
            _remove(folder)
        os.close(lock)


def _remove_leftovers(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        if folder.stat().st_uid == os.geteuid():
            lock = open_lock(folder / "run")
            if try_exclusive(lock):
                _remove(folder)
            os.close(lock)


def _remove(folder: Path) -> None:
    for data_dir in folder.rglob(".postgres"):
        cluster.stop(data_dir)
    shutil.rmtree(folder)
