"""Run processes as the user `nobody`, started by root."""

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from project.embedded.account import Account
from tests.embedded.harness import ROOT, User, environment

ACCOUNT = Account.named("nobody")
_PROBE = "from project.embedded import cluster, programs; programs.Programs.find().major()"


@functools.cache
def python() -> str:
    """Return an interpreter that `nobody` can run this project with; empty where all are closed to it."""
    candidates = [sys.executable, shutil.which("python3", path=os.defpath) or sys.executable]
    for candidate in candidates:
        try:
            subprocess.run([candidate, "-c", _PROBE], check=True, capture_output=True, **_options())
        except (PermissionError, subprocess.CalledProcessError):
            continue
        return candidate
    return ""


def user(data_dir: Path) -> User:
    options = _options()
    del options["cwd"]
    return User(data_dir, python=(python(),), **options)


def run(command: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m project.embedded` as `nobody`."""
    return subprocess.run(
        [python(), "-m", "project.embedded", command, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        **_options(),
    )


def _options() -> dict[str, Any]:
    path = os.pathsep.join([environment()["PYTHONPATH"], sysconfig.get_path("purelib")])
    return {
        "cwd": ROOT,
        "env": environment(PYTHONPATH=path),
        "user": ACCOUNT.uid,
        "group": ACCOUNT.gid,
        "extra_groups": [],
    }
