"""Read a survey for the admin page and the checks, with what the shadow shows if its replay is kept."""

from functools import partial

from django.db.backends.base.base import BaseDatabaseWrapper

from ..drift.reading import errors_as_unreadable, read_survey
from ..drift.rows import Survey
from ..execution.policy import LockPolicy
from .judging import ShadowRequest, judged_by_shadow, kept_replay, of_app


def read_survey_and_shadow(
    connection: BaseDatabaseWrapper,
    app_label: str | None = None,
    *,
    lock_timeout: float | None = None,
) -> Survey:
    """Return `read_survey`, with rows for what only the shadow shows, if the setting SHADOW asks for it.

    Replay nothing: without a replay that `verify_schema --shadow` has kept the survey is the ordinary one.
    """
    with errors_as_unreadable(connection.alias):
        if not is_asked_for():
            return read_survey(connection, app_label, lock_timeout=lock_timeout)
        judge = partial(_with_kept_replay, connection, app_label)
        found = read_survey(connection, lock_timeout=lock_timeout, then=judge)
        if app_label is None or found.has_shadow:
            return found
        return read_survey(connection, app_label, lock_timeout=lock_timeout)


def is_asked_for() -> bool:
    """Return whether the setting SHADOW asks for what the shadow shows."""
    return LockPolicy.from_settings().shadow


def _with_kept_replay(
    connection: BaseDatabaseWrapper, app_label: str | None, found: Survey
) -> Survey:
    request = ShadowRequest()
    shadow = kept_replay(connection, request)
    if shadow is None:
        return found
    judged = judged_by_shadow(connection, found, shadow, request)
    return judged if app_label is None else of_app(judged, app_label, shadow)
