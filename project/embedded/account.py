"""The account a server runs as, and the processes started in its name."""

import os
import pwd
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_IN_BACKGROUND = ("/bin/sh", "-c", '"$0" "$@" &')


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the system; PostgreSQL refuses to run as root, every other one is fit."""

    uid: int
    gid: int

    @classmethod
    def current(cls) -> Self:
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def named(cls, name: str) -> Self:
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, entry.pw_gid)

    @classmethod
    def owning(cls, path: Path) -> Self:
        """The owner, with the group it logs in to: a folder's group may be its parent's."""
        status = path.stat()
        account = cls(status.st_uid, status.st_gid)
        return cls(account.uid, account._entry.pw_gid) if account._entry else account

    @classmethod
    def chosen(cls, *folders: Path) -> Self:
        """Who is to run a new server: for an ordinary user that user.

        For root it is the owner of the first of `folders` that is not root's, so that this owner
        can use the cluster too; else `postgres`; else `nobody`. One that the system has no name
        for is passed over, because initdb refuses it.
        """
        if not is_root():
            return cls.current()
        for owner in (cls.owning(folder) for folder in folders if folder.exists()):
            if owner.uid != 0 and owner._entry:
                return owner
        known = {entry.pw_name for entry in pwd.getpwall()}
        return cls.named("postgres" if "postgres" in known else "nobody")

    @property
    def name(self) -> str:
        return self._entry.pw_name if self._entry else f"user {self.uid}"

    def own(self, path: Path) -> None:
        """Give `path` itself to the account; only root has to."""
        if is_root():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def assume(self) -> None:
        """Turn a process of root's into one of the account's, for good."""
        if is_root():
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)

    def enters(self, folder: Path) -> bool:
        """Whether every folder on the way is open to the account."""
        return self.run("/bin/sh", "-c", 'cd "$0"', folder).returncode == 0

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as the account."""
        return subprocess.run(  # noqa: S603 - the programs are PostgreSQL's and the system's
            command,
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            **self._identity(),
        )

    def detach(
        self,
        *command: str | Path,
        cwd: Path,
        output: int,
        pass_fds: tuple[int, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start a program as the account that outlives this process and is init's to wait for."""
        subprocess.run(  # noqa: S603 - the programs are PostgreSQL's and this package's
            [*_IN_BACKGROUND, *command],
            cwd=cwd,
            env={**environment(), **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
            pass_fds=pass_fds,
            start_new_session=True,
            **self._identity(),
        )

    @property
    def _entry(self) -> pwd.struct_passwd | None:
        try:
            return pwd.getpwuid(self.uid)
        except KeyError:
            return None

    def _identity(self) -> dict[str, Any]:
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def is_root() -> bool:
    return os.geteuid() == 0


def environment() -> dict[str, str]:
    """This process's variables without libpq's, which would lead a program to another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
