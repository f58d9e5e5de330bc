"""A survey as a table, as JSON and as SQL."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..components.guards import guarded
from ..components.primary_key import script_primary_key
from ..errors import ConvergenceError
from ..findings import Status
from .repair import in_order, postponed, statements
from .rows import Problem, Row, Survey
from .schemas import Result, Schemas

# The schema in an index definition that PostgreSQL prints.
_SCHEMA = re.compile(r' ON (?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")\.')

Paint = Callable[[Status, str], str]

_HEADINGS = ("Component", "Name", "Table", "Migration", "Status")

_MAX_NAMES = 10  # schema names in a line, without --all


def as_table(survey: Survey, paint: Paint, *, every: bool = False) -> str:
    """Return a table of the rows that are not right, then what differs, then a line of counts.

    every: whether the table has all rows.
    """
    shown = [row for row in survey.rows if every or row.is_shown]
    lines = _columns(
        _HEADINGS, [(*_label_cells(row), _painted_status(paint, row)) for row in shown]
    )
    for row in shown:
        lines += _details(row)
    return "\n".join([*lines, *([""] if lines else []), summary(survey)])


def schemas_as_table(schemas: Schemas, paint: Paint, *, every: bool = False) -> str:
    """Return a table of the rows that are not right; a row stands for all schemas in which it is the same.

    Below the table are the names of those schemas.

    every: whether all of the names are printed, not only the first ten.
    """
    groups: dict[tuple[Any, ...], list[tuple[str, Row]]] = {}
    for survey in schemas.surveys:
        for row in survey.rows:
            if row.is_shown:
                groups.setdefault(_group_key(row), []).append((survey.schema, row))
    cells = []
    lines: list[str] = []
    for places in groups.values():
        (first, row), *others = places
        where = f"{first} and {len(others):,} more" if others else first
        cells.append((*_label_cells(row), where, _painted_status(paint, row)))
        details = _details(row)
        if others:
            details = details or _title(row)
            details += _schema_names([name for name, _ in places], every=every)
        lines += details
    table = _columns((*_HEADINGS[:-1], "Schemas", _HEADINGS[-1]), cells)
    return "\n".join([*table, *lines, *([""] if cells else []), schemas_summary(schemas)])


def schemas_summary(schemas: Schemas) -> str:
    """Return a line that counts the schemas, those that are right, and the components of each status."""
    wrong = sum(1 for survey in schemas.surveys if not survey.is_clean())
    number = len(schemas.names)
    what = "schema" if number == 1 else "schemas"
    place = f"{schemas.database}, {number:,} {what} like {schemas.pattern}"
    parts = [f"{number - wrong:,} right", *([f"{wrong:,} not"] if wrong else [])]
    if schemas.unmigrated:
        parts.append(f"{len(schemas.unmigrated):,} without an applied migration")
    components = "; ".join(_count_texts(schemas.counts))
    return f"{place}: {', '.join(parts)}; {components}"


def summary(survey: Survey) -> str:
    """Return a line that counts the components, in all and of each status."""
    counts = Counter(row.finding.status for row in survey.rows)
    place = f"{survey.database}, schema {survey.schema}"
    parts = _count_texts(counts, f" of {survey.migrations} migrations")
    right = [row for row in survey.rows if row.finding.status.is_right]
    notes = sum(1 for row in right if row.finding.note)
    parts += [f"{notes} with a note (--all shows it)"] if notes else []
    accepted = sum(1 for row in survey.rows if row.accepted)
    parts += [f"{accepted} accepted (--all shows it)"] if accepted else []
    return f"{place}: {'; '.join(parts)}"


def as_json(
    surveys: Sequence[Survey], problems: Iterable[Problem] = (), *, strict: bool = False
) -> str:
    """Return one JSON object for all databases, as docs/verify_schema.md describes it.

    problems: why something could not be judged.
    """
    errors = [each.as_json() for each in problems]
    is_clean = not errors and all(each.is_clean(strict=strict) for each in surveys)
    databases = [_survey_as_json(each, each.rows, strict=strict) for each in surveys]
    document = {"version": 2, "clean": is_clean, "databases": databases, "errors": errors}
    return json.dumps(document, indent=2)


def schemas_as_json(
    surveyed: Sequence[Schemas],
    results: Sequence[Result] = (),
    problems: Iterable[Problem] = (),
    *,
    strict: bool = False,
) -> str:
    """Return the object of `as_json` for the schemas that are not right, with totals and repairs."""
    wrong = [
        _survey_as_json(each, [row for row in each.rows if row.is_shown], strict=strict)
        for schemas in surveyed
        for each in schemas.surveys
        if not each.is_clean(strict=True) or any(row.is_shown for row in each.rows)
    ]
    sets = [
        {
            "database": each.database,
            "pattern": each.pattern,
            "judged": len(each.names),
            "right": len(each.names) - sum(not one.is_clean(strict=strict) for one in each.surveys),
            "counts": _counts_as_json(each.counts),
            "unreadable": list(each.unreadable),
            "unmigrated": list(each.unmigrated),
            "stale_accepted": list(each.stale),
        }
        for each in surveyed
    ]
    repairs = [{"schema": each.schema, "not_repaired": list(each.reasons())} for each in results]
    errors = [each.as_json() for each in problems]
    is_clean = not errors and all(each.is_clean(strict=strict) for each in surveyed)
    document = {
        "version": 2,
        "clean": is_clean,
        "databases": wrong,
        "schemas": sets,
        "repairs": repairs,
        "errors": errors,
    }
    return json.dumps(document, indent=2)


def as_sql(survey: Survey, *, path: str = "") -> str:
    """Return a psql script that repairs the schema and may run twice; unsafe steps are comments in it.

    path: the search_path that it sets first, if any.
    """
    lines = [_comment(summary(survey)), "\\set ON_ERROR_STOP on"]
    lines += [f"SET search_path TO {path};"] if path else []
    rows = in_order(row for row in survey.rows if row.is_wrong(strict=True))
    for row in rows:
        lines += ["", _comment(f"{_status_name(row)} {row.finding.label}"), *_steps(row)]
    lines += [guarded(step) for row in rows for step in postponed(row)]
    return "\n".join(lines)


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, or none if it has no rows; the last column is not padded."""
    if not rows:
        return []
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head) - 1)]
    lines = []
    for row in (head, *rows):
        padded = [f"{text:<{width}}" for text, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[-1]]))
    lines.insert(1, "  ".join("─" * width for width in (*widths, 12)))
    return lines


