"""benchmarks/verification: it runs, and all ways write the same; how fast is no test's business."""

import json
import subprocess
import sys

from benchmarks.peers.server import ROOT, Server
from benchmarks.verification.__main__ import WAYS


def test_each_way_writes_the_same_verdicts_and_is_timed(server: Server) -> None:
    command = [sys.executable, "-m", "benchmarks.verification", "--rows", "1500", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    samples = json.loads(done.stdout)["1500"]
    assert list(samples) == [*WAYS]
    assert all(each["seconds"] > 0 for taken in samples.values() for each in taken)
