"""Read a survey for callers that report what prevents it instead of failing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InvalidBasesError,
    NodeNotFoundError,
)

from ..catalog.sessions import read_blockers
from ..errors import (
    LOCK_NOT_AVAILABLE,
    Refused,
    StatementRefused,
    is_failure_of_server,
    remedy,
    sqlstate,
)
from ..execution.policy import LockPolicy
from ..execution.settings import with_lock_timeout
from ..refusals import require_driver
from .one_migration import Report
from .records import NothingRecorded, Unreadable
from .rows import Survey
from .schemas import Schemas
from .survey import survey, survey_with_retry

AnySurvey = TypeVar("AnySurvey", Survey, Schemas, Report)

_MISCONFIGURED = (
    BadMigrationError,
    CircularDependencyError,
    ImproperlyConfigured,
    InvalidBasesError,
    NodeNotFoundError,
)


def read_survey(
    connection: BaseDatabaseWrapper,
    app_label: str | None = None,
    *,
    lock_timeout: float | None = None,
    then: Callable[[Survey], Survey] = lambda found: found,
) -> Survey:
    """Return the survey of what the applied migrations declare, or those of one app; change nothing.

    lock_timeout: in seconds, for a caller that somebody is waiting for; the survey is then tried once only.
    then: is given the survey, and returns the one that is to be returned.

    Raise Unreadable for an error of the server or of the migrations, and NothingRecorded if none is recorded
    as applied.
    """
    with errors_as_unreadable(connection.alias):
        require_driver(connection)
        if lock_timeout is None:
            return then(require_records(survey_with_retry(connection, app_label)))
        with with_lock_timeout(connection, lock_timeout):
            return then(require_records(survey(connection, app_label)))


def require_records(found: AnySurvey) -> AnySurvey:
    """Return the survey; raise NothingRecorded if it saw nothing, because no migration is recorded."""
    if found.unseen:
        raise NothingRecorded(found.unseen)
    return found


@contextmanager
def errors_as_unreadable(alias: str) -> Iterator[None]:
    """Raise Unreadable, within the block, for an error of the server or of the migrations."""
    try:
        yield
    except (Error, Refused, StatementRefused) as error:
        what = f"the database {alias!r} cannot be read: {str(error).strip()}"
        fix = _fix(error)
        what += f" ({fix})" if is_failure_of_server(error) else ""
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            blockers = read_blockers(connections[alias], LockPolicy.from_settings().queries)
            what += "".join(f"\n  blocked by {each}" for each in blockers)
        raise Unreadable(what, fix=fix) from error
    except _MISCONFIGURED as error:
        fix = "correct the migrations or the settings, and run again"
        raise Unreadable(str(error), fix=fix, is_misconfigured=True) from error


def _fix(error: Exception) -> str:
    """Return what to do about an error of the server."""
    state = sqlstate(error)
    if state == LOCK_NOT_AVAILABLE:
        return "wait for the session that has locked a table, or end it, and run again"
    if is_failure_of_server(error):
        return f"{remedy(state)}, and run again"
    if state == "42501":  # insufficient_privilege
        return "grant the role the right that PostgreSQL names, and run again"
    return "do what the message says, and run again"


def command(alias: str) -> str:
    """Return the command line that shows the survey of the database."""
    place = "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
    return f"manage.py verify_schema{place}"
