"""`python -m benchmarks.drifts [--json]`: prints the tables of docs/drifts.md, or one JSON object."""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.drifts.cases import DRIFTS
from benchmarks.drifts.run import TOOLS, Column, column, rows
from benchmarks.markdown import as_table
from benchmarks.peers.server import ROOT, Server

PYTHON = ROOT / ".venv-peers/bin/python"
PROJECTS = {
    "shop": "Django's contrib applications, django-taggit, a shop",
    "rare": "the same, django-allauth, django-q2, rare fields",
    "wagtail": "Django's contrib applications, wagtail",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drifts", description=__doc__)
    parser.add_argument("--json", action="store_true", help="with the answers, as one JSON object")
    options = parser.parse_args(arguments)
    if not PYTHON.exists():
        parser.error(".venv-peers is missing (run `make drifts`)")
    server = Server.find()
    columns: dict[str, list[Column]] = {}
    for project in PROJECTS:
        for tool in TOOLS:
            sys.stderr.write(f"{project}: {tool.name} …\n")
            columns.setdefault(project, []).append(column(server, project, tool, PYTHON))
    if options.json:
        clean = {
            project: {each.tool.name: each.on_clean() for each in columns[project]}
            for project in PROJECTS
        }
        told = {"version": 1, "drifts": list(rows(columns["shop"])), "clean": clean}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        tables = (drift_table(columns["shop"]), clean_table(columns))
        sys.stdout.write("\n".join([*tables, f"{versions(server, PYTHON)}\n"]))
    return 0


def drift_table(columns: Sequence[Column]) -> str:
    """What each tool sees of each drift."""
    table = [["", "drift", *(each.tool.name for each in columns)]]
    for number, drift in enumerate(DRIFTS, start=1):
        outcomes = [each.outcome(drift).value for each in columns]
        table.append([str(number), drift.what, *outcomes])
    total = sum(each.is_drift for each in DRIFTS)
    table.append(["", f"seen, of {total}", *(str(each.seen()) for each in columns)])
    return as_table(table)


def clean_table(columns: dict[str, list[Column]]) -> str:
    """What the tools complain of right after `migrate`."""
    names = [each.tool.name for each in columns["shop"]]
    table = [["complaints right after migrate", *names]]
    for project, of_project in columns.items():
        table.append([PROJECTS[project], *(each.on_clean() for each in of_project)])
    return as_table(table)


def versions(server: Server, python: Path) -> str:
    """What the run was made with."""
    names = sorted({"django", "wagtail", *(each.package for each in TOOLS)})
    code = (
        "import sys; from importlib.metadata import version\n"
        "print(*(f'{name} {version(name)}' for name in sys.argv[1:]), sep=', ')"
    )
    packages = subprocess.run(  # noqa: S603 - the peers' own Python
        [str(python), "-c", code, *names], capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"PostgreSQL {server.version()}, Python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    sys.exit(main())
