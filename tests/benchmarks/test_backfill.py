"""benchmarks/backfill: it runs, and fills; how long is no test's business."""

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.backfill.__main__ import as_table
from benchmarks.backfill.measure import KEYS, WAYS
from benchmarks.peers.server import ROOT, Server

DOC = (ROOT / "docs/operations.md").read_text()


@pytest.fixture(scope="module")
def seconds(server: Server) -> Any:
    """As the command takes them, of few rows and once."""
    command = [sys.executable, "-m", "benchmarks.backfill", "--rows", "6000", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["keys"]


def test_each_way_fills_the_column_by_each_key_and_is_timed(seconds: Any) -> None:
    assert {key: list(taken) for key, taken in seconds.items()} == {key: [*WAYS] for key in KEYS}
    assert min(took for taken in seconds.values() for each in taken.values() for took in each) > 0


def test_the_documented_table_is_of_these_keys_and_ways(seconds: Any) -> None:
    head, rule, *rows = as_table(seconds).splitlines()
    assert f"{head}\n{rule}\n" in DOC, "run the command, and copy its table"
    documented = DOC.partition(f"{rule}\n")[2].splitlines()[: len(rows)]
    assert [row.split("|")[1] for row in documented] == [row.split("|")[1] for row in rows]
