"""Sending a question, and quoting what is put into one."""

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# Double precision values are printed in full.
IN_FULL = "SET LOCAL extra_float_digits = 1"

# The planner takes a list of records for a hundred, which looks dear enough to be compiled, for seconds.
INTERPRETED = "SET LOCAL jit = off"


def query_rows(
    connection: BaseDatabaseWrapper, question: str, parameters: Sequence[Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows that answer the question."""
    with connection.cursor() as cursor:
        cursor.execute(question, parameters)
        return list(cursor.fetchall())


def query_rows_in_full(
    connection: BaseDatabaseWrapper, question: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return the rows that answer the question, where the session would round the doubles it prints."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_setting('extra_float_digits')")
        before = cursor.fetchone()[0]
        cursor.execute(IN_FULL)
        cursor.execute(question, parameters)
        rows = list(cursor.fetchall())
        cursor.execute(f"SET LOCAL extra_float_digits = {before}")
    return rows


def query_scripts(
    connection: BaseDatabaseWrapper, *scripts: Sequence[str]
) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each question in the scripts; one round trip, each script rolled back by itself."""
    opening, closing = "BEGIN READ WRITE", "ROLLBACK"
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
            cursor.execute(closing)
            raise
        while cursor.nextset():
            if cursor.description:
                answers.append(list(cursor.fetchall()))
    return answers


def compose(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> str:
    """Return the SQL with its parameters as literals, quoted by psycopg."""
    operations: Any = connection.ops  # PostgreSQL's have a method that the stubs' base class lacks
    return str(operations.compose_sql(sql, parameters))


def quoted(name: str) -> str:
    """Return the catalog's name as SQL."""
    return '"' + name.replace('"', '""') + '"'
