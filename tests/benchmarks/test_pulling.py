"""benchmarks/pulling: it runs, and reads all logs; how long is no test's business."""

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.peers.server import ROOT, Server
from benchmarks.pulling.__main__ import as_table
from benchmarks.pulling.worker import WAYS

DOC = (ROOT / "docs/pull_features.md").read_text()


@pytest.fixture(scope="module")
def samples(server: Server) -> Any:
    """As the command takes them, of few logs and once."""
    command = [sys.executable, "-m", "benchmarks.pulling", "--logs", "2000", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_way_reads_all_logs_and_is_timed(samples: Any) -> None:
    assert {logs: list(ways) for logs, ways in samples.items()} == {"2000": [*WAYS]}
    for (sample,) in samples["2000"].values():
        assert sample["logs"] == 2000
        assert min(sample["seconds"], sample["peak_mib"]) > 0


def test_the_documented_table_is_of_these_ways(samples: Any) -> None:
    head, *_ = as_table({2000: samples["2000"]}).splitlines()
    titles = [title.strip() for title in head.split("|")]
    table = [line for line in DOC.splitlines() if line.startswith("|") and " logs/s " in line]
    assert [[title.strip() for title in line.split("|")] for line in table] == [titles]
    for way in WAYS:
        assert DOC.count(f"| {way} ") == 3
