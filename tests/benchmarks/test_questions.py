"""benchmarks/questions: it runs, and asks both ways; how long is no test's business."""

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.peers.server import ROOT, Server
from benchmarks.questions.__main__ import as_table
from benchmarks.questions.measure import LIMITS

DOC = (ROOT / "docs/how_it_works.md").read_text()


@pytest.fixture(scope="module")
def taken(server: Server) -> Any:
    """As the command takes them, once and of few schemas; its exit code depends on the machine."""
    command = [sys.executable, "-m", "benchmarks.questions", "--rounds", "1", "--schemas", "5"]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["milliseconds"]


def test_each_question_is_asked_both_ways_and_timed(taken: Any) -> None:
    assert {name: list(ways) for name, ways in taken.items()} == {
        name: ["ours", "plain"] for name in LIMITS
    }
    assert min(took for ways in taken.values() for each in ways.values() for took in each) > 0


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_documented_table_is_of_these_questions(taken: Any) -> None:
    head, _, *rows = map(cells, as_table(taken).splitlines())
    start = next(n for n, line in enumerate(DOC.splitlines()) if cells(line) == head)
    _, _, *table = map(cells, DOC.splitlines()[start : start + 2 + len(rows)])
    assert [row[0] for row in table] == [row[0] for row in rows], "copy the command's table"
    assert [row[-1] for row in table] == [row[-1] for row in rows]
