"""benchmarks/peers: the two columns that this environment can run, and the judge of all."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers.__main__ import as_json, as_table
from benchmarks.peers.cases import CASES, CLEAN, Again, Case
from benchmarks.peers.facts import Fact, Outcome, Run, judge, read
from benchmarks.peers.run import DJANGO, OURS, TOOLS, Column, Tool, column, declared, started
from benchmarks.peers.server import Database, Server

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/peers.md").read_text()
PINS = (ROOT / "benchmarks/peers/requirements.txt").read_text()
PYTHON = Path(sys.executable)

INDEX = Fact("app", "part", "index", "i", "CREATE INDEX i ON app.part USING btree (label)")
OTHER_INDEX = replace(INDEX, definition="CREATE INDEX i ON app.part USING btree (made_at)")
COLUMN = Fact("app", "part", "column", "label", "text NOT NULL")
CLEAN_FACTS = frozenset({COLUMN})
WANTED = frozenset({INDEX})

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    with server.database() as database:
        yield database


@pytest.fixture(scope="module")
def columns(server: Server) -> list[Column]:
    """Ours and Django's, as `make peers` makes them."""
    return [column(server, tool, PYTHON) for tool in (OURS, DJANGO)]


def table(text: str) -> dict[str, dict[str, str]]:
    """The outcomes by tool and state, of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    (_, _, *tools), _, *states = rows
    return {
        tool: {row[1]: row[place] for row in states} for place, tool in enumerate(tools, start=2)
    }


def test_ours_converges_or_refuses_in_every_state(columns: list[Column]) -> None:
    outcomes = [result.outcome.value for result in columns[0].results]
    assert dict(zip([case.name for case in CASES], outcomes, strict=True)) == {
        "index of that name on another column": "refused",
        "index of that name on another table": "refused",
        "index of that name in another schema": "converged",
        "check of that name, another expression": "refused",
        "invalid index of a failed build": "converged",
        "check left NOT VALID": "converged",
        "column of another type": "refused",
        "unique index of that name on another column": "refused",
        "percent sign in a predicate": "converged",
        "table name in mixed case": "converged",
        "run again, the record lost": "converged",
        "printed SQL run twice by psql": "converged",
    }


def test_the_documented_table_is_what_a_run_prints(columns: list[Column]) -> None:
    shown, run = table(DOC), table(as_table(columns))
    assert {tool: shown[tool] for tool in run} == run, "run make peers, and copy its table"
    assert list(shown) == [tool.name for tool in TOOLS]
    assert {word for states in shown.values() for word in states.values()} <= set(words())


def test_json_has_the_outcomes_of_the_table_and_the_errors(columns: list[Column]) -> None:
    tools = json.loads(as_json(columns))["tools"]
    outcomes = {
        each["tool"]: {state: cell["outcome"] for state, cell in each["states"].items()}
        for each in tools
    }
    assert outcomes == table(as_table(columns))
    for each in tools:
        for cell in each["states"].values():
            assert (cell["error"] == "") == (cell["outcome"] == "converged")


def words() -> list[str]:
    return [outcome.value for outcome in Outcome]


def test_every_word_of_the_table_is_defined() -> None:
    section = DOC.partition("\n## The words\n")[2].partition("\n## ")[0]
    assert re.findall(r"^- \*\*(\S+)\*\*: ", section, re.MULTILINE) == words()


def test_the_documented_versions_are_the_pinned_ones() -> None:
    (line,) = re.findall(r"^PostgreSQL \S+, Python \S+, (.*)$", DOC, re.MULTILINE)
    packages = dict(package.split(" ") for package in line.split(", "))
    assert packages.keys() == {
        *("django", "alembic", "sqlalchemy"),
        *("django-pg-migration-tools", "django-pg-zero-downtime-migrations"),
    }
    for name, version in packages.items():
        assert f"\n{name}=={version} " in f"\n{PINS}", "run make peers, and copy its table"


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (Run(CLEAN_FACTS, CLEAN_FACTS | WANTED, WANTED, done=True), Outcome.CONVERGED),
        (Run(CLEAN_FACTS | WANTED, CLEAN_FACTS | WANTED, WANTED, done=True), Outcome.CONVERGED),
        (Run(CLEAN_FACTS, CLEAN_FACTS, WANTED, done=True), Outcome.WRONG),
        (Run(CLEAN_FACTS, CLEAN_FACTS | {OTHER_INDEX}, WANTED, done=True), Outcome.WRONG),
        (
            Run(CLEAN_FACTS, CLEAN_FACTS | {replace(INDEX, name="i_ccnew")}, WANTED, done=True),
            Outcome.WRONG,
        ),
        (Run(CLEAN_FACTS, WANTED, WANTED, done=True), Outcome.WRONG),
        (Run(CLEAN_FACTS, CLEAN_FACTS | WANTED, WANTED, False, "error"), Outcome.HALF_DONE),
        (
            Run(CLEAN_FACTS | {OTHER_INDEX}, CLEAN_FACTS, WANTED, False, "(made_at)", "made_at"),
            Outcome.HALF_DONE,
        ),
        (
            Run(CLEAN_FACTS, CLEAN_FACTS, WANTED, False, "it is on (made_at)", "made_at"),
            Outcome.REFUSED,
        ),
        (
            Run(CLEAN_FACTS, CLEAN_FACTS, WANTED, False, "unmade_at exists", "made_at"),
            Outcome.FAILED,
        ),
        (Run(CLEAN_FACTS, CLEAN_FACTS, WANTED, False, "exists"), Outcome.FAILED),
    ],
)
def test_the_judge(run: Run, outcome: Outcome) -> None:
    assert judge(run) is outcome


def in_state(database: Database, case: Case) -> frozenset[Fact]:
    """Bring the database into the state, and give the facts that the case wants."""
    name = f'"{case.table}"'
    database.clear()
    database.connection.execute(CLEAN.format(table=name))
    wanted = declared(database, case, name)
    if case.again is not Again.NOTHING:
        for component in case.declares:
            database.connection.execute(component.value.format(table=name))
    if case.state:
        database.connection.execute(case.state)
    if case.failed_build:
        database.fail_to_build(case.failed_build)
    return wanted


@each_case
def test_a_tool_that_does_nothing_is_right_only_where_all_is_there(
    database: Database, case: Case
) -> None:
    wanted = in_state(database, case)
    facts = read(database.connection)
    is_there = case.again is not Again.NOTHING
    expected = Outcome.CONVERGED if is_there else Outcome.WRONG
    assert judge(Run(facts, facts, wanted, done=True)) is expected


@each_case
def test_plain_sql_on_the_clean_table_is_right(database: Database, case: Case) -> None:
    wanted = in_state(database, replace(case, state="", failed_build="", again=Again.NOTHING))
    before = read(database.connection)
    for component in case.declares:
        database.connection.execute(component.value.format(table=f'"{case.table}"'))
    run = Run(before, read(database.connection), wanted, done=True)
    assert judge(run) is Outcome.CONVERGED
    assert len(wanted) >= len(case.declares)


def test_the_failed_build_leaves_an_invalid_index_of_the_right_definition(
    database: Database,
) -> None:
    (case,) = (each for each in CASES if each.failed_build)
    (wanted,) = in_state(database, case)
    assert replace(wanted, definition=f"{wanted.definition} INVALID") in read(database.connection)


@pytest.mark.parametrize("case", [case for case in CASES if case.found], ids=lambda case: case.name)
def test_the_word_of_what_was_found_stands_in_the_state_and_in_no_declaration(case: Case) -> None:
    assert case.found in case.state
    assert not any(case.found in component.value for component in case.declares)


def test_a_process_that_ends_is_told_with_its_last_words(server: Server) -> None:
    with (
        started(Tool("nobody", ("missing",)), PYTHON) as process,
        pytest.raises(RuntimeError, match=r"nobody ended at versions:\n.*No module named"),
    ):
        process.ask("versions")
