"""The tables of docs/lint_tools.md."""

from collections.abc import Sequence
from typing import Any

from benchmarks.lint.project import Judged
from benchmarks.lint.run import Answers
from benchmarks.markdown import as_table


def tables(judged: Sequence[Judged], answers: Sequence[Answers]) -> list[str]:
    """The counts, then each bad and each good migration."""
    bad = [each for each in judged if each.is_bad]
    good = [each for each in judged if not each.is_bad]
    return [counts(judged, answers), _each(bad, answers), _each(good, answers)]


def counts(judged: Sequence[Judged], answers: Sequence[Answers]) -> str:
    """How many a tool tells of: bad ones, and good ones of Django's operations and of this library's."""
    groups = {
        "bad ones that it tells": [each for each in judged if each.is_bad],
        "false alarms, Django's operations and SQL": [
            each for each in judged if not each.is_bad and not each.is_of_library
        ],
        "false alarms, operations of this library": [
            each for each in judged if not each.is_bad and each.is_of_library
        ],
    }
    rows = [["", "of", *(each.tool for each in answers)]]
    for name, group in groups.items():
        numbers = [str(sum(map(each.tells, group))) for each in answers]
        rows.append([name, str(len(group)), *numbers])
    return as_table(rows)


def _each(judged: Sequence[Judged], answers: Sequence[Answers]) -> str:
    rows = [[one.case.name, *(", ".join(_told(each, one)) for each in answers)] for one in judged]
    return as_table([["migration", *(each.tool for each in answers)], *rows])


def _told(answers: Answers, judged: Judged) -> list[str]:
    return sorted({each[:40] for each in answers.told.get(judged.label, [])})


def as_object(judged: Sequence[Judged], answers: Sequence[Answers]) -> dict[str, Any]:
    """The answers by case."""
    cases = {
        one.case.name: {each.tool: _told(each, one) for each in answers}
        | {"is_bad": one.is_bad, "is_of_library": one.is_of_library}
        for one in judged
    }
    return {"version": 1, "cases": cases}
