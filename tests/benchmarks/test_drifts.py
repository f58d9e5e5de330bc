"""benchmarks/drifts: the columns that this environment can run, and the judge of all."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.drifts.__main__ import clean_table, drift_table
from benchmarks.drifts.cases import DRIFTS, Drift
from benchmarks.drifts.run import (
    MAKE,
    MIGRATE,
    OBJECT_TOOLS,
    OURS,
    TOOLS,
    Answer,
    Column,
    Outcome,
    column,
    judge,
    rows,
)
from benchmarks.peers.server import ROOT, Server
from tests.benchmarks.markdown_tables import as_asked, tables

DOC = (ROOT / "docs/drifts.md").read_text()
PINS = (ROOT / "benchmarks/peers/requirements.txt").read_text()
HERE = (OURS, MIGRATE, MAKE)


@pytest.fixture(scope="module")
def columns(server: Server) -> list[Column]:
    """Ours and Django's, as `make drifts` makes them."""
    python = Path(sys.executable)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda tool: column(server, "shop", tool, python), HERE))


def of_tools(table: list[list[str]], names: list[str]) -> list[list[str]]:
    """The table with the columns of these tools alone, without its rule."""
    head, _, *rest = table
    kept = [
        place for place, cell in enumerate(head) if cell in names or place < len(head) - len(TOOLS)
    ]
    return [[row[place] for place in kept] for row in (head, *rest)]


def test_ours_sees_every_drift_and_no_other(columns: list[Column]) -> None:
    ours, *_ = columns
    possible = [each for each in DRIFTS if each.what in ours.drifted]
    assert len(possible) >= len(DRIFTS) - 2  # NOT ENFORCED came with PostgreSQL 18
    outcomes = {each.what: ours.outcome(each) for each in possible}
    wanted = {each.what: Outcome.SEEN if each.is_drift else Outcome.QUIET for each in possible}
    assert outcomes == wanted
    assert ours.on_clean() == "0"
    for each in possible:
        answer = ours.drifted[each.what]
        assert (answer.code, answer.failure()) == (int(each.is_drift), "")


def test_the_documented_tables_are_what_a_run_prints(columns: list[Column]) -> None:
    shown, clean = tables(DOC)[:2]
    names = [tool.name for tool in HERE]
    (run,) = tables(drift_table(columns))
    assert shown[0][2:] == [tool.name for tool in TOOLS]
    rows_of_run = [run[0], *run[2:]]
    documented = as_asked(of_tools(shown, names), rows_of_run, Outcome.NONE.value)
    assert documented == rows_of_run, "run make drifts, and copy its tables"
    (printed,) = tables(clean_table({"shop": columns}))
    assert of_tools(clean, names)[1] == printed[2]
    total = sum(each.is_drift for each in DRIFTS)
    for page in ("README.md", "docs/drifts.md", "docs/verify_schema.md"):
        assert f" {total} " in (ROOT / page).read_text(), f"{page} tells another number of drifts"
    assert {cell for row in shown[2:-1] for cell in row[2:]} <= {each.value for each in Outcome}


def test_json_has_the_outcomes_and_the_lines_that_a_drift_brought(columns: list[Column]) -> None:
    told = list(rows(columns))
    assert [each["drift"] for each in told] == [each.what for each in DRIFTS]
    (missing,) = (each for each in told if each["drift"] == "table missing")
    assert missing["outcomes"] == {
        "verify_schema": "seen",
        "migrate --plan --check": "missed",
        "makemigrations --check": "missed",
    }
    assert any("✗ Missing" in line for line in missing["lines"]["verify_schema"])


def test_every_word_of_the_table_is_defined() -> None:
    section = DOC.partition("\n## The words\n")[2].partition("\n## ")[0]
    assert re.findall(r"^- \*\*(.+?)\*\*: ", section, re.MULTILINE) == [
        each.value for each in Outcome
    ]


def test_the_documented_versions_are_the_pinned_ones() -> None:
    (line,) = re.findall(r"^PostgreSQL \S+, Python \S+, (.*)$", DOC, re.MULTILINE)
    packages = dict(package.split(" ") for package in line.split(", "))
    assert packages.keys() == {"wagtail", *(tool.package for tool in (*TOOLS, *OBJECT_TOOLS))}
    for name, version in packages.items():
        assert f"\n{name}=={version} " in f"\n{PINS}", "run make drifts, and copy its tables"


PRICE = Drift("", "", ("price",))
CONTROL = Drift("", "", ("price",), is_drift=False)
CLEAN = Answer(0, "default: 3 components of 1 migrations: 3 exist\nname\n")


@pytest.mark.parametrize(
    ("drift", "answer", "outcome"),
    [
        (PRICE, CLEAN, Outcome.MISSED),
        (PRICE, Answer(0, "default: 2 components of 1 migrations: 2 exist\nname"), Outcome.MISSED),
        (PRICE, Answer(1, CLEAN.text), Outcome.UNNAMED),
        (PRICE, Answer(0, f"{CLEAN.text}stock"), Outcome.UNNAMED),
        (PRICE, Answer(0, f"{CLEAN.text}price"), Outcome.SEEN),
        (PRICE, Answer(1, f"{CLEAN.text}product_price_key"), Outcome.SEEN),
        (PRICE, Answer(0, f"{CLEAN.text}prices"), Outcome.UNNAMED),
        (Drift("", "", ("name",)), Answer(0, ""), Outcome.UNNAMED),
        (CONTROL, CLEAN, Outcome.QUIET),
        (CONTROL, Answer(1, CLEAN.text), Outcome.ALARM),
        (CONTROL, Answer(0, f"{CLEAN.text}price"), Outcome.ALARM),
    ],
)
def test_the_judge(drift: Drift, answer: Answer, outcome: Outcome) -> None:
    assert judge(drift, CLEAN, answer) is outcome


def test_an_answer_that_is_an_error_is_no_count() -> None:
    failed = Column(OURS, Answer(1, "Traceback\nFieldDoesNotExist: no -made"), {})
    assert failed.on_clean() == "fails: FieldDoesNotExist"
    refused = Column(OURS, Answer(1, "CommandError: 2 discrepancies"), {})
    assert refused.on_clean() == "0"
    assert failed.outcome(PRICE) is Outcome.NONE
