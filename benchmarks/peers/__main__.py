"""`python -m benchmarks.peers [--json]`: prints the table of docs/peers.md, or one JSON object."""

import argparse
import json
import platform
import sys
from collections.abc import Sequence

from benchmarks import markdown
from benchmarks.peers.cases import CASES
from benchmarks.peers.run import TOOLS, Column, column
from benchmarks.peers.server import ROOT, Server

PYTHON = ROOT / ".venv-peers/bin/python"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--json", action="store_true", help="with the errors, as one JSON object")
    options = parser.parse_args(arguments)
    if not PYTHON.exists():
        parser.error(".venv-peers is missing (run `make peers`)")
    server = Server.find()
    columns = []
    for tool in TOOLS:
        sys.stderr.write(f"{tool.name} …\n")
        columns.append(column(server, tool, PYTHON))
    sys.stdout.write(as_json(columns) if options.json else as_table(columns))
    sys.stdout.write(f"\n{versions(server, columns)}\n" if not options.json else "")
    return 0


def as_table(columns: Sequence[Column]) -> str:
    """What each tool makes of each state."""
    rows = [["", "state", *(each.tool.name for each in columns)]]
    for number, case in enumerate(CASES):
        outcomes = [each.results[number].outcome.value for each in columns]
        rows.append([str(number + 1), case.name, *outcomes])
    return markdown.as_table(rows)


def as_json(columns: Sequence[Column]) -> str:
    """The tools in the table's order; each with its packages, and outcome and error by state."""
    tools = [
        {
            "tool": each.tool.name,
            "packages": each.packages,
            "states": {
                case.name: {"outcome": result.outcome.value, "error": result.error}
                for case, result in zip(CASES, each.results, strict=True)
            },
        }
        for each in columns
    ]
    return json.dumps({"version": 1, "tools": tools}, indent=1) + "\n"


def versions(server: Server, columns: Sequence[Column]) -> str:
    """What the run was made with."""
    packages = dict.fromkeys(name for each in columns for name in each.packages.split(", "))
    return ", ".join(
        (f"PostgreSQL {server.version()}", f"Python {platform.python_version()}", *packages)
    )


if __name__ == "__main__":
    sys.exit(main())
