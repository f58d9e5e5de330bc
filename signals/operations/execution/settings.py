"""Settings of a session: changed for as long as a step needs it, and put back in every case."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.query import query_rows, quoted
from ..catalog.schemas import search_path
from ..catalog.sessions import MARK
from ..errors import INVALID_PARAMETER_VALUE, QUERY_CANCELED, sqlstate

NO_TIMEOUTS = {"lock_timeout": "0", "statement_timeout": "0", "transaction_timeout": "0"}
# The server looks so often whether its client still lives, and else ends the statement.
CLIENT_CHECK = {"client_connection_check_interval": "5s"}
APPLICATION_NAME = {"application_name": MARK}
# What a session beside has: it waits for nobody either.
OBSERVER_SETTINGS = {
    "application_name": f"{MARK} observer",
    "lock_timeout": "100ms",
    "statement_timeout": "5s",
}

NO_TIMEOUTS_IN_TRANSACTION = {  # in which the transaction's own runs already
    name: value for name, value in NO_TIMEOUTS.items() if name != "transaction_timeout"
}

# The values before are read, all of them, before the first is changed.
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

_TIMEOUTS = """
SELECT t.name, pg_catalog.current_setting(t.name, true)
FROM pg_catalog.unnest(%s::pg_catalog.text[]) t (name)
WHERE pg_catalog.current_setting(t.name, true) <> '0'
"""

# By the driver's connection.
_pooled: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether a pooler stands in between, which makes up the number of the backend.

    What is set for a session would then stay with one that it gives to somebody else.
    """
    connection.ensure_connection()
    driver: Any = connection.connection
    if driver not in _pooled:
        ((pid,),) = query_rows(connection, "SELECT pg_catalog.pg_backend_pid()")
        _pooled[driver] = pid != driver.info.backend_pid
    return _pooled[driver]


def note_backend(connection: BaseDatabaseWrapper, pid: int) -> None:
    """Take in the number of the backend where it was asked for anyway, for `is_pooled`."""
    driver: Any = connection.connection
    _pooled.setdefault(driver, pid != driver.info.backend_pid)


def was_found_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Return whether `is_pooled` has said so of the open connection; asks nothing."""
    return _pooled.get(connection.connection, False)


def session_timeouts(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the timeouts that the session has, each as `name = value`."""
    found = query_rows(connection, _TIMEOUTS, [list(NO_TIMEOUTS)])
    return [f"{name} = {value}" for name, value in found]


@contextmanager
def read_committed(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """A transaction, or a savepoint; one of its own sees what was committed while it waited for a lock."""
    is_own = not connection.in_atomic_block
    with transaction.atomic(using=connection.alias):
        if is_own:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield


@contextmanager
def no_timeouts(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lifts the session's timeouts and puts each back to what it was, also after a failure."""
    is_within = connection.in_atomic_block
    if not is_within and is_pooled(connection):
        yield
        return
    with with_settings(connection, NO_TIMEOUTS_IN_TRANSACTION if is_within else NO_TIMEOUTS):
        yield


@contextmanager
def with_lock_timeout(connection: BaseDatabaseWrapper, lock_timeout: float) -> Iterator[None]:
    """Within it no statement waits longer for a lock; a session that a pooler shares stays as it is."""
    if not connection.in_atomic_block and is_pooled(connection):
        yield
        return
    with with_settings(connection, {"lock_timeout": str(round(lock_timeout * 1000))}):
        yield


def with_statement_timeout(
    connection: BaseDatabaseWrapper, limit: float, ask: Callable[[], int]
) -> int | None:
    """What it returns, in a transaction of its own; None where that takes longer than `limit` seconds."""
    try:
        with transaction.atomic(using=connection.alias):
            change_settings(connection, {"statement_timeout": str(round(limit * 1000))})
            return ask()
    except DatabaseError as error:
        if sqlstate(error) != QUERY_CANCELED:
            raise
    return None


@contextmanager
def in_schema(connection: BaseDatabaseWrapper, schema: str) -> Iterator[None]:
    """Puts the schema in front of the search_path, and the path back to what it was, also after a failure.

    A backend that gives each cursor its path, as that of django-tenants does, is told. Through a pooler,
    which would give the path to somebody else, all of it is one transaction.
    """
    if has_tenants(connection):
        backend: Any = connection
        tenant = backend.tenant
        backend.set_schema(schema)
        try:
            yield
        finally:
            backend.set_tenant(tenant)
        return
    is_shared = not connection.in_atomic_block and is_pooled(connection)
    with transaction.atomic(using=connection.alias) if is_shared else nullcontext():
        before = search_path(connection)
        with with_settings(connection, {"search_path": f"{quoted(schema)}, {before}".rstrip(", ")}):
            yield


def has_tenants(connection: BaseDatabaseWrapper) -> bool:
    """Whether the backend keeps a tenant, on whose schema its search_path and its routers depend."""
    return hasattr(connection, "set_schema") and hasattr(connection, "set_tenant")


@contextmanager
def with_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> Iterator[None]:
    """Changes settings and puts each back to what it was, also after a failure."""
    before = change_settings(connection, values)
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if is_done or (not connection.needs_rollback and connection.is_usable()):
            set_settings(connection, before)


def change_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> dict[str, str]:
    """Gives the settings the values, until the end of the transaction if one is open.

    Returns what was changed with the values before: an application_name is added to, an interval that
    is set already stays, and what this server does not know is left out.
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


def set_settings(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> None:
    if values:
        with connection.cursor() as cursor:
            cursor.execute(_SET, [connection.in_atomic_block, json.dumps(dict(values))])
