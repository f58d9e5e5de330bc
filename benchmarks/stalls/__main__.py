"""`python -m benchmarks.stalls [--hold 8] [--rounds 3] [--json]`: prints the table of docs/stalls.md."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks import markdown
from benchmarks.peers.__main__ import PYTHON
from benchmarks.peers.run import OURS, Tool, started
from benchmarks.peers.server import Server
from benchmarks.stalls.measure import TOOLS, Sample, measure


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stalls", description=__doc__)
    parser.add_argument("--hold", type=float, default=8.0, help="seconds that the reader holds")
    parser.add_argument("--rounds", type=int, default=3, help="the numbers are medians of them")
    parser.add_argument("--json", action="store_true", help="every round, and the errors")
    options = parser.parse_args(arguments)
    if not PYTHON.exists():
        parser.error(".venv-peers is missing (run `make stalls`)")
    samples, packages = rounds(TOOLS, PYTHON, hold=options.hold, count=options.rounds)
    sys.stdout.write(as_json(samples) if options.json else f"{as_table(samples)}\n{packages}\n")
    return 0


def rounds(
    tools: Sequence[Tool], python: Path, *, hold: float, count: int
) -> tuple[dict[str, list[Sample]], str]:
    """The samples by tool, and what the run was made with; the tools take turns within each round."""
    server = Server.find()
    samples: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
    with ExitStack() as stack:
        database = stack.enter_context(server.database())
        processes = [stack.enter_context(started(tool, python)) for tool in tools]
        packages = [process.ask("versions") for process in processes]
        for number in range(count):
            for process in processes:
                sys.stderr.write(f"round {number + 1}: {process.tool.name} …\n")
                samples[process.tool.name].append(measure(database, process, hold))
    names = dict.fromkeys(name for each in packages for name in each.split(", "))
    return samples, ", ".join((f"PostgreSQL {server.version()}", *names))


def as_table(samples: dict[str, list[Sample]]) -> str:
    """Medians in seconds; the writer's wait also as a multiple of ours."""
    own = _median(samples[OURS.name], lambda sample: sample.writer)
    rows = [["tool", "writer waits", "times ours", "reader waits", "tool takes", "outcome"]]
    for name, each in samples.items():
        writer = _median(each, lambda sample: sample.writer)
        reader = _median(each, lambda sample: sample.reader)
        took = _median(each, lambda sample: sample.took)
        outcomes = " / ".join(dict.fromkeys(sample.outcome.value for sample in each))
        ratio = f"{writer / own:.0f}" if writer / own >= 10 else f"{writer / own:.1f}"  # noqa: PLR2004
        rows.append([name, f"{writer:.2f} s", ratio, f"{reader:.2f} s", f"{took:.1f} s", outcomes])
    return markdown.as_table(rows)


def as_json(samples: dict[str, list[Sample]]) -> str:
    """The tools in the table's order, each with its rounds."""
    tools = {
        name: [{**asdict(sample), "outcome": sample.outcome.value} for sample in each]
        for name, each in samples.items()
    }
    return json.dumps({"version": 1, "tools": tools}, indent=1) + "\n"


def _median(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    return median(map(of, samples))


if __name__ == "__main__":
    sys.exit(main())
