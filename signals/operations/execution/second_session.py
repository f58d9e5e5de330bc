"""Open second sessions on the database of a connection, to observe or cancel its statements."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .settings import OBSERVER_SETTINGS, change_settings


def cancel(connection: BaseDatabaseWrapper) -> None:
    """Ask the server to cancel the statement of the connection, from a thread that does not run it.

    Do nothing if the connection is closed, or if the request fails or takes longer than 5 seconds.
    """
    if connection.connection is not None:
        with suppress(_driver(connection).Error):
            connection.connection.cancel_safe(timeout=5)


def second_connection(connection: BaseDatabaseWrapper, **defaults: object) -> BaseDatabaseWrapper:
    """Return another connection to the same database, not opened yet.

    defaults: options for the driver, unless the project's OPTIONS have them. The connection is not taken
    from the pool of the process, because the first one may be the last that the pool has to give.
    """
    second = connection.copy()
    options = {**defaults, **second.settings_dict["OPTIONS"]}
    options.pop("pool", None)
    second.settings_dict |= {"AUTOCOMMIT": True, "OPTIONS": options}
    # No time of day is read over it, so Django need not send it a time zone.
    vars(second)["timezone_name"] = None
    return second


def is_open(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the idle session still exists, as far as this machine knows; send nothing.

    A server that ends a session sends a last message and closes the connection. The driver notices both when
    it reads.
    """
    driver: Any = connection.connection
    try:
        for _ in ("the last words of the server", "the end of the connection"):
            driver.pgconn.consume_input()
    except _driver(connection).Error:
        return False
    return not driver.closed


@contextmanager
def observer_session(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Yield a second connection for observing the first; close it in every case.

    Its short timeouts keep it from waiting for the locks that it asks about. Raise Django's database
    errors if it cannot be opened.
    """
    second = second_connection(connection, connect_timeout=5)
    try:
        with second.cursor():
            change_settings(second, OBSERVER_SETTINGS)
        yield second
    finally:
        second.close()


def _driver(connection: Any) -> Any:
    """Return the module of the driver, whose errors Django does not wrap where its cursors are passed by."""
    return connection.Database
