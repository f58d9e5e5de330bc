"""benchmarks/stalls: it runs, with the tools that this environment has; how long is no test's business."""

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks.peers.facts import Outcome
from benchmarks.peers.run import DJANGO, OURS
from benchmarks.peers.server import Server
from benchmarks.stalls import changes
from benchmarks.stalls.__main__ import as_json, as_table, rounds
from benchmarks.stalls.measure import TOOLS, Sample
from tests.benchmarks.markdown_tables import tables

ROOT = Path(__file__).resolve().parents[2]
TOOLS_OF_DOC, _, CHANGES_OF_DOC = (ROOT / "docs/stalls.md").read_text().partition("\n## ")
PINS = (ROOT / "benchmarks/peers/requirements.txt").read_text()
HERE = (*TOOLS[:2], DJANGO, OURS)  # of these Python has all that they need


@pytest.fixture(scope="module")
def samples(server: Server) -> dict[str, list[Sample]]:
    """As `make stalls` takes them, but for an instant, and once."""
    return rounds(HERE, Path(sys.executable), hold=0.3, count=1)[0]


def table(text: str) -> dict[str, list[str]]:
    """The cells behind each tool's name."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows[2:]}


def test_each_tool_makes_the_change_that_is_declared_and_is_timed(
    samples: dict[str, list[Sample]],
) -> None:
    assert list(samples) == [tool.name for tool in HERE]
    for (sample,) in samples.values():
        assert (sample.outcome, sample.error) == (Outcome.CONVERGED, "")
        assert min(sample.writer, sample.reader, sample.took) > 0


def test_the_table_has_ours_as_the_measure_and_json_has_every_round(
    samples: dict[str, list[Sample]],
) -> None:
    rows = table(as_table(samples))
    assert list(rows) == [tool.name for tool in HERE]
    assert rows[OURS.name][1] == "1.0"
    tools = json.loads(as_json(samples))["tools"]
    assert {name: [each["outcome"] for each in tools[name]] for name in tools} == {
        tool.name: ["converged"] for tool in HERE
    }


def test_the_documented_table_is_of_these_tools_and_of_the_pinned_versions() -> None:
    assert list(table(TOOLS_OF_DOC)) == [tool.name for tool in TOOLS]
    (line,) = re.findall(r"^PostgreSQL [^,]+, (.*)$", TOOLS_OF_DOC, re.MULTILINE)
    for name, version in (package.split(" ") for package in line.split(", ")):
        assert f"\n{name}=={version} " in f"\n{PINS}", "run make stalls, and copy its table"


def test_stock_operations_are_timed_under_both_commands(server: Server) -> None:
    """As `python -m benchmarks.stalls.changes` takes them, but for an instant, and once."""
    samples = changes.rounds(server, changes.WAYS[:2], hold=0.3, count=1)
    assert list(samples) == [
        (change, way) for change in changes.CHANGES for way in ("Django", "ours")
    ]
    for (sample,) in samples.values():
        assert sample.error == ""
        assert min(sample.writer, sample.reader, sample.took) > 0
    lines = changes.as_table(samples).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[2:] if line] == ["applied"] * 8
    assert len(json.loads(changes.as_json(samples))["changes"]) == 8
    (rows,) = tables(CHANGES_OF_DOC)
    assert [row[:2] for row in rows[2:]] == [
        [change, way.name] for change in changes.CHANGES for way in changes.WAYS
    ]
    pins = (ROOT / "benchmarks/rollout/requirements.txt").read_text()
    (line,) = re.findall(r"^PostgreSQL [^,]+, (.*)$", CHANGES_OF_DOC, re.MULTILINE)
    for name, version in (package.split(" ") for package in line.split(", ")):
        assert f"\n{name}=={version} " in f"\n{pins}", "run it, and copy its table"
