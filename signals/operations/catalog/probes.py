"""Ask PostgreSQL for the definition that it would store: declare it on an empty copy of the table.

PostgreSQL rewrites what it stores (`IN (...)` becomes `= ANY (ARRAY[...])`), so SQL that Django made cannot
be compared with the catalog. The copy is temporary and always rolled back.
"""

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
    """An empty copy of a table that is to be made, and the DDL to run on it.

    found: the table to copy. path: the search_path to set before, as SQL; empty for that of the session.
    """

    found: Table
    ddl: tuple[str, ...]
    path: str = ""


_FILENODE = "SELECT pg_catalog.pg_relation_filenode(%s::pg_catalog.regclass)"


def probe_tables(
    connection: BaseDatabaseWrapper, probes: Sequence[Probe], name: str
) -> list[Table | DatabaseError]:
    """Return a copy of each table after the DDL ran on it, or the error with which PostgreSQL refused it.

    Make all copies in one round trip and roll them back: that takes ACCESS SHARE on the tables, and leaves
    nothing, even if the run dies. Each DDL that PostgreSQL refuses costs a few round trips more. name: the
    quoted name of the copies.
    """
    question = facts_of_one(connection, Question(name))
    scripts = [(probe, [*probe.ddl, question], 1) for probe in probes]
    return [
        answer if isinstance(answer, DatabaseError) else parse_table(answer[0][0][0])
        for answer in _run_on_copies(connection, name, scripts)
    ]


def fold_constants_in(
    connection: BaseDatabaseWrapper,
    probes: Sequence[Probe],
    lists: Sequence[Sequence[str]],
    name: str,
) -> list[list[str] | DatabaseError]:
    """Return the SELECT lists of each probe after the planner folded their constants, or PostgreSQL's error.

    lists: for each probe, the SELECT lists to plan on its copy. Take one round trip, rolled back, as in
    `probe_tables`. EXPLAIN executes nothing but immutable functions with constant arguments.
    """
    scripts = []
    for probe, texts in zip(probes, lists, strict=True):
        questions = [
            f"EXPLAIN (VERBOSE, COSTS OFF) SELECT {text} FROM {name}"  # noqa: S608 - its own
            for text in texts
        ]
        scripts.append((probe, [*probe.ddl, *questions], len(questions)))
    return [
        plans if isinstance(plans, DatabaseError) else [_output_line(plan) for plan in plans]
        for plans in _run_on_copies(connection, name, scripts)
    ]


def rewrites_table(
    connection: BaseDatabaseWrapper, found: Table, ddl: Sequence[str], name: str
) -> bool:
    """Return whether the DDL would rewrite the whole table.

    Ask an empty copy, which gets a new file on disk where the table would. name: the quoted name of the
    copy. Raise DatabaseError if PostgreSQL refuses the DDL.
    """
    question = compose(connection, _FILENODE, [name])
    script = [question, *ddl, question]
    (files,) = _run_on_copies(connection, name, [(Probe(found, ()), script, 2)])
    if isinstance(files, DatabaseError):
        raise files
    before, after = files
    return bool(before != after)


def _run_on_copies(
    connection: BaseDatabaseWrapper,
    name: str,
    scripts: Sequence[tuple[Probe, Sequence[str], int]],
) -> list[list[list[tuple[Any, ...]]] | DatabaseError]:
    """Run each script on an empty copy of its table; return the rows of its questions, or its error.

    scripts: for each copy its probe, the statements, and how many of these are questions, that is, return
    rows. All answers arrive in one list, which these numbers divide.
    """
    if not scripts:
        return []
    try:
        texts = (_copy_script(name, probe, script) for probe, script, _ in scripts)
        rows = iter(query_scripts(connection, *texts))
    except DatabaseError as error:
        if len(scripts) == 1:
            return [error]
        # The error does not say which script failed, so run each half again.
        middle = len(scripts) // 2
        halves = (scripts[:middle], scripts[middle:])
        return [answer for half in halves for answer in _run_on_copies(connection, name, half)]
    return [[next(rows) for _ in range(number)] for _, _, number in scripts]


def _copy_script(name: str, probe: Probe, script: Sequence[str]) -> list[str]:
    """Return the statements that make the copy, followed by the script."""
    # AS copies the columns and nothing else. LIKE would copy NOT NULL too, which PostgreSQL 18 keeps as
    # constraints with names.
    original = f"TABLE {name_of(probe.found)} WITH NO DATA"
    made = f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {original}"
    path = [f"SET LOCAL search_path TO {probe.path}"] if probe.path else []
    return [*path, made, IN_FULL, *script]


def _output_line(plan: Sequence[tuple[Any, ...]]) -> str:
    """Return the line of a verbose plan that has the SELECT list."""
    return next(str(line) for (line,) in plan if str(line).lstrip().startswith("Output:"))
