"""Where a cluster lies: one folder for each major version, open to the server's account alone.

    DATA_DIR/18/data        the cluster
    DATA_DIR/18/socket/     the server's socket
    DATA_DIR/18/server.log  what the last start of the server printed
    DATA_DIR/18/users       shared by every process that uses the server
    DATA_DIR/18/start       held while the server is started or stopped
    DATA_DIR/18/watcher     held by the process that stops the server, whose number it holds
    DATA_DIR/18/programs/   a copy of PostgreSQL's programs, where the account cannot enter theirs
    DATA_DIR/18/initdb-*    a cluster in the making

`18` or `socket` is a symbolic link to a private folder under the temporary one where the place
itself would not do. The mode of a folder that was there before is never changed.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.embedded.account import Account, is_root
from project.embedded.errors import FolderError
from project.embedded.locks import exclusive

PORT = 5432
_SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107


def settle(data_dir: Path, major: str) -> Path:
    """The cluster's folder, made if missing; a failed run leaves at most an empty one.

    It is a folder in `data_dir`. Where that is closed to the account that runs the server, because
    root works in a folder of its own, it is a private one outside, which lasts as long as the
    system keeps temporary files.
    """
    place = data_dir / major
    with named_refusal(place):
        if not place.is_dir():
            data_dir.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(data_dir.parent):
                _make(place, Account.chosen(data_dir, data_dir.parent))
        home = place.resolve()
        owner = Account.owning(home)
        if owner.uid == 0:
            raise FolderError(
                place, "belongs to root, whom PostgreSQL does not serve (remove the folder)"
            )
        if not is_root() and owner.uid != os.geteuid():
            raise PermissionError
    return home


def homes(data_dir: Path) -> list[Path]:
    """The folders of the clusters of every major version; none is made."""
    with named_refusal(data_dir):
        places = sorted(data_dir.iterdir()) if data_dir.is_dir() else []
        return [place.resolve() for place in places if place.name.isdecimal() and place.is_dir()]


def socket_folder(home: Path, account: Account) -> Path:
    """The folder of the server's socket, made if missing; to be called under the start lock.

    A socket's path is short, and libpq reads a comma in it as the end of a host.
    """
    place = home / "socket"
    path = os.fsencode(place / f".s.PGSQL.{PORT}")
    if len(path) > _SOCKET_PATH_BYTES or b"," in path:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        if not place.is_dir():
            _link_outside(place, account)
    elif place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)
        place.mkdir(mode=0o700)
        account.own(place)
    return place.resolve()


@contextmanager
def named_refusal(folder: Path) -> Iterator[None]:
    """Say whose folder the system refuses to this process: `folder` or the nearest one it sees."""
    try:
        yield
    except PermissionError as error:
        while not os.access(folder.parent, os.X_OK) or not folder.exists():
            folder = folder.parent
        user, owner = Account.current().name, Account.owning(folder).name
        raise FolderError(
            folder,
            f"is closed to {user}, it belongs to {owner} (run as {owner}, give it away with"
            f" `chown -R {user}`, or name another server in DATABASE_URL)",
        ) from error


def _make(place: Path, account: Account) -> None:
    data_dir = place.parent
    if not data_dir.exists():
        data_dir.mkdir(mode=0o700)
        account.own(data_dir)
    if place.is_dir():
        return
    if account.enters(data_dir):
        place.unlink(missing_ok=True)
        place.mkdir(mode=0o700)
        account.own(place)
    else:
        _link_outside(place, account)


def _link_outside(place: Path, account: Account) -> None:
    folder = Path(tempfile.mkdtemp(prefix="embedded-postgres-"))
    account.own(folder)
    if not account.enters(folder):
        folder.rmdir()
        raise FolderError(
            folder.parent,
            f"is closed to {account.name}, who runs the server"
            " (name a folder that is open to everyone in TMPDIR)",
        )
    place.unlink(missing_ok=True)
    place.symlink_to(folder)
    account.own(place)