def _label_cells(row: Row) -> tuple[str, ...]:
    finding = row.finding
    return (finding.component, finding.name, finding.table.replace('"', ""), row.migration)


def _painted_status(paint: Paint, row: Row) -> str:
    return paint(row.finding.status, _status_text(row))


def _group_key(row: Row) -> tuple[Any, ...]:
    """Return the facts by which rows of several schemas are the same."""
    finding = row.finding
    definition = _SCHEMA.sub(" ON ", finding.found, count=1)
    if finding.status is Status.HEALTH:  # whose numbers are those of each schema
        definition = ""
    return (*_label_cells(row), finding.status, definition, finding.note)


def _schema_names(names: Sequence[str], *, every: bool) -> list[str]:
    """Return the line of schema names: all if `every`, else the first ten and how many more there are."""
    shown = names if every else names[:_MAX_NAMES]
    rest = f" and {len(names) - len(shown):,} more (--all names them)" if shown != names else ""
    return [f"  in:     {', '.join(shown)}{rest}"]


def _count_texts(counts: Counter[Status], of: str = "") -> list[str]:
    """Return texts that count the components, in all and of each status."""
    words = {
        Status.EXISTS: "exist",
        Status.AWAITING: "awaiting contract",
        Status.UNJUDGED: "not judged",
    }
    others = (Status.UNDECLARED, Status.HEALTH)  # no components of the migrations
    declared = {each: counts[each] for each in Status if each not in others}
    texts = [
        f"{count:,} {words.get(status, status.name.lower())}"
        for status, count in declared.items()
        if count
    ]
    parts = [f"{sum(declared.values()):,} components{of}: {', '.join(texts) or 'none'}"]
    extra, health = (counts[each] for each in others)
    parts += [f"{extra:,} undeclared"] if extra else []
    return [*parts, *([f"{health:,} of health"] if health else [])]


def _status_text(row: Row) -> str:
    return f"{row.finding.status.value} {row.progress}".rstrip()


