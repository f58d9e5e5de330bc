"""`python -m benchmarks.drifts [--json]`: prints the tables of docs/drifts.md, or one JSON object."""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.drifts.cases import DRIFTS, Drift
from benchmarks.drifts.objects import OBJECT_DRIFTS
from benchmarks.drifts.run import OBJECT_TOOLS, TOOLS, Column, column, rows
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
    objects = []
    for tool in OBJECT_TOOLS:
        sys.stderr.write(f"depot: {tool.name} …\n")
        objects.append(column(server, "depot", tool, PYTHON))
    if options.json:
        clean = {
            project: {each.tool.name: each.on_clean() for each in columns[project]}
            for project in PROJECTS
        }
        clean["depot"] = {each.tool.name: each.on_clean() for each in objects}
        told = {
            "version": 1,
            "drifts": list(rows(columns["shop"])),
            "objects": list(rows(objects, OBJECT_DRIFTS)),
            "clean": clean,
        }
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        tables = (drift_table(columns["shop"]), clean_table(columns), object_table(objects))
        sys.stdout.write("\n".join([*tables, f"{versions(server, PYTHON)}\n"]))
    return 0


def drift_table(columns: Sequence[Column], drifts: Sequence[Drift] = DRIFTS) -> str:
    """What each tool sees of each drift."""
    return as_table(_drift_rows(columns, drifts))


def object_table(columns: Sequence[Column]) -> str:
    """What each tool sees of objects that no model declares, and complains of right after `migrate`."""
    clean = ["", "complaints right after migrate", *(each.on_clean() for each in columns)]
    return as_table([*_drift_rows(columns, OBJECT_DRIFTS), clean])


def _drift_rows(columns: Sequence[Column], drifts: Sequence[Drift]) -> list[list[str]]:
    table = [["", "drift", *(each.tool.name for each in columns)]]
    for number, drift in enumerate(drifts, start=1):
        outcomes = [each.outcome(drift).value for each in columns]
        table.append([str(number), drift.what, *outcomes])
    total = sum(each.is_drift for each in drifts)
    return [*table, ["", f"seen, of {total}", *(str(each.seen(drifts)) for each in columns)]]


def clean_table(columns: dict[str, list[Column]]) -> str:
    """What the tools complain of right after `migrate`."""
    names = [each.tool.name for each in columns["shop"]]
    table = [["complaints right after migrate", *names]]
    for project, of_project in columns.items():
        table.append([PROJECTS[project], *(each.on_clean() for each in of_project)])
    return as_table(table)


def versions(server: Server, python: Path) -> str:
    """What the run was made with."""
    names = sorted({"django", "wagtail", *(each.package for each in (*TOOLS, *OBJECT_TOOLS))})
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
