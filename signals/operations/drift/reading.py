"""A survey for those who must not fail with it: what cannot be judged is said in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InvalidBasesError,
    NodeNotFoundError,
)

from ..execution.settings import with_lock_timeout
from .rows import Survey
from .survey import patient_survey, survey

_MISCONFIGURED = (
    BadMigrationError,
    CircularDependencyError,
    ImproperlyConfigured,
    InvalidBasesError,
    NodeNotFoundError,
)


class Unreadable(Exception):
    """A database that cannot be judged; is_misconfigured tells the project's fault from the server's."""

    def __init__(self, text: str, *, is_misconfigured: bool = False) -> None:
        super().__init__(text)
        self.is_misconfigured = is_misconfigured


def read(
    connection: BaseDatabaseWrapper,
    app_label: str | None = None,
    *,
    lock_timeout: float | None = None,
) -> Survey:
    """What the applied migrations declare, or those of one app, judged; changes nothing.

    Raises Unreadable in the place of what the server or the migrations raise. lock_timeout: in seconds,
    for those whom somebody waits for.
    """
    with errors_as_unreadable(connection.alias):
        if lock_timeout is None:
            return patient_survey(connection, app_label)
        with with_lock_timeout(connection, lock_timeout):
            return survey(connection, app_label)


@contextmanager
def errors_as_unreadable(alias: str) -> Iterator[None]:
    """Within it, Unreadable is raised in the place of what the server or the migrations raise."""
    try:
        yield
    except Error as error:
        what = f"the database {alias!r} cannot be read: {str(error).strip()}"
        raise Unreadable(what) from error
    except _MISCONFIGURED as error:
        raise Unreadable(str(error), is_misconfigured=True) from error


def command(alias: str) -> str:
    """How the survey of the database is shown on the command line."""
    place = "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
    return f"manage.py verify_schema{place}"