def _status_name(row: Row) -> str:
    return row.finding.status.name.lower()


_WITH_DEFINITION = (
    Status.DIFFERENT,
    Status.LEFTOVER,
    Status.AWAITING,
    Status.UNDECLARED,
    Status.HEALTH,
)


def detail_lines(status: Status, component: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the (label, text) lines to show below a component's row.

    component: the component as `row_as_json` returns it.
    """
    listed: list[tuple[str, str]] = []
    if status in _WITH_DEFINITION:
        listed += [("found", component["found"]), ("wanted", component["wanted"])]
        if status is not Status.UNDECLARED:
            listed.append(("to fix", component["fix"]))
        if status is Status.DIFFERENT and component["replaceable"]:
            listed.append(("or", "--repair --replace"))
    elif status is Status.MISSING:
        listed += [("wanted", component["wanted"]), ("to fix", component["fix"])]
    elif status is Status.UNJUDGED:
        listed.append(("to fix", component["fix"]))
    listed.append(("note", component["note"]))
    if entry := component["accepted"]:
        listed.append(("accepted", f"until {entry['until']} by {entry['who']}: {entry['reason']}"))
    return [(word, text) for word, text in listed if text]


def _details(row: Row) -> list[str]:
    if row.finding.status is Status.UNJUDGED:  # the message at the end has the reasons, each once
        return []
    labelled = detail_lines(row.finding.status, row_as_json(row))
    lines = [f"  {f'{label}:':<7} {text}" for label, text in labelled]
    return [*_title(row), *lines] if lines else []


def _title(row: Row) -> list[str]:
    return ["", row.finding.label]


def _survey_as_json(survey: Survey, rows: Iterable[Row], *, strict: bool) -> dict[str, Any]:
    return {
        "database": survey.database,
        "schema": survey.schema,
        "clean": survey.is_clean(strict=strict),
        "migrations": survey.migrations,
        "counts": _counts_as_json(Counter(row.finding.status for row in survey.rows)),
        "stale_accepted": list(survey.stale),
        "shadow": survey.has_shadow,
        "components": [row_as_json(row, strict=strict) for row in rows],
    }


def _counts_as_json(counts: Counter[Status]) -> dict[str, int]:
    return {status.name.lower(): counts[status] for status in Status}


def row_as_json(row: Row, *, strict: bool = False) -> dict[str, Any]:
    """Return the component as an object of the JSON output."""
    finding, entry = row.finding, row.accepted
    return {
        "component": finding.component,
        "name": finding.name,
        "table": finding.table,
        "migration": row.migration,
        "status": _status_name(row),
        "found": finding.found,
        "wanted": finding.wanted,
        "fix": finding.fix,
        "note": finding.note,
        "progress": row.progress,
        "replaceable": finding.replaceable,
        "finding": row.is_wrong(strict=strict),
        "accepted": entry
        and {"until": entry.until.isoformat(), "who": entry.who, "reason": entry.reason},
    }


def _steps(row: Row) -> Iterator[str]:
    finding = row.finding
    is_safe = row.operation is not None and row.operation.has_safe_script
    if row.is_repairable(replacing=is_safe):
        try:
            steps = statements(row)
            if any(step.part for step in steps):  # a script cannot know the partitions
                yield _comment("the indexes of a partitioned table are built by --repair")
            else:
                yield from map(guarded, steps)
        except ConvergenceError as error:
            yield _comment(str(error))
    elif key := script_primary_key(finding.table, finding.fix):
        yield from map(guarded, key)
    elif finding.status is not Status.BUILDING:
        facts = {"found": finding.found, "wanted": finding.wanted, "to fix": finding.fix}
        yield from (_comment(f"{name}: {fact}") for name, fact in facts.items() if fact)


def _comment(text: str) -> str:
    return "\n".join(f"-- {line}" for line in text.splitlines())


_SIGNS = tuple(status.value.split()[0] + " " for status in Status)


def in_encoding(text: str, encoding: str) -> str:
    """Return the text, without the status signs if the encoding lacks them."""
    if text.encode(encoding, "replace").decode(encoding) == text:
        return text
    for sign in _SIGNS:
        text = text.replace(sign, "")
    return text.replace("─", "-").encode(encoding, "backslashreplace").decode(encoding)
