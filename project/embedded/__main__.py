"""`python -m project.embedded status` and `stop`: the server of this checkout, without Django.

Exit status: 0 done, or for `status` a server runs; 1 none runs; 2 usage; 3 the folder is closed to
this user; 4 a process does not end.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from project.embedded import cluster
from project.embedded.errors import EmbeddedPostgresError, ServerError

_DATA_DIR = Path(__file__).resolve().parents[2] / ".postgres"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m project.embedded", description=__doc__)
    parser.add_argument("command", choices=("status", "stop"))
    parser.add_argument("--data-dir", type=Path, default=_DATA_DIR, help="default: %(default)s")
    options = parser.parse_args(arguments)
    command = {"status": _status, "stop": _stop}[options.command]
    try:
        return command(options.data_dir.absolute())
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    except EmbeddedPostgresError as error:
        sys.stderr.write(f"{error}\n")
        return 3


def _status(data_dir: Path) -> int:
    found = cluster.running(data_dir)
    for server in found:
        sys.stdout.write(f"PostgreSQL runs in {server.home} (process {server.postmaster})\n")
    if not found:
        sys.stdout.write(f"no PostgreSQL runs in {data_dir}\n")
    return 0 if found else 1


def _stop(data_dir: Path) -> int:
    stopped = cluster.stop(data_dir)
    for home in stopped:
        sys.stdout.write(f"stopped PostgreSQL in {home}\n")
    if not stopped:
        sys.stdout.write(f"no PostgreSQL ran in {data_dir}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
