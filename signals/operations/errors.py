"""The errors that stop a run: one root class, and subclasses with the facts as attributes."""

from collections.abc import Sequence

from django.core.management.base import CommandError
from django.db import InterfaceError, OperationalError

UNDEFINED_TABLE = "42P01"
REFUSAL = "22000"  # raised by a statement that looks at rows itself
TABLE_FILLED = "SO001"  # raised by a plan for an empty table that has got rows meanwhile

# A table, column or other object that is missing, or that exists already; a deadlock; a row of the catalog
# that another session changed at the same instant; a table that has got rows meanwhile.
_OVERTAKEN = (
    "XX000",
    UNDEFINED_TABLE,
    "42P07",
    "42703",
    "42701",
    "42704",
    "42710",
    "40P01",
    TABLE_FILLED,
)

_NAME_TAKEN = "42P07"


class ConvergenceError(CommandError):
    """Root of the errors raised here; as a CommandError it ends `migrate` with its text and no traceback."""


class DifferentDefinition(ConvergenceError):
    """A component of that name exists with another definition, or on another table; nothing was changed.

    Attributes: operation, migration (empty outside `migrate`), component (its kind), name, table, found and
    wanted (both as PostgreSQL prints them), fix (SQL, or advice where no SQL is safe).
    """

    def __init__(  # noqa: PLR0913 - each fact is one argument
        self,
        *,
        operation: str,
        migration: str,
        component: str,
        name: str,
        table: str,
        found: str,
        wanted: str,
        fix: str,
        replaceable: bool = False,
    ) -> None:
        self.operation = operation
        self.migration = migration
        self.component = component
        self.name = name
        self.table = table
        self.found = found
        self.wanted = wanted
        self.fix = fix
        origin = f"{migration}: {operation}" if migration else operation
        place = f" of table {table}" if table else ""
        super().__init__(
            f"{origin}: the {component} {name}{place} differs from its declaration; "
            f"nothing was changed.\n  found:  {found}\n  wanted: {wanted}\n  to fix: {fix}"
            + (
                '\n  or let this migration replace it: on_different="replace"'
                if replaceable
                else ""
            )
        )


class NotComparable(ConvergenceError):
    """The current role cannot compare a table with its declaration; nothing was changed.

    Attributes: operation, table, reason (PostgreSQL's message), fix (the right to grant, or advice).
    """

    def __init__(self, operation: str, table: str, reason: str, fix: str) -> None:
        self.operation = operation
        self.table = table
        self.reason = reason
        self.fix = fix
        super().__init__(
            f"{operation}: table {table} cannot be compared with its declaration: {reason}; "
            f"nothing was changed\n  to fix: {fix}"
        )


class NotConverged(ConvergenceError):
    """Every planned statement ran, and the catalog still lacks something.

    Attributes: operation, remaining (the SQL that would be sent next).
    """

    def __init__(self, operation: str, remaining: Sequence[str]) -> None:
        self.operation = operation
        self.remaining = tuple(remaining)
        super().__init__(
            f"{operation}: the catalog still lacks what was just built; another session changes it at "
            f"the same time, or an event trigger does. Still needed: {'; '.join(remaining)}"
        )


class NeedsAutocommit(ConvergenceError):
    """A statement cannot run, or must not wait, inside the transaction that is open.

    Attributes: operation, sql.
    """

    def __init__(self, operation: str, sql: str) -> None:
        self.operation = operation
        self.sql = sql
        super().__init__(
            f"{operation} cannot run inside a transaction (set atomic = False on the migration): {sql}"
        )


class LockWaitExceeded(ConvergenceError):
    """A lock was not granted within the bounded number of short tries; nothing was changed.

    Attributes: sql, table (empty if another operation sent the statement), blockers (one line for each
    session in the way).
    """

    def __init__(self, sql: str, table: str, blockers: Sequence[str], advice: str) -> None:
        self.sql = sql
        self.table = table
        self.blockers = tuple(blockers)
        who = (
            "".join(f"\n  blocked by {line}" for line in blockers)
            or "\n  blocked by nobody any more"
        )
        where = f" on table {table}" if table else ""
        super().__init__(f"no lock{where} for: {sql}{who}\n  to fix: {advice}")


