"""benchmarks/rollout: the columns that this environment can run, and the table of the page."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.peers.server import Server
from benchmarks.rollout.__main__ import MISSING, Results, as_json, as_table, rollouts
from benchmarks.rollout.changes import CHANGES
from benchmarks.rollout.tools import DEFERRED, DJANGO, OURS, TOOLS
from tests.benchmarks.markdown_tables import tables

ROOT = Path(__file__).resolve().parents[2]
SIDE_BY_SIDE = (ROOT / "docs/rollout.md").read_text().partition("\n## Side by side\n")[2]
PINS = (ROOT / "benchmarks/rollout/requirements.txt").read_text()
ASKED = [change for change in CHANGES if change.label in ("remove_column", "add_check")]


@pytest.fixture(scope="module")
def results(server: Server) -> Results:
    """Two changes, by Django's commands and ours; and a tool that is not installed."""
    return rollouts(server, (OURS, DJANGO, DEFERRED), ASKED, {})


def test_an_error_of_a_release_is_counted_where_one_is_met(results: Results) -> None:
    assert {name: found["add_check"].outcome for name, found in results.items() if found} == {
        OURS.name: "no error",
        DJANGO.name: "no error",
    }
    assert results[OURS.name]["remove_column"].outcome == "no error"
    removed = results[DJANGO.name]["remove_column"]
    assert removed.outcome == "old: 8 of 8"
    assert removed.new is not None
    assert removed.new.failed == {}
    assert "does not exist" in removed.old.texts[0]


def test_a_tool_that_is_not_installed_has_a_column_that_says_so(results: Results) -> None:
    (head, _, *rows) = tables(as_table(results, ASKED))[0]
    assert head == ["change", OURS.name, DJANGO.name, DEFERRED.name]
    assert [row[-1] for row in rows] == [MISSING] * 2
    shown = json.loads(as_json(results, ASKED))["tools"]
    assert shown[DEFERRED.name] == {}
    assert shown[DJANGO.name][ASKED[0].name]["outcome"] == "old: 8 of 8"


def test_the_page_has_every_change_and_tool_and_the_pinned_versions() -> None:
    head, _, *rows = tables(SIDE_BY_SIDE)[0]
    assert head == ["change", *(tool.name for tool in TOOLS)]
    assert [row[0] for row in rows] == [change.name for change in CHANGES]
    assert {row[1] for row in rows} == {"no error"}
    (line,) = re.findall(r"^PostgreSQL [^,]+, (.*)$", SIDE_BY_SIDE, re.MULTILINE)
    for name, version in (package.split(" ") for package in line.split(", ")):
        assert f"\n{name}=={version} " in f"\n{PINS}", "run make rollout, and copy its table"
