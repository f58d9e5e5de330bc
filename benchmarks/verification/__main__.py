"""`python -m benchmarks.verification [--rows 10000 100000 1000000] [--rounds 3] [--json]`."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks import markdown
from benchmarks.peers.server import ROOT, Server
from benchmarks.verification.data import environment, make_template
from benchmarks.verification.processor import seconds_of, seconds_since
from benchmarks.verification.statement import AT_ONCE, ONE_ROW, RANKS, RULES

LOOPED = 2000  # rows that the loop writes at most: its speed does not depend on their number
TOTALS = """
SELECT (SELECT jsonb_object_agg(state, n ORDER BY state)
        FROM (SELECT state, count(*) AS n FROM signals GROUP BY state) states),
    (SELECT jsonb_object_agg(decision || note, n)
        FROM (SELECT decision, note, count(*) AS n FROM signal_events GROUP BY 1, 2) verdicts)
"""
Sample = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verification", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3, help="the numbers are medians of them")
    parser.add_argument("--json", action="store_true", help="every sample")
    options = parser.parse_args(arguments)
    server = Server.find()
    samples = {rows: rounds(server, rows, options.rounds) for rows in options.rows}
    text = json.dumps(samples, indent=1) + "\n"
    sys.stdout.write(
        text if options.json else f"{as_table(samples)}\nPostgreSQL {server.version()}\n"
    )
    return 0


def rounds(server: Server, rows: int, count: int) -> dict[str, list[Sample]]:
    """Return the samples of each way; the ways take turns, each on a new copy of the same database."""
    samples: dict[str, list[Sample]] = {way: [] for way in WAYS}
    template = f"verification_{uuid4().hex[:8]}"
    try:
        make_template(server, template, rows)
        for number in range(count):
            totals = None
            for way, run in WAYS.items():
                sys.stderr.write(f"{rows:,} rows, round {number + 1}: {way} …\n")
                with copy(server, template) as address:
                    sample = run(address, rows)
                    if sample["rows"] == rows:
                        with psycopg.connect(address) as session:
                            found = session.execute(TOTALS).fetchone()
                        totals = totals or found
                        if found != totals:
                            raise RuntimeError(f"{way} wrote {found}, another way {totals}")
                samples[way].append(sample)
    finally:
        drop(server, template)
    return samples


@contextmanager
def copy(server: Server, template: str) -> Iterator[str]:
    name = f"{template}_copy"
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    try:
        yield make_conninfo(server.conninfo, dbname=name)
    finally:
        drop(server, name)


def drop(server: Server, name: str) -> None:
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        session.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def ours(workers: int) -> Callable[[str, int], Sample]:
    """Return the way of the job with so many workers."""

    def run(address: str, rows: int) -> Sample:
        command = [sys.executable, "-m", "benchmarks.verification.worker", str(workers)]
        done = subprocess.run(  # noqa: S603 - this project's own
            command, cwd=ROOT, env=environment(address), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        sample = json.loads(done.stdout)
        if sample["evaluated"] != rows:
            raise RuntimeError(f"the job checked {sample['evaluated']} of {rows}")
        return {"rows": rows, **{name: sample[name] for name in ("seconds", "used", "peak_mib")}}

    return run


def at_once(address: str, rows: int) -> Sample:
    """Send the one statement."""
    with psycopg.connect(address, autocommit=True) as session:
        start, used = time.monotonic(), seconds_of(session.info.backend_pid)
        session.execute(AT_ONCE.encode(), {"sha256": RULES.sha256, "run": uuid4()})
        return {
            "rows": rows,
            "seconds": time.monotonic() - start,
            "used": seconds_since(used, session.info.backend_pid),
        }


def row_by_row(address: str, rows: int) -> Sample:
    """Send the statement for one signal after the other, and commit each."""
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(RANKS)
        ids = session.execute(
            "SELECT id FROM signals ORDER BY created_at LIMIT %s", [min(rows, LOOPED)]
        ).fetchall()
        values = {"sha256": RULES.sha256, "run": uuid4()}
        start = time.monotonic()
        for (number,) in ids:
            session.execute(ONE_ROW.encode(), {**values, "id": number})
        return {"rows": len(ids), "seconds": time.monotonic() - start}


STATEMENT, LOOP = "one SQL statement", "row by row"
WAYS: dict[str, Callable[[str, int], Sample]] = {
    STATEMENT: at_once,
    LOOP: row_by_row,
    **{f"verify_signal, workers {n}": ours(n) for n in (1, 2, 4)},
}


def as_table(samples: dict[int, dict[str, list[Sample]]]) -> str:
    """Return medians: signals a second, the multiples of the others, processor time and peak of memory."""
    table = [
        ["candidates", "way", "signals/s", "of the statement", "times the loop", "CPU", "peak"]
    ]
    for rows, ways in samples.items():
        speeds = {
            way: median(each["rows"] / each["seconds"] for each in taken)
            for way, taken in ways.items()
        }
        for way, taken in ways.items():
            peaks = [each["peak_mib"] for each in taken if "peak_mib" in each]
            used = [each["used"] / each["rows"] * 1e6 for each in taken if each.get("used")]
            table.append(
                [
                    f"{rows:,}",
                    way,
                    f"{speeds[way]:,.0f}",
                    f"{speeds[way] / speeds[STATEMENT]:.2f}",
                    f"{speeds[way] / speeds[LOOP]:.1f}",
                    f"{median(used):.0f} µs" if used else "",
                    f"{median(peaks):.0f} MiB" if peaks else "",
                ]
            )
    return markdown.as_table(table)


if __name__ == "__main__":
    sys.exit(main())
