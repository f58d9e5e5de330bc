"""Ask PostgreSQL for the definition that it would store: declare it on an empty copy of the table.

PostgreSQL rewrites what it stores (`IN (...)` becomes `= ANY (ARRAY[...])`), so SQL that Django made cannot
be compared with the catalog. The copy is temporary and always rolled back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..errors import UNREADABLE, is_failure_of_server, is_impossible, one_line, sqlstate
from .query import IN_FULL, compose, query_rows, query_scripts
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


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The reason why the current role can compare nothing on a copy of a table, and what removes it.

    reason: the message of PostgreSQL. fix: the right to grant, as SQL, or advice. error: the refusal.
    """

    reason: str
    fix: str
    error: DatabaseError


_FILENODE = "SELECT pg_catalog.pg_relation_filenode(%s::pg_catalog.regclass)"


def probe_tables(
    connection: BaseDatabaseWrapper, probes: Sequence[Probe], name: str
) -> list[Table | DatabaseError | Obstacle]:
    """Return a copy of each table after the DDL ran on it, or why there is none.

    That is the error with which PostgreSQL refused the DDL as wrong, or an Obstacle that the DDL is not to
    blame for, such as a right that the role lacks.

    Make all copies in one round trip and roll them back: that takes ACCESS SHARE on the tables, and leaves
    nothing, even if the run dies. Each DDL that PostgreSQL refuses costs a few round trips more. name: the
    quoted name of the copies.
    """
    question = facts_of_one(connection, Question(name))
    scripts = [(probe, [*probe.ddl, question], 1) for probe in probes]
    return [
        parse_table(answer[0][0][0]) if isinstance(answer, list) else answer
        for answer in _run_on_copies(connection, name, scripts)
    ]


def fold_constants_in(
    connection: BaseDatabaseWrapper,
    probes: Sequence[Probe],
    lists: Sequence[Sequence[str]],
    name: str,
) -> list[list[str] | DatabaseError | Obstacle]:
    """Return, for each probe, its SELECT lists as the planner prints them, or as in `probe_tables` why not.

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
        [_output_line(plan) for plan in plans] if isinstance(plans, list) else plans
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
    if not isinstance(files, list):
        raise files.error if isinstance(files, Obstacle) else files
    before, after = files
    return bool(before != after)


def _run_on_copies(
    connection: BaseDatabaseWrapper,
    name: str,
    scripts: Sequence[tuple[Probe, Sequence[str], int]],
    *,
    is_half: bool = False,
) -> list[list[list[tuple[Any, ...]]] | DatabaseError | Obstacle]:
    """Run each script on an empty copy of its table; return the rows of its questions, or why it failed.

    scripts: the probe, the statements, and how many of these are questions, that is, return rows. The number
    assigns the answers, which arrive as one list. Raise DatabaseError for what may pass, such as a timeout.
    """
    if not scripts:
        return []
    try:
        texts = (_copy_script(name, probe, script) for probe, script, _ in scripts)
        rows = iter(query_scripts(connection, *texts, writing=True))
    except DatabaseError as error:
        if _may_pass(error):
            raise
        if not is_half and (obstacle := _obstacle_to_all(connection, name)):
            return [obstacle] * len(scripts)
        if len(scripts) == 1:
            return [_why(error)]
        # The error does not tell which script failed: run each half again.
        middle = len(scripts) // 2
        halves = [
            _run_on_copies(connection, name, half, is_half=True)
            for half in (scripts[:middle], scripts[middle:])
        ]
        return [*halves[0], *halves[1]]
    return [[next(rows) for _ in range(number)] for _, _, number in scripts]


def _copy_script(name: str, probe: Probe, script: Sequence[str]) -> list[str]:
    """Return the statements that make the copy, followed by the script."""
    # AS copies the columns and nothing else. LIKE would copy NOT NULL too, which PostgreSQL 18 keeps as
    # constraints with names.
    original = f"TABLE {name_of(probe.found)} WITH NO DATA"
    made = f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {original}"
    path = [f"SET LOCAL search_path TO {probe.path}"] if probe.path else []
    return [*path, made, IN_FULL, *script]


def _obstacle_to_all(connection: BaseDatabaseWrapper, name: str) -> Obstacle | None:
    """Return what keeps the role from making a copy of any table; ask by one of no table."""
    trial = [
        f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS SELECT 1 AS one WITH NO DATA",
        f"ALTER TABLE {name} ADD COLUMN two integer",
        f"CREATE INDEX ON {name} (two)",
    ]
    try:
        query_scripts(connection, trial, writing=True)
    except DatabaseError as error:
        if _may_pass(error):
            raise
        return Obstacle(one_line(error), _fix(connection, error), error)
    return None


def _why(error: DatabaseError) -> DatabaseError | Obstacle:
    """Return the error if it is that of a declaration, else the obstacle that it tells of."""
    is_of_declaration = is_impossible(error) and sqlstate(error) != _NO_RIGHT
    return error if is_of_declaration else Obstacle(one_line(error), _FIX, error)


def _fix(connection: BaseDatabaseWrapper, error: DatabaseError) -> str:
    """Return what lets the role make copies."""
    ((is_standby, has_right, database, role),) = query_rows(connection, _RIGHTS)
    if is_standby:
        return "verify its primary, whose catalog a hot standby has; it makes no temporary table itself"
    if sqlstate(error) == _NO_RIGHT and not has_right:
        return f"GRANT TEMPORARY ON DATABASE {database} TO {role};"
    return _FIX


def _may_pass(error: DatabaseError) -> bool:
    """Return whether no table is the reason, but a timeout, a change of the catalog or the server."""
    return sqlstate(error) in UNREADABLE or is_failure_of_server(error)


_NO_RIGHT = "42501"
_FIX = (
    "grant the role what PostgreSQL names; if an event trigger refuses it, let that pass temporary tables, "
    "or disable it meanwhile"
)
_RIGHTS = """
SELECT pg_catalog.pg_is_in_recovery(),
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY'),
  pg_catalog.quote_ident(pg_catalog.current_database()), pg_catalog.quote_ident(current_user)
"""


def _output_line(plan: Sequence[tuple[Any, ...]]) -> str:
    """Return the line of a verbose plan that has the SELECT list."""
    return next(str(line) for (line,) in plan if str(line).lstrip().startswith("Output:"))
