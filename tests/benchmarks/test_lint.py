"""benchmarks/lint: the column of this library, the page, and the time for a large project."""

import re
import time
from pathlib import Path

import pytest
from django.db import migrations, models

from benchmarks.lint import report
from benchmarks.lint.project import Judged, write_project
from benchmarks.lint.run import OURS, PEERS, Answers, ours
from benchmarks.lint.speed import write_large_project
from benchmarks.peers.server import ROOT
from signals.operations.lint.steps import types_connection
from signals.operations.lint.walking import walk
from tests.operations.lint.graph import graph_of

PAGE = (ROOT / "docs/lint_tools.md").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Judged], Answers]:
    folder = tmp_path_factory.mktemp("lint")
    return write_project(folder), ours(folder)


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of tables, without the rules under their heads."""
    lines = [line for line in text.splitlines() if re.match(r"\| (?!-)", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_command_tells_of_each_case_what_it_is_to(made: tuple[list[Judged], Answers]) -> None:
    """From the files of a project, as the cases do it in one process."""
    judged, answers = made
    for each in judged:
        told = set(answers.told.get(each.label, []))
        assert told == set(each.case.rules.split()), each.case.name


def test_the_page_has_every_case_with_what_the_command_tells(
    made: tuple[list[Judged], Answers],
) -> None:
    judged, answers = made
    counts, *tables = (rows(each) for each in report.tables(judged, [answers]))
    page = rows(PAGE)
    assert [row[:3] for row in page[: len(counts)]] == counts
    told = [row for table in tables for row in table]
    assert [row[:2] for row in page[len(counts) :]] == told
    bad, good = (sum(each.is_bad is which for each in judged) for which in (True, False))
    assert f"{bad} that block others" in " ".join(PAGE.split())
    assert f"and {good} that do none of this" in " ".join(PAGE.split())


def test_whatever_another_tool_tells_of_a_bad_migration_is_told_here() -> None:
    """And each of the others has more false alarms, by the page."""
    head, *found = rows(PAGE)[:4]
    assert head[2:] == [OURS, *(peer.name for peer in PEERS)]
    alarms = [[int(cell) for cell in row[2:]] for row in found[1:]]
    own, *others = (sum(column) for column in zip(*alarms, strict=True))
    assert own == 0 < min(others)
    bad = PAGE[PAGE.index("## Bad migrations") : PAGE.index("## Good migrations")]
    assert all(row[1] for row in rows(bad)[1:] if any(row[2:]))


def test_the_versions_are_those_of_the_pins() -> None:
    pins = (ROOT / "benchmarks/peers/requirements.txt").read_text()
    for peer in PEERS:
        (version,) = re.findall(rf"^{peer.name}==(\S+)", pins, re.MULTILINE)
        assert f"{peer.name} {version}" in PAGE


def test_a_large_project_has_its_migrations(tmp_path: Path) -> None:
    write_large_project(tmp_path)
    files = list(tmp_path.glob("app*/migrations/0*.py"))
    assert len(files) == 500
    compile(files[0].read_text(), str(files[0]), "exec")


def test_five_hundred_migrations_are_judged_within_two_seconds_of_the_processor() -> None:
    fields = [(f"f{number}", models.CharField(max_length=9, null=True)) for number in range(15)]
    key = ("id", models.BigAutoField(primary_key=True))
    steps = []
    for number in range(500):
        name = f"M{number // 5}"
        made = [migrations.CreateModel(name, [key, *fields])] if number % 5 == 0 else []
        steps.append(
            (
                [
                    *made,
                    migrations.AddField(name, f"g{number}", models.IntegerField(null=True)),
                    migrations.AlterField(name, "f1", models.CharField(max_length=9 + number)),
                    migrations.RunSQL(f"UPDATE depot_{name} SET f1 = 'x'", ""),
                ],
                True,
            )
        )
    loader = graph_of(*steps)
    started = time.process_time()
    found = list(walk(loader, set(loader.graph.nodes), types_connection(), is_one_release=False))
    assert time.process_time() - started < 2
    assert len(found) > 500
