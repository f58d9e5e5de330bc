"""Raise or log, before anything is changed, why an operation stops or keeps something."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, Error, NotSupportedError
from django.db.migrations.operations.base import Operation

from .catalog.tables import Column, Table
from .errors import (
    DifferentDefinition,
    NotComparable,
    Refused,
    ServerFailed,
    StatementRefused,
    TableMissing,
    is_failure_of_server,
    is_overtaken,
    one_line,
    sqlstate,
)
from .findings import Finding, Snapshot, Status
from .names import IN_NAMES, MAX_NAME_BYTES, NAME, PACKAGE, is_cut, why_unusable
from .site import Site

logger = logging.getLogger(NAME)


# SQLSTATEs, or their first characters, of errors that do not depend on the rows: a wrong or missing object
# (42), not supported (0A), something depends on it (2B), beyond a limit (54), not in this state or in use
# (55), cancelled (57014), wrong for an identity (22023), read-only (25006), forbidden by a trigger (P0).
_REFUSALS = ("42", "0A", "2B", "54", "55000", "55006", "57014", "22023", "25006", "P0")

_Part = TypeVar("_Part")


@contextmanager
def failures_in_words(what: str, kept: str) -> Iterator[None]:
    """Raise ServerFailed, within the block, if the server or the connection to it fails.

    what: the operation or migration. kept: what stands then.
    """
    try:
        yield
    except Error as error:
        if not is_failure_of_server(error):
            raise
        raise ServerFailed(what, sqlstate(error), one_line(error), kept) from error


def refuse_different(operation: Any, finding: Finding, migration: str = "") -> NoReturn:
    """Raise DifferentDefinition with the facts of the finding."""
    raise DifferentDefinition(
        operation=operation.describe(),
        migration=migration,
        component=finding.component,
        name=finding.name,
        table=finding.table,
        found=finding.found,
        wanted=finding.wanted,
        fix=finding.fix,
        replaceable=finding.replaceable and bool(operation.on_different),
    )


def require_judged(operation: Operation, findings: Iterable[Finding]) -> None:
    """Raise NotComparable if a component could not be compared."""
    for each in findings:
        if each.status is Status.UNJUDGED:
            raise NotComparable(operation.describe(), each.table, each.note, each.fix)


def refuse_statement(operation: Operation, sql: str, error: DatabaseError) -> None:
    """Raise StatementRefused if PostgreSQL refuses the SQL whatever the rows."""
    state = sqlstate(error)
    if state.startswith(_REFUSALS) or is_overtaken(error):
        raise StatementRefused(operation.describe(), sql, state, one_line(error)) from error


def require_name(name: str) -> None:
    """Raise ValueError if Django or psql breaks at the name, or if it is too long for PostgreSQL.

    PostgreSQL would cut it, so that the state and the database would have different names.
    """
    reason = why_unusable(name, IN_NAMES)
    if reason:
        raise ValueError(f"the name {name!r} {reason} (choose another one)")
    if is_cut(name):
        length = len(name.encode())
        raise ValueError(
            f"the name {name} is {length} bytes long, and PostgreSQL keeps {MAX_NAME_BYTES} (shorten it)"
        )


def require_rows(operation: Operation, site: Site, found: Table) -> None:
    """Raise Refused if row level security hides rows, because the operation decides by the rows."""
    if found.hides_rows:
        raise Refused(
            operation.describe(),
            site.table,
            f"row level security hides rows of table {site.table} from the current role",
            "migrate as a role with BYPASSRLS, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY meanwhile",
        )


def declared_part(site: Site, name: str, declared: Iterable[Any], kind: type[_Part]) -> _Part:
    """Return the model's index or constraint of that name; raise ValueError unless it is of that kind."""
    parts = {each.name: each for each in declared}
    part, label = parts.get(name), site.model._meta.label
    if isinstance(part, kind):
        return part
    what = f"is a {type(part).__name__}" if part else "is not declared"
    raise ValueError(
        f"a {kind.__name__} is to be removed, and {name} of {label} {what} "
        "(correct the name or the operation)"
    )


def require_choice(on_different: str) -> str:
    """Return on_different; raise ValueError unless it is "stop" or "replace"."""
    if on_different not in ("stop", "replace"):
        raise ValueError(f'on_different is {on_different!r} (use "stop" or "replace")')
    return on_different


def require_driver(connection: Any) -> None:
    """Raise ImproperlyConfigured if Django talks to PostgreSQL by psycopg2."""
    if connection.vendor == "postgresql" and connection.Database.__name__ == "psycopg2":
        raise ImproperlyConfigured(
            f"Django talks to the database {connection.alias!r} by psycopg2, and {PACKAGE} needs psycopg 3 "
            '(pip install "psycopg[binary]"; Django then uses it for the whole project)'
        )


def require_postgresql(connection: Any, operation: Operation) -> None:
    """Raise NotSupportedError unless the connection is to PostgreSQL."""
    require_driver(connection)
    if connection.vendor != "postgresql":
        raise NotSupportedError(
            f"{operation.describe()}: {type(operation).__name__} needs PostgreSQL, and the database "
            f"{connection.alias!r} is {connection.display_name}"
        )


def require_table(operation: Operation, site: Site, snapshot: Snapshot) -> Table:
    """Return the table; raise TableMissing if there is none, and Refused if it is a view."""
    if snapshot.found is None:
        raise TableMissing(operation.describe(), site.table)
    if snapshot.found.kind == "v":
        raise Refused(
            operation.describe(),
            site.table,
            f"{site.table} is a view",
            "declare the model with managed = False, or let db_table name the table",
        )
    return snapshot.found


def require_column(
    operation: Operation, site: Site, snapshot: Snapshot, name: str
) -> tuple[Table, Column]:
    """Return the table and its column; raise Refused if the table lacks the column."""
    table = require_table(operation, site, snapshot)
    column = table.column(name)
    if column is None:
        raise Refused(
            operation.describe(),
            site.table,
            f"table {site.table} has no column {name}",
            "go back to before the migration that adds the column, and forward again",
        )
    return table, column


def keep(operation: Operation, what: str, reason: str) -> None:
    """Log why going backwards keeps something that it would otherwise drop."""
    logger.warning("%s, backwards: %s stays: %s", operation.describe(), what, reason)