class MigratorRunning(ConvergenceError):
    """Another run of `migrate` held the schema's lock for the whole waiting time; nothing was changed.

    Attributes: database, schema, holders (one line for each session that holds the lock).
    """

    def __init__(
        self, database: str, schema: str | None, holders: Sequence[str], waited: float
    ) -> None:
        self.database = database
        self.schema = schema
        self.holders = tuple(holders)
        who = "".join(f"\n  held by {line}" for line in holders) or "\n  held by nobody any more"
        super().__init__(
            f"another migrator is at work on database {database}, schema {schema}; waited {waited:g} s "
            f"for its lock, and nothing was changed{who}\n  to fix: run again when it is done, or end "
            "its session, which stops it before its next change: SELECT pg_catalog.pg_terminate_backend(pid)"
        )


class MigratorsLockLost(ConvergenceError):
    """The connection that held the migrators' lock has ended, so another migrator may be at work.

    What was done is kept, and the next run continues from there. Attributes: database, schema.
    """

    def __init__(self, database: str, schema: str | None) -> None:
        self.database = database
        self.schema = schema
        super().__init__(
            f"the connection that kept other migrators out of database {database}, schema {schema} has "
            "ended; stopped before the next change, because another migrator may be at work "
            "(run again; the next run continues from here)"
        )


class TableMissing(ConvergenceError):
    """The table that a component belongs to does not exist. Attributes: operation, table."""

    def __init__(self, operation: str, table: str) -> None:
        self.operation = operation
        self.table = table
        super().__init__(
            f"{operation}: table {table} does not exist on the search_path "
            "(create it by its own migration, or unapply that migration's --fake)"
        )


class Refused(ConvergenceError):
    """The request would lose data or rewrite a table, or it is impossible; it changed nothing.

    Attributes: operation, table, reason, fix, kept (what an earlier step may have changed).
    """

    def __init__(
        self, operation: str, table: str, reason: str, fix: str, kept: str = "nothing was changed"
    ) -> None:
        self.operation = operation
        self.table = table
        self.reason = reason
        self.fix = fix
        self.kept = kept
        super().__init__(f"{operation}: {reason}; {kept}. To fix: {fix}")


class RightsMissing(ConvergenceError):
    """The role lacks rights that the plan of a run needs; nothing was changed.

    Attributes: role, rights (for each what is not allowed, the first migration that needs it, and the SQL
    that allows it; the migration is empty for the records of migrations).
    """

    def __init__(self, role: str, rights: Sequence[tuple[str, str, str]]) -> None:
        self.role = role
        self.rights = tuple(rights)
        lines = [
            f"\n  {what}{f' ({migration})' if migration else ''}\n    to fix: {fix}"
            for what, migration, fix in rights
        ]
        super().__init__(
            f"nothing was changed: role {role} lacks rights that these migrations need:{''.join(lines)}"
        )


class StatementRefused(ConvergenceError):
    """PostgreSQL refuses a statement whatever the rows, as for a missing right or a dependent object.

    Attributes: operation, sql, sqlstate, reason (PostgreSQL's message, detail and hint).
    """

    def __init__(self, operation: str, sql: str, sqlstate: str, reason: str) -> None:
        self.operation = operation
        self.sql = sql
        self.sqlstate = sqlstate
        self.reason = reason
        fix = remedy(sqlstate) if sqlstate == QUERY_CANCELED else "change what it names"
        if sqlstate == _NAME_TAKEN:  # as by an index of a model that was renamed
            fix = "give the one that has the name another (ALTER INDEX ... RENAME TO ...)"
        super().__init__(
            f"{operation}: PostgreSQL refuses: {sql}\n  because: {reason}\n"
            f"  to fix: {fix}, and run again; the next run continues from here"
        )


class ServerFailed(ConvergenceError):
    """The server ended a statement or a session for a reason of its own, or the connection was lost.

    Attributes: what (the operation or migration), sqlstate (empty if the connection was lost), reason, kept.
    """

    def __init__(self, what: str, sqlstate: str, reason: str, kept: str) -> None:
        self.what = what
        self.sqlstate = sqlstate
        self.reason = reason
        self.kept = kept
        super().__init__(
            f"{what}: the server did not go on: {reason}\n  kept:   {kept}\n"
            f"  to fix: {remedy(sqlstate)}, and run migrate again"
        )


class RowsViolate(ConvergenceError):
    """PostgreSQL refused existing rows: a value does not convert, or refers to a row that does not exist.

    Attributes: sql, reason (PostgreSQL's message and detail), rows (a text that names them, if known).
    """

    def __init__(self, sql: str, reason: str, rows: str = "") -> None:
        self.sql = sql
        self.reason = reason
        self.rows = rows
        which = f"\n  rows:    {rows}" if rows else ""
        super().__init__(
            f"existing rows violate: {sql}\n  because: {reason}{which}\n"
            "  to fix: correct those rows, and run again; the next run continues from here"
        )


