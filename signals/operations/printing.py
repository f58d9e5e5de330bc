"""A survey as a table, as JSON and as SQL."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from signals.operations.base import guarded
from signals.operations.errors import ConvergenceError
from signals.operations.findings import Status
from signals.operations.repair import in_order, postponed, statements
from signals.operations.set_not_null import SetNotNullIfNullable
from signals.operations.survey import Row, Survey

Paint = Callable[[Status, str], str]

_HEAD = ("Component", "Name", "Table", "Migration", "Status")

# Changes of the catalog alone: no row is read or written, and nothing is lost.
_SAFE = re.compile(
    r'ALTER TABLE \S+ (ALTER COLUMN "(?:[^"]|"")+" '
    r"(DROP DEFAULT|SET DEFAULT [^;,]+|DROP NOT NULL)(, )?)+;"
)


def as_table(survey: Survey, paint: Paint, *, every: bool = False) -> str:
    """What is not right, or every row; below it what differs, and last a line that counts."""
    shown = [row for row in survey.rows if every or row.is_wrong(strict=True)]
    cells = [_HEAD, *map(_cells, shown)] if shown else []
    widths = [max(len(row[place]) for row in cells) for place in range(4)] if cells else []
    lines = []
    for number, texts in enumerate(cells):
        words = [f"{text:<{width}}" for text, width in zip(texts, widths, strict=False)]
        last = texts[-1] if number == 0 else paint(shown[number - 1].finding.status, texts[-1])
        lines.append("  ".join([*words, last]))
    if lines:
        lines.insert(1, "  ".join("─" * width for width in (*widths, 12)))
    for row in shown:
        lines += _details(row)
    return "\n".join([*lines, *([""] if lines else []), summary(survey)])


def summary(survey: Survey) -> str:
    """How many components there are, and how many of each status."""
    counts = Counter(row.finding.status for row in survey.rows)
    extra = counts.pop(Status.UNDECLARED, 0)
    words = {Status.EXISTS: "exist"}
    parts = [
        f"{count} {words.get(status, status.name.lower())}"
        for status in Status
        if (count := counts[status])
    ]
    place = f"{survey.database}, schema {survey.schema}"
    text = f"{place}: {counts.total()} components of {survey.migrations} migrations: "
    notes = sum(1 for row in survey.rows if row.finding.note and not row.is_wrong())
    parts = [", ".join(parts) or "none"]
    parts += [f"{extra} undeclared"] if extra else []
    parts += [f"{notes} with a note (--all shows it)"] if notes else []
    return text + "; ".join(parts)


def as_json(surveys: Sequence[Survey], *, strict: bool = False) -> str:
    """One object for all databases; docs/verify_schema.md describes it."""
    return json.dumps(
        {
            "version": 2,
            "clean": all(each.is_clean(strict=strict) for each in surveys),
            "databases": [
                {
                    "database": each.database,
                    "schema": each.schema,
                    "clean": each.is_clean(strict=strict),
                    "migrations": each.migrations,
                    "counts": _counts(each),
                    "components": [_told(row) for row in each.rows],
                }
                for each in surveys
            ],
        },
        indent=2,
    )


def as_sql(survey: Survey, *, path: str = "") -> str:
    """A script for psql that may run twice; what is not safe to run stands in it as a comment."""
    lines = [f"-- {summary(survey)}", "\\set ON_ERROR_STOP on"]
    lines += [f"SET search_path TO {path};"] if path else []
    rows = in_order(row for row in survey.rows if row.is_wrong(strict=True))
    for row in rows:
        finding = row.finding
        lines += [
            "",
            _comment(f"{_words(row)} {finding.component} {finding.name} of {finding.table}"),
        ]
        lines += _steps(row)
    lines += [guarded(step) for row in rows for step in postponed(row)]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    finding = row.finding
    table = finding.table.replace('"', "")
    return (finding.component, finding.name, table, row.migration, _status(row))


def _status(row: Row) -> str:
    return f"{row.finding.status.value} {row.progress}".rstrip()


def _words(row: Row) -> str:
    return row.finding.status.name.lower()


def _details(row: Row) -> list[str]:
    finding = row.finding
    lines = []
    if finding.status in (Status.DIFFERENT, Status.LEFTOVER, Status.UNDECLARED):
        facts = {"found:  ": finding.found, "wanted: ": finding.wanted, "to fix: ": finding.fix}
        if finding.status is Status.UNDECLARED:
            del facts["to fix: "]
        lines += [f"  {name}{fact}" for name, fact in facts.items() if fact]
        lines += ["  or:     --repair --replace"] if row.is_repairable(replacing=True) else []
    lines += [f"  note:   {finding.note}"] if finding.note else []
    return ["", f"{finding.component} {finding.name} of {finding.table}", *lines] if lines else []


def _counts(survey: Survey) -> dict[str, int]:
    counts = Counter(row.finding.status for row in survey.rows)
    return {status.name.lower(): counts[status] for status in Status}


def _told(row: Row) -> dict[str, Any]:
    finding = row.finding
    return {
        "component": finding.component,
        "name": finding.name,
        "table": finding.table,
        "migration": row.migration,
        "status": _words(row),
        "found": finding.found,
        "wanted": finding.wanted,
        "fix": finding.fix,
        "note": finding.note,
        "progress": row.progress,
        "replaceable": finding.replaceable,
    }


def _steps(row: Row) -> Iterator[str]:
    finding = row.finding
    is_safe = isinstance(row.operation, SetNotNullIfNullable)  # proves it before it is enforced
    if row.is_repairable(replacing=is_safe):
        try:
            steps = statements(row)
            if any(step.part for step in steps):  # they depend on the partitions that there are
                yield _comment("the indexes of a partitioned table are finished by --repair")
            else:
                yield from map(guarded, steps)
        except ConvergenceError as error:
            yield _comment(str(error))
    elif finding.status is Status.DIFFERENT and _SAFE.fullmatch(finding.fix):
        yield finding.fix
    elif finding.status is not Status.BUILDING:
        facts = {"found": finding.found, "wanted": finding.wanted, "to fix": finding.fix}
        yield from (_comment(f"{name}: {fact}") for name, fact in facts.items() if fact)


def _comment(text: str) -> str:
    return "\n".join(f"-- {line}" for line in text.splitlines())
