"""A process that uses the embedded server until its input ends: `-m tests.embedded.user DATA_DIR`.

With `fork` as the second argument it ends at once and leaves the waiting to a forked child.
"""

import os
import sys
from pathlib import Path

from project.embedded import cluster
from project.embedded.errors import EmbeddedPostgresError


def main(data_dir: str, mode: str = "") -> None:
    try:
        host = cluster.join(Path(data_dir))
    except EmbeddedPostgresError as error:
        sys.exit(str(error))
    if mode == "fork" and os.fork():
        os._exit(0)
    sys.stdout.write(f"{host}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
