"""`python -m benchmarks.questions [--rounds 20] [--schemas 1000] [--json]`: prints the table of the docs."""

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median

from benchmarks import markdown
from benchmarks.peers.server import Server
from benchmarks.questions.measure import LIMITS, configure, measure_schemas, measure_table

Milliseconds = dict[str, dict[str, list[float]]]  # by what is asked, and who asks


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.questions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="the numbers are medians of them")
    parser.add_argument("--schemas", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="the milliseconds of every round")
    options = parser.parse_args(arguments)
    server = Server.find()
    with server.database() as database:
        configure(database)
        taken = measure_table(database, options.rounds)
        taken |= measure_schemas(database, options.schemas, max(3, options.rounds // 5))
    text = json.dumps({"version": 1, "milliseconds": taken}, indent=1) + "\n"
    table = f"{as_table(taken)}\nPostgreSQL {server.version()}\n"
    sys.stdout.write(text if options.json else table)
    return int(any(ratio(each) > LIMITS[name] for name, each in taken.items()))


def ratio(taken: dict[str, list[float]]) -> float:
    """Return how many times as long as the plain query ours takes."""
    ours, plain = map(median, taken.values())
    return ours / plain


def as_table(taken: Milliseconds) -> str:
    """Return the medians in milliseconds, and ours as a multiple of the plain query."""
    rows = [["what is asked", "ours", "a plain query", "times", "at most"]]
    for name, each in taken.items():
        medians = [f"{median(values):.1f} ms" for values in each.values()]
        rows.append([name, *medians, f"{ratio(each):.1f}", f"{LIMITS[name]:.1f}"])
    return markdown.as_table(rows)


if __name__ == "__main__":
    sys.exit(main())
