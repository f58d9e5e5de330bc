"""`python -m benchmarks.backfill [--rows 1000000] [--rounds 3] [--json]`: prints the table of the docs."""

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median

from benchmarks import markdown
from benchmarks.backfill.measure import KEYS, OURS, PLAIN, WAYS, configure, measure
from benchmarks.peers.server import Server

Seconds = dict[str, dict[str, list[float]]]  # by key and way


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="the numbers are medians of them")
    parser.add_argument("--json", action="store_true", help="the seconds of every round")
    options = parser.parse_args(arguments)
    seconds, version = rounds(options.rows, options.rounds)
    text = json.dumps({"version": 1, "keys": seconds}, indent=1) + "\n"
    sys.stdout.write(text if options.json else f"{as_table(seconds)}\nPostgreSQL {version}\n")
    return 0


def rounds(rows: int, count: int) -> tuple[Seconds, str]:
    """The seconds, and the version of the server; the ways take turns within each round."""
    server = Server.find()
    seconds: Seconds = {key: {way: [] for way in WAYS} for key in KEYS}
    with server.database() as database:
        configure(database)
        for number in range(count):
            for key, taken in seconds.items():
                for way in WAYS:
                    sys.stderr.write(f"round {number + 1}: {key}, {way} …\n")
                    taken[way].append(measure(database, way, KEYS[key], rows))
    return seconds, server.version()


def as_table(seconds: Seconds) -> str:
    """Medians in seconds, and of ours as a multiple of the plain ranges of the same round."""
    rows = [["key", *WAYS, "times plain ranges"]]
    for key, taken in seconds.items():
        medians = [f"{median(each):.1f} s" for each in taken.values()]
        ratios = [ours / plain for ours, plain in zip(taken[OURS], taken[PLAIN], strict=True)]
        rows.append([key, *medians, f"{median(ratios):.2f}"])
    return markdown.as_table(rows)


if __name__ == "__main__":
    sys.exit(main())
