"""Why an operation does not go on, or leaves something: said in words, before anything is changed."""

import logging
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import DatabaseError, NotSupportedError
from django.db.migrations.operations.base import Operation

from .catalog.tables import Column, Table
from .errors import (
    DifferentDefinition,
    Refused,
    StatementRefused,
    TableMissing,
    is_overtaken,
    one_line,
    sqlstate,
)
from .findings import Finding, Snapshot
from .names import MAX_NAME_BYTES, NAME
from .site import Site

logger = logging.getLogger(NAME)


# Classes of what PostgreSQL refuses whatever the rows: no such thing or not so, not supported, something
# depends on it, beyond a limit, not in this state, cancelled, read-only; what a trigger forbids, what an
# identity cannot be.
_REFUSALS = ("42", "0A", "2B", "54", "55000", "55006", "57014", "22023", "25006", "P0")

_Part = TypeVar("_Part")


def refuse_different(operation: Any, finding: Finding, migration: str = "") -> NoReturn:
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


def refuse_statement(operation: Operation, sql: str, error: DatabaseError) -> None:
    """Raise StatementRefused where PostgreSQL refuses the SQL whatever the rows."""
    state = sqlstate(error)
    if state.startswith(_REFUSALS) or is_overtaken(error):
        raise StatementRefused(operation.describe(), sql, state, one_line(error)) from error


def require_name(name: str) -> None:
    """PostgreSQL would cut the name, and then the one in the state would be another."""
    length = len(name.encode())
    if length > MAX_NAME_BYTES:
        raise ValueError(
            f"the name {name} is {length} bytes long, and PostgreSQL keeps {MAX_NAME_BYTES} (shorten it)"
        )


def require_rows(operation: Operation, site: Site, found: Table) -> None:
    """Refuses to decide by rows that row level security hides."""
    if found.hides_rows:
        raise Refused(
            operation.describe(),
            site.table,
            f"row level security hides rows of table {site.table} from the current role",
            "migrate as a role with BYPASSRLS, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY meanwhile",
        )


def declared_part(site: Site, name: str, declared: Iterable[Any], kind: type[_Part]) -> _Part:
    """The model's index or constraint of that name; raises ValueError where no such one is declared."""
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
    if on_different not in ("stop", "replace"):
        raise ValueError(f'on_different is {on_different!r} (use "stop" or "replace")')
    return on_different


def require_postgresql(connection: Any, operation: Operation) -> None:
    if connection.vendor != "postgresql":
        raise NotSupportedError(
            f"{operation.describe()}: {type(operation).__name__} needs PostgreSQL, and the database "
            f"{connection.alias!r} is {connection.display_name}"
        )


def require_table(operation: Operation, site: Site, snapshot: Snapshot) -> Table:
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
    """Says why backwards leaves something that it would otherwise drop."""
    logger.warning("%s, backwards: %s stays: %s", operation.describe(), what, reason)
