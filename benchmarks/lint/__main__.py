"""`python -m benchmarks.lint [--json]`: prints the tables of docs/lint_tools.md, or one JSON object."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django

PYTHON = Path(__file__).resolve().parents[2] / ".venv-peers/bin/python"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lint", description=__doc__)
    parser.add_argument("--json", action="store_true", help="with the answers, as one JSON object")
    options = parser.parse_args(arguments)
    if not PYTHON.exists():
        parser.error(".venv-peers is missing (run `make lint-tools`)")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()  # before the cases, which import models
    from benchmarks.lint import report, run
    from benchmarks.lint.project import write_project
    from benchmarks.peers.server import Server

    with tempfile.TemporaryDirectory() as folder:
        judged = write_project(Path(folder))
        answers = [run.ours(Path(folder)), *run.peers(Server.find(), Path(folder), PYTHON)]
    if options.json:
        sys.stdout.write(json.dumps(report.as_object(judged, answers), indent=1) + "\n")
        return 0
    sys.stdout.write("\n".join([*report.tables(judged, answers), f"{_versions()}\n"]))
    return 0


def _versions() -> str:
    from benchmarks.lint.run import PEERS

    names = ["Django", *(each.name for each in PEERS)]
    code = (
        "from importlib.metadata import version; import platform; "
        f"print(*[f'{{name}} {{version(name)}}' for name in {names!r}], "
        "f'Python {platform.python_version()}', sep=', ')"
    )
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
