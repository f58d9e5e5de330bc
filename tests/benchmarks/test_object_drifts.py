"""benchmarks/drifts/objects: what verify_schema sees of objects that no model declares."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.drifts.__main__ import object_table
from benchmarks.drifts.objects import OBJECT_DRIFTS
from benchmarks.drifts.run import OBJECT_TOOLS, OURS, SHADOW, Column, Outcome, column
from benchmarks.peers.server import ROOT, Server
from tests.benchmarks.markdown_tables import as_asked, tables

HERE = (OURS, SHADOW)
MIN_KINDS = 60


@pytest.fixture(scope="module")
def columns(server: Server) -> list[Column]:
    """Ours without and with the shadow, as `make drifts` makes them."""
    python = Path(sys.executable)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda tool: column(server, "depot", tool, python), HERE))


def test_the_shadow_sees_every_drift_and_no_other(columns: list[Column]) -> None:
    _, shadow = columns
    possible = [each for each in OBJECT_DRIFTS if each.what in shadow.drifted]
    assert len(possible) >= len(OBJECT_DRIFTS) - 2  # which need PostgreSQL 17 and 18
    outcomes = {each.what: shadow.outcome(each) for each in possible}
    wanted = {each.what: Outcome.SEEN if each.is_drift else Outcome.QUIET for each in possible}
    assert outcomes == wanted
    assert shadow.on_clean() == "0"
    for each in possible:
        answer = shadow.drifted[each.what]
        assert (answer.code, answer.failure()) == (int(each.is_drift), "")


def test_the_ordinary_run_is_quiet_about_every_control(columns: list[Column]) -> None:
    ours, _ = columns
    controls = [each for each in OBJECT_DRIFTS if not each.is_drift]
    assert {ours.outcome(each) for each in controls} == {Outcome.QUIET}


def test_the_documented_table_is_what_a_run_prints(columns: list[Column]) -> None:
    page = (ROOT / "docs/drifts.md").read_text()
    head, _, *shown = tables(page)[2]
    (run,) = tables(object_table(columns))
    assert head[2:] == [tool.name for tool in OBJECT_TOOLS]
    kept = len(run[0])
    documented = as_asked([row[:kept] for row in shown], run[2:], Outcome.NONE.value)
    assert documented == run[2:], "run make drifts, and copy its tables"
    total = sum(each.is_drift for each in OBJECT_DRIFTS)
    assert total >= MIN_KINDS
    for name in ("docs/drifts.md", "docs/verify_schema.md"):
        assert f" {total} " in (ROOT / name).read_text(), f"{name} tells another number of drifts"
    assert {cell for row in shown[:-2] for cell in row[2:]} <= {each.value for each in Outcome}
