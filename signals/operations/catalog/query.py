"""Send questions to the server, and quote the names and values in them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from django.db import DatabaseError, Error, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..names import NAME

# Print double precision values in full. With a value below 1 PostgreSQL rounds them, and a default that is
# read from the catalog would not be the one that is stored.
IN_FULL = "SET LOCAL extra_float_digits = 1"

# The planner estimates a hundred rows for jsonb_to_recordset(), whatever the number. That makes the question
# look expensive enough for JIT compilation, which takes seconds.
INTERPRETED = "SET LOCAL jit = off"


# A setting of the session that says which transaction of a text was committed last.
_COMMITTED = f"{NAME}.committed"

# Columns of the catalog that newer versions have, with their value in older ones.
_SINCE = {
    "indnullsnotdistinct": (150_000, "i.indnullsnotdistinct", "false"),
    "conenforced": (180_000, "k.conenforced", "true"),
    "lastscan": (160_000, "pg_catalog.pg_stat_get_lastscan(i.indexrelid)", "NULL::timestamptz"),
    "datcollversion": (150_000, "d.datcollversion", "NULL::text"),
    "datcollactual": (
        150_000,
        "pg_catalog.pg_database_collation_actual_version(d.oid)",
        "NULL::text",
    ),
}


def for_server(connection: BaseDatabaseWrapper, sql: str) -> str:
    """Return the SQL with a column, or its value before there was one, in the place of each <column>."""
    version = connection.pg_version  # type: ignore[attr-defined] # PostgreSQL's alone
    for name, (since, column, before) in _SINCE.items():
        sql = sql.replace(f"<{name}>", column if version >= since else before)
    return sql


def query_rows(
    connection: BaseDatabaseWrapper, question: str, parameters: Sequence[Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows that answer the question.

    Without parameters psycopg leaves a % in the SQL as it is; with some it has to be doubled.
    """
    with connection.cursor() as cursor:
        cursor.execute(question, parameters)
        return list(cursor.fetchall())


def query_rows_in_full(
    connection: BaseDatabaseWrapper, question: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return the rows that answer the question, with double precision values printed in full.

    The setting goes back to what it was, also within the caller's transaction, which may go on.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_setting('extra_float_digits')")
        before = cursor.fetchone()[0]
        cursor.execute(IN_FULL)
        cursor.execute(question, parameters)
        rows = list(cursor.fetchall())
        cursor.execute(f"SET LOCAL extra_float_digits = {before}")
    return rows


def query_scripts(
    connection: BaseDatabaseWrapper, *scripts: Sequence[str], writing: bool = False
) -> list[list[tuple[Any, ...]]]:
    """Run the scripts and roll back each; return the rows of every statement in them that returns any.

    Send all scripts as one text, without parameters, in one round trip. Each script has a transaction of its
    own, or a savepoint if a transaction is open. Raise the DatabaseError of the first statement that fails;
    the statements after it do not run.

    writing: whether the scripts make something, also in a session that is read-only by default.
    """
    opening, closing = "BEGIN READ WRITE" if writing else "BEGIN", "ROLLBACK"
    if connection.in_atomic_block:
        opening = "SAVEPOINT convergent_migrations_probe"
        closing = (
            "ROLLBACK TO SAVEPOINT convergent_migrations_probe; "
            "RELEASE SAVEPOINT convergent_migrations_probe"
        )
    text = ";\n".join(sql for script in scripts for sql in (opening, *script, closing))
    answers = []
    with connection.cursor() as cursor:
        try:
            cursor.execute(text)
        except DatabaseError:
            # The server skipped the rest of the text, the end of this script included.
            cursor.execute(closing)
            raise
        while cursor.nextset():
            if cursor.description:
                answers.append(list(cursor.fetchall()))
    return answers


def execute_in_transaction(
    connection: BaseDatabaseWrapper,
    statement: str,
    preparation: str,
    *,
    title: str,
    question: str = "",
) -> list[tuple[Any, ...]]:
    """Execute the preparation and the statement in a READ COMMITTED transaction; none may be open before.

    In READ COMMITTED the statement sees what others committed while it waited for its lock. All is sent as
    one text, in one round trip, with COMMIT, so that the lock is not held during another one. The title
    stands in front as a comment, because pg_stat_activity shows the beginning of the text. Raise
    DatabaseError if the statement fails; nothing of it remains then.

    question: a SELECT to be answered after COMMIT. Return its rows; none if it fails.
    """
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    mark, token = "", uuid4().hex
    if question:  # of an error behind COMMIT and one of COMMIT, only the first leaves the setting
        mark = f"SELECT pg_catalog.set_config('{_COMMITTED}', '{token}', false);"
    text = f"-- {title}\n{begin};\n{preparation};\n{statement}\n;{mark}COMMIT;\n{question}"
    with connection.cursor() as cursor:
        try:
            cursor.execute(text)
        except BaseException as error:
            with suppress(Error):  # the connection may be lost
                cursor.execute("ROLLBACK")
                if question and isinstance(error, DatabaseError):
                    cursor.execute("SELECT pg_catalog.current_setting(%s, true)", [_COMMITTED])
                    if cursor.fetchone() == (token,):
                        return []
            raise
        return _last_rows(cursor)


def execute_in_savepoint(  # noqa: PLR0913 - the parts of one text
    connection: BaseDatabaseWrapper,
    statement: str,
    preparation: str,
    ending: str,
    *,
    title: str,
    question: str = "",
) -> list[tuple[Any, ...]]:
    """Execute the preparation, the statement and the ending in a savepoint of the open transaction.

    All is sent as one text, as by `execute_in_transaction`. Raise DatabaseError if one of them fails; nothing
    of them remains then, and the transaction goes on.

    question: a SELECT to be answered after them. Return its rows.
    """
    name = "convergent_migrations_step"
    text = f"{preparation};\n{statement}\n;{ending};\nRELEASE SAVEPOINT {name};\n{question}"
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"-- {title}\nSAVEPOINT {name};\n{text}")
        except DatabaseError:
            with suppress(Error):  # the connection may be lost
                cursor.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        return _last_rows(cursor)


def _last_rows(cursor: Any) -> list[tuple[Any, ...]]:
    """Return the rows of the last statement of a text; none if it returns none."""
    while cursor.nextset():
        pass
    return list(cursor.fetchall()) if cursor.description else []


def compose(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> str:
    """Return the SQL with its parameters as literals, quoted by psycopg."""
    operations: Any = connection.ops  # PostgreSQL's have a method that the stubs' base class lacks
    return str(operations.compose_sql(sql, parameters))


def quoted(name: str) -> str:
    """Return the name as a quoted identifier.

    Django's quote_name() leaves a name as it is that begins and ends with a quotation mark. A name from the
    catalog may do so, and has to be quoted all the same.
    """
    return '"' + name.replace('"', '""') + '"'
