"""Stop a run of `migrate` before its first statement if what it touches has drifted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration
from django.db.models.signals import pre_migrate

from ..drift.before_migrate import drift_of
from ..drift.reading import command
from ..drift.records import Unreadable
from .arguments import ExitCode

MAX_ROWS = 20  # that an error shows


@contextmanager
def refusing_drift(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Check the plan of the `migrate` that runs within the block, once, before its first statement."""
    is_checked = False

    def check(*, using: str, plan: Sequence[tuple[Migration, bool]], **_unused: Any) -> None:
        nonlocal is_checked
        if plan and using == connection.alias and not is_checked:
            is_checked = True
            require_no_drift(connection, plan)

    pre_migrate.connect(check, weak=False)
    try:
        yield
    finally:
        pre_migrate.disconnect(check)


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
