"""Ask PostgreSQL for the definition that it would store: declare it on an empty copy of the table.

PostgreSQL rewrites what it stores (`IN (...)` becomes `= ANY (ARRAY[...])`), so SQL that Django made cannot
be compared with the catalog. The copy is temporary and always rolled back.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..errors import UNREADABLE, is_failure_of_server, is_impossible, one_line, sqlstate
from .contents import row_exists
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


# The statements of a script that return rows, of one column.
_QUESTIONS = ("SELECT ", "EXPLAIN ")

_ANSWER = "SELECT pg_catalog.current_setting('convergent_migrations.answer')"

_ASK = """lines := '[]';
FOR line IN EXECUTE %s LOOP lines := lines || pg_catalog.jsonb_build_array(line); END LOOP;
answers := answers || pg_catalog.jsonb_build_array(lines);"""

# A cancelled script is not caught: it ends them all.
_CATCH = """DECLARE
  line text; lines jsonb; answers jsonb := '[]'; state text; message text; detail text; hint text;
BEGIN
<steps>
PERFORM pg_catalog.set_config('convergent_migrations.answer', answers::text, true);
EXCEPTION WHEN OTHERS THEN
GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
  detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
PERFORM pg_catalog.set_config('convergent_migrations.answer', pg_catalog.jsonb_build_object('state', state,
  'text', pg_catalog.concat(message, E'\\nDETAIL:  ' || NULLIF(detail, ''),
    E'\\nHINT:  ' || NULLIF(hint, '')))::text, true);
END"""

_FILENODE = "SELECT pg_catalog.pg_relation_filenode(%s::pg_catalog.regclass)"


def probe_tables(
    connection: BaseDatabaseWrapper, probes: Sequence[Probe], name: str
) -> list[Table | DatabaseError | Obstacle]:
    """Return a copy of each table after the DDL ran on it, or why there is none.

    That is the error with which PostgreSQL refused the DDL as wrong, or an Obstacle that the DDL is not to
    blame for, such as a right that the role lacks.

    Make all copies in one round trip, whatever PostgreSQL refuses, and roll them back: that takes ACCESS
    SHARE on the tables, and leaves nothing, even if the run dies. name: the quoted name of the copies.
    """
    question = facts_of_one(connection, Question(name))
    scripts = [(probe, [*probe.ddl, question]) for probe in probes]
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
        scripts.append((probe, [*probe.ddl, *questions]))
    return [
        [_output_line(plan) for plan in plans] if isinstance(plans, list) else plans
        for plans in _run_on_copies(connection, name, scripts)
    ]


def rewrites_rows(
    connection: BaseDatabaseWrapper, found: Table, ddl: Sequence[str], name: str
) -> tuple[bool, bool]:
    """Return whether the DDL would rewrite the whole table, and whether the table has rows.

    Ask an empty copy, which gets a new file on disk where the table would, and look for a row, in one round
    trip. name: the quoted name of the copy. Raise DatabaseError if PostgreSQL refuses the DDL.
    """
    question = compose(connection, _FILENODE, [name])
    script = [f"SELECT {row_exists(found)}", question, *ddl, question]
    (answers,) = _run_on_copies(connection, name, [(Probe(found, ()), script)])
    if not isinstance(answers, list):
        raise answers.error if isinstance(answers, Obstacle) else answers
    ((is_filled,),), before, after = answers
    return before != after, bool(is_filled)


def _run_on_copies(
    connection: BaseDatabaseWrapper, name: str, scripts: Sequence[tuple[Probe, Sequence[str]]]
) -> list[list[list[tuple[Any, ...]]] | DatabaseError | Obstacle]:
    """Run each script on an empty copy of its table; return the rows of its questions, or why it failed.

    Raise DatabaseError for what may pass, such as a timeout.
    """
    texts = [_copy_script(name, probe, script) for probe, script in scripts]
    try:
        answers = _answers(connection, texts)
    except DatabaseError as error:
        if _may_pass(error):
            raise
        obstacle = _obstacle_to_all(connection, name)
        if obstacle is None and len(texts) > 1:
            raise
        return [obstacle or _why(error)] * len(texts)
    for answer in answers:
        if isinstance(answer, DatabaseError) and _may_pass(answer):
            raise answer
    found = [_why(each) if isinstance(each, DatabaseError) else each for each in answers]
    if any(isinstance(each, Obstacle) for each in found):
        obstacle = _obstacle_to_all(connection, name)
        found = [obstacle or each if isinstance(each, Obstacle) else each for each in found]
    return found


def _answers(
    connection: BaseDatabaseWrapper, texts: Sequence[Sequence[str]]
) -> list[list[list[tuple[Any, ...]]] | DatabaseError]:
    """Return the rows of each script's questions, or its error, in one round trip.

    Of several scripts each catches its error on the server, so that one that fails stops no other.
    """
    if not texts:
        return []
    if len(texts) == 1:
        return [query_scripts(connection, *texts, writing=True)]
    caught = ([_caught(connection, text), _ANSWER] for text in texts)
    answers = query_scripts(connection, *caught, writing=True)
    return [_parsed(connection, json.loads(text)) for ((text,),) in answers]


def _caught(connection: BaseDatabaseWrapper, script: Sequence[str]) -> str:
    """Return a statement that runs the script, and puts what it answers, or its error, into a setting."""
    steps = [
        compose(connection, _ASK if sql.startswith(_QUESTIONS) else "EXECUTE %s;", [sql])
        for sql in script
    ]
    return compose(connection, "DO %s", [_CATCH.replace("<steps>", "\n".join(steps))])


def _parsed(
    connection: BaseDatabaseWrapper, answer: Any
) -> list[list[tuple[Any, ...]]] | DatabaseError:
    if isinstance(answer, list):
        return [[(line,) for line in lines] for lines in answer]
    return _error(connection, answer["state"], answer["text"])


def _error(connection: Any, state: str, text: str) -> DatabaseError:
    """Return the error of Django that a statement with this SQLSTATE and text would have raised."""
    driver = connection.Database
    try:
        kind = driver.errors.lookup(state)
    except KeyError:  # of a trigger, which may take any
        kind = driver.errors.lookup("P0001")
    cause = kind(text)
    cause.sqlstate = state
    try:
        with connection.wrap_database_errors:
            raise cause
    except DatabaseError as error:
        return error


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
