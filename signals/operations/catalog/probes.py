"""What PostgreSQL makes of a declaration: an empty temporary copy of the table takes it, and goes again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from .query import IN_FULL, compose, query_scripts
from .questions import Question, facts_of_one
from .tables import Table, name_of, parse_table


@dataclass(frozen=True, slots=True)
class Probe:
    """DDL to be put on an empty copy of a table; path: the search_path for it, where not the session's."""

    found: Table
    ddl: tuple[str, ...]
    path: str = ""


_FILE = "SELECT pg_catalog.pg_relation_filenode(%s::pg_catalog.regclass)"


def probe_tables(
    connection: BaseDatabaseWrapper, probes: Sequence[Probe], name: str
) -> list[Table | DatabaseError]:
    """Return what PostgreSQL makes of the DDL on a temporary copy of each table, or why it cannot.

    One round trip, rolled back: takes ACCESS SHARE on the tables, and leaves nothing. Where PostgreSQL
    refuses some, a few more for each of those. name: the copies' quoted name.
    """
    question = facts_of_one(connection, Question(name))
    scripts = [(probe, [*probe.ddl, question], 1) for probe in probes]
    return [
        answer if isinstance(answer, DatabaseError) else parse_table(answer[0][0][0])
        for answer in _on_copies(connection, name, scripts)
    ]


def fold_constants_in(
    connection: BaseDatabaseWrapper,
    probes: Sequence[Probe],
    lists: Sequence[Sequence[str]],
    name: str,
) -> list[list[str] | DatabaseError]:
    """Return what the planner makes of each SELECT list on the copy with the DDL on it, or why it cannot.

    One round trip, rolled back, as `probe_tables`; nothing is executed but immutable functions.
    """
    scripts = []
    for probe, texts in zip(probes, lists, strict=True):
        questions = [
            f"EXPLAIN (VERBOSE, COSTS OFF) SELECT {text} FROM {name}"  # noqa: S608 - its own
            for text in texts
        ]
        scripts.append((probe, [*probe.ddl, *questions], len(questions)))
    return [
        plans if isinstance(plans, DatabaseError) else [_output(plan) for plan in plans]
        for plans in _on_copies(connection, name, scripts)
    ]


def rewrites_table(
    connection: BaseDatabaseWrapper, found: Table, ddl: Sequence[str], name: str
) -> bool:
    """Return whether the DDL would write the whole table anew; asked of an empty copy of it."""
    question = compose(connection, _FILE, [name])
    script = [question, *ddl, question]
    (files,) = _on_copies(connection, name, [(Probe(found, ()), script, 2)])
    if isinstance(files, DatabaseError):
        raise files
    before, after = files
    return bool(before != after)


def _on_copies(
    connection: BaseDatabaseWrapper,
    name: str,
    scripts: Sequence[tuple[Probe, Sequence[str], int]],
) -> list[list[list[tuple[Any, ...]]] | DatabaseError]:
    """Return the rows of the questions in each script, which runs on an empty copy of its table.

    With each script, how many questions there are in it.
    """
    if not scripts:
        return []
    try:
        texts = (_on_copy(name, probe, script) for probe, script, _ in scripts)
        rows = iter(query_scripts(connection, *texts))
    except DatabaseError as error:
        if len(scripts) == 1:
            return [error]
        middle = len(scripts) // 2
        halves = (scripts[:middle], scripts[middle:])
        return [answer for half in halves for answer in _on_copies(connection, name, half)]
    return [[next(rows) for _ in range(number)] for _, _, number in scripts]


def _on_copy(name: str, probe: Probe, script: Sequence[str]) -> list[str]:
    # Columns and nothing else: LIKE would bring PostgreSQL 18's named NOT NULL constraints.
    original = f"TABLE {name_of(probe.found)} WITH NO DATA"
    made = f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {original}"
    path = [f"SET LOCAL search_path TO {probe.path}"] if probe.path else []
    return [*path, made, IN_FULL, *script]


def _output(plan: Sequence[tuple[Any, ...]]) -> str:
    """The line of a plan that tells what it puts out."""
    return next(str(line) for (line,) in plan if str(line).lstrip().startswith("Output:"))
