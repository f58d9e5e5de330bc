"""Change settings of a session while a step needs them, and restore them in every case."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.query import compose, query_rows, quoted
from ..catalog.records import Standing
from ..catalog.schemas import search_path
from ..catalog.sessions import MARK
from ..errors import INVALID_PARAMETER_VALUE, QUERY_CANCELED, sqlstate
from .limits import milliseconds
from .policy import LockPolicy
from .run import run_of

NO_TIMEOUTS = {"lock_timeout": "0", "statement_timeout": "0", "transaction_timeout": "0"}
# How often the server checks, during a statement, whether its client still exists. If the client was killed,
# the server ends the statement; otherwise it would finish a build that nobody waits for.
CLIENT_CHECK = {"client_connection_check_interval": "5s"}
APPLICATION_NAME = {"application_name": MARK}
# For a session that observes another one: short timeouts keep it from waiting for the locks that it reports.
OBSERVER_SETTINGS = {
    "application_name": f"{MARK} observer",
    "lock_timeout": "100ms",
    "statement_timeout": "5s",
}

NO_TIMEOUTS_IN_TRANSACTION = {  # transaction_timeout runs already
    name: value for name, value in NO_TIMEOUTS.items() if name != "transaction_timeout"
}

# MATERIALIZED reads the previous values of all settings before the first is changed. The application_name is
# appended to, within the 63 characters that PostgreSQL keeps. A client_connection_check_interval that is set
# already stays. A setting that this server does not know has no previous value, and is left out.
_CHANGE = """
WITH wanted (name, before, value) AS MATERIALIZED (
  SELECT w.name, s.before, CASE w.name WHEN 'application_name'
      THEN pg_catalog.left(s.before, 63 - pg_catalog.length(w.value)) || w.value ELSE w.value END
  FROM pg_catalog.json_each_text(%s::pg_catalog.json) w (name, value)
  CROSS JOIN LATERAL (SELECT pg_catalog.current_setting(w.name, true)) s (before))
SELECT name, before, pg_catalog.set_config(name, value, %s) FROM wanted
WHERE before <> value AND (name <> 'client_connection_check_interval' OR before = '0')
"""

_SET = """
SELECT pg_catalog.set_config(w.name, w.value, %s)
FROM pg_catalog.json_each_text(%s::pg_catalog.json) w (name, value)
"""

# Changes that the same text takes back: a setting of the transaction keeps the previous values meanwhile.
_CHANGE_AND_NOTE = f"""
SELECT pg_catalog.set_config('convergent_migrations.before', COALESCE((
  SELECT pg_catalog.json_object_agg(c.name, c.before) FILTER (WHERE c.set_config IS NOT NULL)
  FROM ({_CHANGE}) c)::pg_catalog.text, '{{}}'), true)
"""  # noqa: S608 - a constant

_SET_AS_NOTED = """
SELECT pg_catalog.set_config(w.name, w.value, true) FROM pg_catalog.json_each_text(
  pg_catalog.current_setting('convergent_migrations.before')::pg_catalog.json) w (name, value)
"""

_TIMEOUTS = """
SELECT t.name, pg_catalog.current_setting(t.name, true)
FROM pg_catalog.unnest(%s::pg_catalog.text[]) t (name)
WHERE pg_catalog.current_setting(t.name, true) <> '0'
"""

# The pids that the server reported, by the driver's connection.
_backends: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the connection goes through a pooler, such as PgBouncer.

    A pooler invents the pid that it reports to the client, so that pid is not the backend's.
    """
    connection.ensure_connection()
    driver: Any = connection.connection
    if driver not in _backends:
        ((_backends[driver],),) = query_rows(connection, "SELECT pg_catalog.pg_backend_pid()")
    return bool(_backends[driver] != driver.info.backend_pid)


