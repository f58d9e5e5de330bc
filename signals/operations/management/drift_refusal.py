"""Stop a run of `migrate` before its first statement if what it touches has drifted."""

from collections.abc import Sequence

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration

from ..drift.before_migrate import drift_of
from ..drift.reading import command
from ..drift.records import Unreadable
from .arguments import ExitCode

MAX_ROWS = 20  # that an error shows


def require_no_drift(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
) -> None:
    """Raise CommandError, with the rows, if a table that the plan touches is not as declared.

    Raise it also if a part of such a table cannot be judged, or the database cannot be read.
    """
    try:
        rows, unjudged = drift_of(connection, plan)
    except Unreadable as error:
        raise CommandError(str(error), returncode=ExitCode.UNAVAILABLE) from error
    lines = [f"{row.finding.status.value}: {row.finding.label} ({row.migration})" for row in rows]
    lines += [f"~ Not judged: {each}" for each in unjudged]
    if not lines:
        return
    more = len(lines) - MAX_ROWS
    shown = [f"  {line}" for line in lines[:MAX_ROWS]] + (
        [f"  and {more} more"] if more > 0 else []
    )
    text = "nothing was changed: tables that these migrations touch are not as the applied ones declare"
    fix = f"see {command(connection.alias)}, repair or accept the rows, and run again"
    code = ExitCode.FINDINGS if rows else ExitCode.UNAVAILABLE
    raise CommandError("\n".join([f"{text}:", *shown, f"  to fix: {fix}"]), returncode=code)
