"""`python -m benchmarks.pulling [--logs 10000 100000 1000000] [--rounds 3] [--json]`."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks import markdown
from benchmarks.peers.server import ROOT, Server
from benchmarks.pulling.anvil import running_anvil
from benchmarks.pulling.market import fill
from benchmarks.pulling.worker import WAYS
from benchmarks.verification.data import environment

Sample = dict[str, Any]
LOOP, WEB3, OURS = WAYS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pulling", description=__doc__)
    parser.add_argument("--logs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3, help="the numbers are medians of them")
    parser.add_argument("--json", action="store_true", help="every sample")
    options = parser.parse_args(arguments)
    server = Server.find()
    samples = {logs: rounds(server, logs, options.rounds) for logs in options.logs}
    text = json.dumps(samples, indent=1) + "\n"
    sys.stdout.write(
        text if options.json else f"{as_table(samples)}\nPostgreSQL {server.version()}\n"
    )
    return 0


def rounds(server: Server, logs: int, count: int) -> dict[str, list[Sample]]:
    """Return the samples of each way; the ways take turns, ours each time on an empty database."""
    samples: dict[str, list[Sample]] = {way: [] for way in WAYS}
    with running_anvil() as node:
        sys.stderr.write(f"{logs:,} logs: filling the node …\n")
        fill(node, logs)
        for number in range(count):
            for way, taken in samples.items():
                sys.stderr.write(f"{logs:,} logs, round {number + 1}: {way} …\n")
                with server.database() as database:
                    database.clear()
                    sample = run(way, node.url, database.conninfo)
                if sample["logs"] != logs:
                    raise RuntimeError(f"{way} read {sample['logs']} of {logs} logs")
                taken.append(sample)
    return samples


def run(way: str, url: str, conninfo: str) -> Sample:
    """Return the sample of one way in a process of its own."""
    variables = environment(conninfo)
    if way == OURS:
        _call([sys.executable, "manage.py", "migrate", "signals", "-v0"], variables)
    done = _call([sys.executable, "-m", "benchmarks.pulling.worker", way, url], variables)
    sample: Sample = json.loads(done)
    return sample


def _call(command: list[str], variables: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - this project's own
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def as_table(samples: dict[int, dict[str, list[Sample]]]) -> str:
    """Return medians: logs a second, as a share of those of the loops, and the peak of memory."""
    table = [["logs", "way", "logs/s", f"of {LOOP}", f"of {WEB3}", "peak"]]
    for logs, ways in samples.items():
        speeds = {
            way: median(each["logs"] / each["seconds"] for each in taken)
            for way, taken in ways.items()
        }
        for way, taken in ways.items():
            peak = median(each["peak_mib"] for each in taken)
            shares = [f"{speeds[way] / speeds[loop]:.2f}" for loop in (LOOP, WEB3)]
            table.append([f"{logs:,}", way, f"{speeds[way]:,.0f}", *shares, f"{peak:.0f} MiB"])
    return markdown.as_table(table)


if __name__ == "__main__":
    sys.exit(main())