class RowsViolateCheck(RowsViolate):
    """Rows fail a check or are NULL; the constraint stays NOT VALID and is enforced for new rows.

    Attributes: those of RowsViolate, table, count (of rows, counted up to 1,000), key (the columns of the
    primary key), first (the values of that key in the first rows).
    """

    def __init__(  # noqa: PLR0913 - each fact is one argument
        self,
        sql: str,
        reason: str,
        *,
        rows: str,
        table: str,
        count: int,
        key: Sequence[str],
        first: Sequence[tuple[object, ...]],
    ) -> None:
        self.table = table
        self.count = count
        self.key = tuple(key)
        self.first = tuple(first)
        super().__init__(sql, reason, rows)


class DuplicateRows(RowsViolate):
    """Rows are not unique; the invalid index of the failed build was dropped.

    An invalid unique index would go on refusing new rows.

    Attributes: those of RowsViolate, table, key (the columns or expressions that should be unique), first
    (for each of the largest groups, the values of the key and the number of rows).
    """

    def __init__(  # noqa: PLR0913 - each fact is one argument
        self,
        sql: str,
        reason: str,
        *,
        rows: str,
        table: str,
        key: Sequence[str],
        first: Sequence[tuple[object, ...]],
    ) -> None:
        self.table = table
        self.key = tuple(key)
        self.first = tuple(first)
        super().__init__(sql, reason, rows)


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE of a Django database error, or an empty string.

    The code is the same whatever the language of the server's messages.
    """
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def one_line(error: BaseException) -> str:
    """Return PostgreSQL's message, detail and hint on one line."""
    return " ".join(str(error).split())


def is_overtaken(error: BaseException | None) -> bool:
    """Return whether another session may have done the step, or prevented it, since the catalog was read.

    Two sessions that create the same object at once violate a unique index of the catalog itself.
    """
    diagnosis = getattr(getattr(error, "__cause__", None), "diag", None)
    is_of_catalog = getattr(diagnosis, "schema_name", None) == "pg_catalog"
    return error is not None and (is_of_catalog or sqlstate(error) in _OVERTAKEN)


# What is to be done about a failure that no migration is the reason of, by the beginning of its SQLSTATE. An
# error without one is a connection that was lost, or was not to be had.
_REMEDIES = {
    "53100": "free disk space at the server",
    "53300": "end another session, or allow the server or the role more connections",
    "53": "give the server what it lacks",
    "57014": "let the role have more time (ALTER ROLE … SET statement_timeout), or ask who cancelled it",
    "57P05": "let sessions be idle for longer (idle_session_timeout)",
    "57": "wait until the server takes connections again",
    "58": "read the server's log",
    "25P03": "let transactions be idle for longer (idle_in_transaction_session_timeout)",
    "25P04": "let transactions take longer (transaction_timeout)",
    "08": "wait until the server can be reached, or correct DATABASES",
}


def is_failure_of_server(error: BaseException) -> bool:
    """Return whether no statement is the reason, but a full disk, a restart, a timeout or the like."""
    state = sqlstate(error)
    return state.startswith(tuple(_REMEDIES)) or (
        not state and isinstance(error, OperationalError | InterfaceError)
    )


def remedy(state: str) -> str:
    """Return what is to be done about a failure of the server with that SQLSTATE."""
    return next(
        (text for start, text in _REMEDIES.items() if state.startswith(start)), _REMEDIES["08"]
    )


def is_impossible(error: BaseException) -> bool:
    """Return whether PostgreSQL rejects a declaration as wrong, as unsupported, or for a value in it."""
    return sqlstate(error).startswith(("42", "0A", "22"))


LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
QUERY_CANCELED = "57014"  # by statement_timeout too
# "cache lookup failed": an object was dropped while the catalog was being read.
CATALOG_CHANGED = "XX000"
UNREADABLE = (LOCK_NOT_AVAILABLE, QUERY_CANCELED, CATALOG_CHANGED)
# Another transaction had locked or changed the rows; the statement may succeed when it is sent again.
ROWS_IN_THE_WAY = ("40001", DEADLOCK, LOCK_NOT_AVAILABLE)
INVALID_PARAMETER_VALUE = "22023"  # in a statement or a setting, not in a row
