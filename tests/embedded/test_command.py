"""`python -m project.embedded`, which needs no Django settings."""

import subprocess
import sys
from pathlib import Path

from tests.embedded.harness import ROOT, User, environment, killed_server, postmaster, processes


def run(command: str, data_dir: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "project.embedded", command, "--data-dir", str(data_dir)],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="no.such.settings"),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_server_in_use_is_shown_and_stopped_with_its_watcher(data_dir: Path) -> None:
    home = data_dir / Path(next(data_dir.iterdir())).name
    with User(data_dir) as user:
        assert user.host
        number = postmaster(data_dir)
        shown = f"PostgreSQL runs in {home} (process {number})\n"
        assert run("status", data_dir) == (0, shown, "")
        assert run("stop", data_dir) == (0, f"stopped PostgreSQL in {home}\n", "")
        assert not processes(data_dir)
        assert run("status", data_dir) == (1, f"no PostgreSQL runs in {data_dir}\n", "")
        assert run("stop", data_dir) == (0, f"no PostgreSQL ran in {data_dir}\n", "")


def test_where_no_server_ever_ran_nothing_is_made(place: Path) -> None:
    data_dir = place / ".postgres"
    assert run("stop", data_dir) == (0, f"no PostgreSQL ran in {data_dir}\n", "")
    assert run("status", data_dir) == (1, f"no PostgreSQL runs in {data_dir}\n", "")
    assert not data_dir.exists()


def test_stop_spares_the_stranger_that_a_stale_pid_file_names(data_dir: Path) -> None:
    with killed_server(data_dir) as stranger:
        assert run("stop", data_dir) == (0, f"no PostgreSQL ran in {data_dir}\n", "")
        assert stranger.poll() is None


def test_an_unknown_command_is_a_usage_error(place: Path) -> None:
    assert run("restart", place)[0] == 2
