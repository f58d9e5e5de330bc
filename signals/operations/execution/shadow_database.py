"""An empty database that exists while a block runs, on the server of a connection."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, Error
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.databases import DatabaseFacts, unused_databases
from ..catalog.query import compose, quoted
from ..errors import sqlstate
from ..names import NAME
from .second_session import second_connection
from .settings import CLIENT_CHECK, NO_TIMEOUTS, change_settings

PREFIX_OF_SHADOWS = f"{NAME}_shadow_"
_PATTERN = f"^{re.escape(PREFIX_OF_SHADOWS)}[0-9a-f]{{12}}$"

# object_in_use: another session uses template0, or the database that is to be dropped
_IN_USE = "55006"
# The session may be one that only reads; what it reads from is not written to.
_WRITABLE = "SET default_transaction_read_only = off"

_TRIES = 20
_PAUSE = 0.25  # seconds


@contextmanager
def shadow_database(
    connection: BaseDatabaseWrapper, facts: DatabaseFacts, judged: str, path: str
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to a new database of the server, without timeouts; drop it in every case.

    Drop before what killed runs have left: databases of that name which no session uses. A database of a
    run that goes on has a session, and PostgreSQL drops none that is in use.

    facts: the encoding and locale to make it with. judged: a schema to make in it. path: its search_path.
    Raise DatabaseError if the role may not make it, or if it cannot be connected to.
    """
    session = second_connection(connection)
    try:
        _execute(session, _WRITABLE)
        drop_leftover_shadows(session)
        name, keeper = _make(session, facts)
        shadow = connected_to(session, name)
        try:
            _prepare(session, shadow, name, judged, path)
            yield shadow
        finally:
            shadow.close()
            keeper.close()
            _drop(session, name)
    finally:
        session.close()


def _drop(session: BaseDatabaseWrapper, name: str) -> None:
    """Drop the database, with the sessions in it if the role may end them; else wait until they have ended.

    A role that was set in a superuser's session may not end another such session.
    """
    for how in (" WITH (FORCE)", ""):
        with suppress(Error):
            _execute(session, f"DROP DATABASE IF EXISTS {quoted(name)}{how}")
            return


def drop_leftover_shadows(session: BaseDatabaseWrapper) -> list[str]:
    """Drop the shadows that killed runs have left; return their names."""
    dropped = []
    for name in unused_databases(session, _PATTERN):
        with suppress(Error):  # another run has dropped it, or uses it since
            _execute(session, f"DROP DATABASE {quoted(name)}")
            dropped.append(name)
    return dropped


def connected_to(connection: BaseDatabaseWrapper, name: str) -> BaseDatabaseWrapper:
    """Return a connection to another database of the server, not opened yet, whose sessions may write."""
    other = second_connection(connection)
    other.settings_dict["NAME"] = name
    del vars(other)["timezone_name"]  # migrations may write times of day
    begin = other.init_connection_state

    def begin_to_write() -> None:
        begin()
        driver: Any = other.connection
        with driver.cursor() as cursor:
            cursor.execute(_WRITABLE)

    vars(other)["init_connection_state"] = begin_to_write
    return other


def _make(session: BaseDatabaseWrapper, facts: DatabaseFacts) -> tuple[str, BaseDatabaseWrapper]:
    """Make the database; return its name, and a connection that shows other runs that it is in use.

    Between the two another run may take it for a leftover; then make another one.
    """
    clauses = " ".join(f"{word} {compose(session, '%s', [value])}" for word, value in facts.clauses)
    for tries in range(1, _TRIES + 1):
        name = PREFIX_OF_SHADOWS + secrets.token_hex(6)
        try:
            _execute(session, f"CREATE DATABASE {quoted(name)} TEMPLATE template0 {clauses}")
        except DatabaseError as error:
            if sqlstate(error) != _IN_USE or tries == _TRIES:
                raise
            time.sleep(_PAUSE)
            continue
        keeper = connected_to(session, name)
        try:
            keeper.ensure_connection()
        except BaseException:
            keeper.close()
            if not unused_databases(session, f"^{name}$") and tries < _TRIES:
                continue
            with suppress(Error):
                _execute(session, f"DROP DATABASE IF EXISTS {quoted(name)}")
            raise
        else:
            return name, keeper
    raise AssertionError("the last try raises")


def _prepare(
    session: BaseDatabaseWrapper,
    shadow: BaseDatabaseWrapper,
    name: str,
    judged: str,
    path: str,
) -> None:
    path = path or "''"
    _execute(session, f"ALTER DATABASE {quoted(name)} SET search_path TO {path}")
    _execute(shadow, f"CREATE SCHEMA IF NOT EXISTS {quoted(judged)}")
    _execute(shadow, f"SET search_path TO {path}")
    change_settings(shadow, {**NO_TIMEOUTS, **CLIENT_CHECK})


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