def is_shared(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a pooler may give the session to another client between two transactions.

    Settings of the session must then not be changed, because the other client would get them too. Nothing
    tells a pooler of transactions from one of sessions, except the setting SESSION_POOLER.
    """
    return is_pooled(connection) and not LockPolicy.from_settings().session_pooler


def note_backend(connection: BaseDatabaseWrapper, pid: int) -> None:
    """Store the pid that the server reported in another query, so that `is_pooled` sends none of its own."""
    driver: Any = connection.connection
    _backends.setdefault(driver, pid)


def known_backend(connection: BaseDatabaseWrapper) -> int | None:
    """Return the pid of the open connection's backend; None if a pooler may have given it to another client.

    Query nothing, so that another thread can call this while the connection is busy.
    """
    driver: Any = connection.connection
    if driver is None:
        return None
    reported = int(driver.info.backend_pid)
    pid = _backends.get(driver, reported)
    return pid if pid == reported or LockPolicy.from_settings().session_pooler else None


def session_timeouts(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the timeouts that the session has, of those in NO_TIMEOUTS, each as `name = value`."""
    found = query_rows(connection, _TIMEOUTS, [list(NO_TIMEOUTS)])
    return [f"{name} = {value}" for name, value in found]


@contextmanager
def read_committed(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Run the block in a READ COMMITTED transaction, or in a savepoint of the open transaction.

    In READ COMMITTED a statement sees what others committed while it waited for its lock. An open transaction
    keeps its isolation level, which cannot be changed any more.
    """
    is_own = not connection.in_atomic_block
    with transaction.atomic(using=connection.alias):
        if is_own:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield


@contextmanager
def no_timeouts(connection: BaseDatabaseWrapper, *kept: str) -> Iterator[None]:
    """Run the block without the session's timeouts; put each back to what it was, also after a failure.

    kept: the names of timeouts that stay. Outside a transaction, a session that a pooler shares keeps all.
    """
    is_within = connection.in_atomic_block
    if not is_within and is_shared(connection):
        yield
        return
    lifted = NO_TIMEOUTS_IN_TRANSACTION if is_within else NO_TIMEOUTS
    with with_settings(connection, {name: lifted[name] for name in lifted if name not in kept}):
        yield


@contextmanager
def with_lock_timeout(connection: BaseDatabaseWrapper, lock_timeout: float) -> Iterator[None]:
    """Run the block with the lock_timeout, in seconds; put it back to what it was, also after a failure.

    Outside a transaction, a session that a pooler shares keeps its own.
    """
    if not connection.in_atomic_block and is_shared(connection):
        yield
        return
    with with_settings(connection, {"lock_timeout": str(milliseconds(lock_timeout))}):
        yield


def with_statement_timeout(
    connection: BaseDatabaseWrapper, limit: float, ask: Callable[[], int]
) -> int | None:
    """Return ask(), or None if it takes longer than `limit` seconds.

    Not for use in an open transaction: the timeout is SET LOCAL, which ends with a transaction, but not
    with a savepoint that is released.
    """
    try:
        with transaction.atomic(using=connection.alias):
            change_settings(connection, {"statement_timeout": str(milliseconds(limit))})
            return ask()
    except DatabaseError as error:
        if sqlstate(error) != QUERY_CANCELED:
            raise
    return None


@contextmanager
def in_schema(connection: BaseDatabaseWrapper, schema: str) -> Iterator[None]:
    """Run the block with the schema in front of the search_path; put the path back, also after a failure.

    With a backend like that of django-tenants, which sets the path for each cursor, change its tenant
    instead. Through a pooler, which would give the session with that path to other clients, run the block in
    a transaction.
    """
    with naming_schemas(connection), _with_schema_in_front(connection, schema):
        yield


@contextmanager
def naming_schemas(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Run the block in schemas that were named; no table further back on the search_path is theirs."""
    run = run_of(connection)
    before, run.names_schema = run.names_schema, True
    try:
        yield
    finally:
        run.names_schema = before


def is_schema_named(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the session works in a schema that was named, as by --schema or as the tenant."""
    return has_tenants(connection) or run_of(connection).names_schema


def is_own(connection: BaseDatabaseWrapper, standing: Standing) -> bool:
    """Return whether a table or type that stands so is the one that the migrations of the session declare.

    It is further back on the search_path if the migrations are recorded there too and no schema was named.
    """
    if standing is Standing.RECORDED:
        return not is_schema_named(connection)
    return standing is Standing.CURRENT


@contextmanager
def _with_schema_in_front(connection: BaseDatabaseWrapper, schema: str) -> Iterator[None]:
    if has_tenants(connection):
        backend: Any = connection
        tenant = backend.tenant
        backend.set_schema(schema)
        try:
            yield
        finally:
            backend.set_tenant(tenant)
        return
    needs_transaction = not connection.in_atomic_block and is_shared(connection)
    with transaction.atomic(using=connection.alias) if needs_transaction else nullcontext():
        before = search_path(connection)
        with with_settings(connection, {"search_path": f"{quoted(schema)}, {before}".rstrip(", ")}):
            yield


def has_tenants(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the backend is one like that of django-tenants, which keeps a current tenant.

    Its search_path and its routers depend on the schema of that tenant.
    """
    return hasattr(connection, "set_schema") and hasattr(connection, "set_tenant")


@contextmanager
def with_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> Iterator[None]:
    """Run the block with the settings; put each back to what it was, also after a failure."""
    before = change_settings(connection, values)
    is_done = False
    try:
        yield
        is_done = True
    finally:
        # A failed transaction takes no statement, and its rollback undoes the settings.
        if is_done or (not connection.needs_rollback and connection.is_usable()):
            set_settings(connection, before)


def change_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> dict[str, str]:
    """Change the settings, in a transaction until its end; return the previous values of those changed.

    Append to an application_name, keep a client_connection_check_interval that is set already, and leave
    out settings that this server does not know.

    PostgreSQL refuses that interval on platforms on which it cannot check its clients. Leave it out there
    too, but in a transaction raise DatabaseError, because the refusal has ended the transaction.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_CHANGE, [json.dumps(dict(values)), connection.in_atomic_block])
            return {name: before for name, before, _ in cursor.fetchall()}
    except DatabaseError as error:
        can_do_without = CLIENT_CHECK.keys() & values.keys() and not connection.in_atomic_block
        if sqlstate(error) != INVALID_PARAMETER_VALUE or not can_do_without:
            raise
    return change_settings(
        connection, {name: values[name] for name in values if name not in CLIENT_CHECK}
    )


def local_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> str:
    """Return a SELECT that changes the settings until the end of a transaction, as `change_settings` does."""
    return compose(connection, _CHANGE, [json.dumps(dict(values)), True])


def passing_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> tuple[str, str]:
    """Return a SELECT that changes the settings in the open transaction, and one that puts them back."""
    return compose(connection, _CHANGE_AND_NOTE, [json.dumps(dict(values)), True]), _SET_AS_NOTED


def set_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> None:
    """Set the settings to exactly these values, in a transaction until its end."""
    if values:
        with connection.cursor() as cursor:
            cursor.execute(_SET, [connection.in_atomic_block, json.dumps(dict(values))])
