"""`python -m benchmarks.rollout [--only LABEL …] [--json]`: prints the table of docs/rollout.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks import markdown
from benchmarks.peers.server import Server
from benchmarks.rollout.changes import CHANGES, Change
from benchmarks.rollout.run import Result, roll_out
from benchmarks.rollout.tools import TOOLS, Tool, made_with, versions

MISSING = "not run"

Results = dict[str, dict[str, Result]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=__doc__)
    labels = [change.label for change in CHANGES]
    parser.add_argument("--only", nargs="+", choices=labels, default=labels, metavar="LABEL")
    parser.add_argument("--json", action="store_true", help="with the errors, as one JSON object")
    options = parser.parse_args(arguments)
    changes = [change for change in CHANGES if change.label in options.only]
    server, known = Server.find(), versions()
    results = rollouts(server, TOOLS, changes, known)
    if options.json:
        sys.stdout.write(as_json(results, changes))
    else:
        sys.stdout.write(f"{as_table(results, changes)}\n{made_with(server, known, TOOLS)}\n")
    return 0


def rollouts(
    server: Server, tools: Sequence[Tool], changes: Sequence[Change], known: dict[str, str]
) -> Results:
    """Return the results by tool and label of the change; none of a tool that Python does not have."""
    results: Results = {tool.name: {} for tool in tools}
    for tool in tools:
        if tool.package and tool.package not in known:
            sys.stderr.write(f"{tool.package} is not installed (run make rollout)\n")
            continue
        for change in changes:
            sys.stderr.write(f"{tool.name}: {change.name} …\n")
            results[tool.name][change.label] = roll_out(server, tool, change)
    return results


def as_table(results: Results, changes: Sequence[Change]) -> str:
    """Return what each tool makes of each change."""
    rows = [["change", *results]]
    for change in changes:
        cells = [found.get(change.label) for found in results.values()]
        rows.append([change.name, *(each.outcome if each else MISSING for each in cells)])
    return markdown.as_table(rows)


def as_json(results: Results, changes: Sequence[Change]) -> str:
    """Return the tools in the table's order, each with outcome, reports and error by change."""
    shown = {
        tool: {
            change.name: {"outcome": found[change.label].outcome, **asdict(found[change.label])}
            for change in changes
            if change.label in found
        }
        for tool, found in results.items()
    }
    return json.dumps({"version": 1, "tools": shown}, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
