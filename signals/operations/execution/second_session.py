"""A second session on the same database, beside the one that migrates."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Error

from .settings import OBSERVER_SETTINGS, change_settings


def cancel(connection: BaseDatabaseWrapper) -> None:
    """Asks the server to end what the connection waits for, if it does; from another thread."""
    if connection.connection is not None:
        with suppress(Error):
            connection.connection.cancel_safe(timeout=5)


def second_connection(connection: BaseDatabaseWrapper, **defaults: object) -> BaseDatabaseWrapper:
    """A second session with the same settings, not opened yet; defaults: of the driver's options.

    It takes none from a pool of the process, whose last one may be the first session.
    """
    second = connection.copy()
    options = {**defaults, **second.settings_dict["OPTIONS"]}
    options.pop("pool", None)
    second.settings_dict |= {"AUTOCOMMIT": True, "OPTIONS": options}
    return second


@contextmanager
def observer_session(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Asks over a second connection to the same database, which is closed in every case."""
    second = second_connection(connection, connect_timeout=5)
    try:
        with second.cursor():
            change_settings(second, OBSERVER_SETTINGS)
        yield second
    finally:
        second.close()
