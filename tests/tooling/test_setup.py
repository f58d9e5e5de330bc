"""make setup: .venv follows from the pins, the Python and the place, and from nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deadline import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make") or "make"

# A pin of nothing: what is tested is when .venv is made, not what pip does.
NO_PINS = "# no pins\n"
# Further environments, and the files of their pins.
OTHERS = {
    "peers": "benchmarks/peers/requirements.txt",
    "rollout": "benchmarks/rollout/requirements.txt",
}


def copied(place: Path) -> Path:
    """The files of the set-up in a folder whose name no shell would like."""
    folder = place / """it's a "check out" $HOME;"""
    (folder / "infra").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "infra/bootstrap.py", folder / "infra")
    for pins in ("constraints.txt", *OTHERS.values()):
        (folder / pins).parent.mkdir(parents=True, exist_ok=True)
        (folder / pins).write_text(NO_PINS)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copied(tmp_path)


def make(
    checkout: Path, *arguments: str, path: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**_environment(), **variables}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [MAKE, *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _environment() -> dict[str, str]:
    ours = ("PYTHON", "MAKE", "MFLAGS", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def sitecustomize(folder: Path, code: str) -> str:
    """A PYTHONPATH that runs the code at the start of Python."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\n{code}\n")
    return str(folder)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that is set up, shared by tests that leave it so."""
    folder = copied(tmp_path_factory.mktemp("ready"))
    first = make(folder, "setup")
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith("Setting up .venv with Python ")
    assert "Set up in " in first.stderr
    return folder


def test_the_second_setup_does_nothing(ready: Path) -> None:
    witness = ready / ".venv/witness"
    witness.touch()
    again = make(ready, "setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    inside = make(ready, "setup", PYTHON=".venv/bin/python")
    assert (inside.returncode, inside.stderr) == (0, "")
    assert witness.exists()


@pytest.mark.parametrize("name", OTHERS)
def test_other_tools_have_an_environment_of_their_own(ready: Path, name: str) -> None:
    witness = ready / ".venv/witness"
    witness.touch()
    command = [ready / ".venv/bin/python", "infra/bootstrap.py", name]
    first, again = (
        subprocess.run(command, cwd=ready, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert f"Setting up .venv-{name} with " in first.stderr
    assert f"from {OTHERS[name]}" in first.stderr
    assert "Setting up" not in again.stderr
    assert witness.exists()


def test_a_machine_without_a_newer_python_is_told_which_one_is_missing(
    ready: Path, tmp_path: Path
) -> None:
    """The environment is made nevertheless, without the tools that this Python cannot have."""
    nothing = {**_environment(), "PATH": str(tmp_path), "HOME": str(tmp_path)}
    command = [ready / ".venv/bin/python", "infra/bootstrap.py", "rollout"]
    done = subprocess.run(
        command, cwd=ready, env=nothing, capture_output=True, text=True, check=True
    )
    lacks = "No Python 3.12 or later was found (install one); a tool that needs it is left out.\n"
    assert (lacks in done.stderr) == (sys.version_info < (3, 12))
    assert (ready / ".venv-rollout/bin/python").exists()


def test_other_pins_make_the_environment_anew(ready: Path) -> None:
    witness = ready / ".venv/witness"
    witness.touch()
    with (ready / "constraints.txt").open("a") as pins:
        pins.write(NO_PINS)
    # Its own interpreter removes and makes it again.
    assert make(ready, "setup", PYTHON=".venv/bin/python").returncode == 0
    assert not witness.exists()
    assert make(ready, "setup").stderr == ""


def test_a_moved_checkout_makes_the_environment_anew(ready: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved to"
    shutil.copytree(ready, moved, symlinks=True)
    (moved / ".venv/witness").touch()
    result = make(moved, "setup")
    assert result.returncode == 0, result.stderr
    assert not (moved / ".venv/witness").exists()
    assert str(moved) in (moved / ".venv/bin/activate").read_text()


def test_a_killed_setup_is_done_again(checkout: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "infra/bootstrap.py", "setup"],
        cwd=checkout,
        env=_environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        wait_for((checkout / ".venv/bin").exists)
        os.killpg(process.pid, signal.SIGKILL)
    witness = checkout / ".venv/witness"
    witness.touch()
    result = make(checkout, "setup")
    assert result.returncode == 0, result.stderr
    assert not witness.exists()
    assert subprocess.run([checkout / ".venv/bin/python", "-m", "pip", "--version"], check=True)


def test_of_two_setups_at_once_one_works_and_one_waits(checkout: Path) -> None:
    command = [MAKE, "setup"]
    both = [
        subprocess.Popen(
            command, cwd=checkout, env=_environment(), stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = sorted(process.communicate(timeout=DEADLINE)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0] == ""
    assert "Set up in " in outputs[1]


def test_a_pin_that_cannot_be_installed_fails_and_leaves_no_stamp(checkout: Path) -> None:
    (checkout / "constraints.txt").write_text("no-hash==1.0\n")
    result = make(checkout, "setup")
    assert result.returncode == 2
    assert "require-hashes" in result.stderr
    assert "its message is above" in result.stderr
    assert not (checkout / ".venv/setup.json").exists()


def test_a_python_without_ensurepip_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    path = sitecustomize(tmp_path / "site", "sys.modules['ensurepip'] = None")
    result = make(checkout, "setup", PYTHONPATH=path)
    assert result.returncode == 2
    assert "comes without ensurepip" in result.stderr
    assert "apt-get install python3-venv" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_too_old_is_refused(checkout: Path, tmp_path: Path) -> None:
    path = sitecustomize(tmp_path / "site", "sys.version_info = (3, 9, 2)")
    result = make(checkout, "setup", PYTHON=sys.executable, PYTHONPATH=path)
    assert result.returncode == 2
    assert result.stderr.startswith(
        "setup: Python 3.9.2 is too old (use 3.11 or later: PYTHON=python3.13)\n"
    )


def test_where_python3_is_too_old_a_newer_one_is_taken(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)
    (programs / "python3.12").symlink_to(sys.executable)
    assert f"instead of {programs}/python3.12\n" in make(checkout, path=str(programs)).stdout


def test_a_machine_without_python_is_told_so(checkout: Path, tmp_path: Path) -> None:
    result = make(checkout, "setup", path=str(tmp_path))
    assert result.returncode == 2
    assert "No Python 3.11 or later was found (install one, or say where it is" in result.stderr
    assert "make setup PYTHON=/path/to/python3" in result.stderr


@pytest.fixture
def embedded(checkout: Path) -> Path:
    """Stands in for the embedded server of the checkout: its stop ends with the code in this file."""
    package = checkout / "project/embedded"
    package.mkdir(parents=True)
    code = package / "code"
    code.write_text("0")
    (package / "__main__.py").write_text(
        "import pathlib, sys\n"
        "assert sys.argv[1:] == ['stop']\n"
        "sys.exit(int(pathlib.Path(__file__).with_name('code').read_text()))\n"
    )
    return code


def test_clean_removes_what_was_made_and_nothing_else(
    checkout: Path, tmp_path: Path, embedded: Path
) -> None:
    outside, theirs = tmp_path / "embedded-postgres-1", tmp_path / "theirs"
    made = [
        ".venv/lib",
        ".venv-peers/lib",
        ".venv-rollout/lib",
        ".postgres",
        ".mypy_cache",
        "staticfiles",
        "project/__pycache__",
    ]
    for folder in (outside, theirs, *(checkout / name for name in made)):
        folder.mkdir(parents=True)
    (checkout / ".postgres/18").symlink_to(outside)
    (checkout / ".postgres/17").symlink_to(theirs)
    for _ in range(2):
        result = make(checkout, "clean")
        assert (result.returncode, result.stderr) == (0, "Clean.\n")
    assert {path.name for path in checkout.iterdir()} == {
        *("Makefile", "benchmarks", "constraints.txt", "infra", "project")
    }
    assert embedded.exists()
    assert theirs.exists()
    assert not outside.exists()


def test_a_server_that_cannot_be_stopped_keeps_its_data(checkout: Path, embedded: Path) -> None:
    (checkout / ".postgres").mkdir()
    (checkout / ".venv").mkdir()
    embedded.write_text("4")
    result = make(checkout, "clean")
    assert result.returncode == 2
    assert "project.embedded stop ended with 4" in result.stderr
    assert (checkout / ".postgres").exists()
    assert (checkout / ".venv").exists()


def test_help_names_every_target(checkout: Path) -> None:
    phony = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:")
    )
    shown = make(checkout).stdout
    for target in phony.removeprefix(".PHONY:").split():
        assert target == "help" or f"make {target} " in shown, f"describe {target} under help:"
