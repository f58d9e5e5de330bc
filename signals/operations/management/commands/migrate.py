"""manage.py migrate: Django's command, one run at a time in each schema of a PostgreSQL database."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ...execution import migrators_lock
from ...execution.open_line import open_line
from ...execution.policy import LockPolicy
from ...names import NAME
from ...refusals import require_driver
from ..arguments import ExitCode
from ..inheritance import next_command

if TYPE_CHECKING:
    from django.core.management.commands.migrate import Command as NextCommand
else:
    NextCommand = next_command("migrate")


logger = logging.getLogger(NAME)


class Command(NextCommand):
    still_alone: Callable[[], None] | None = None

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's command, or the next app's, under the migrators' lock.

        The command makes its plan once the lock is granted, so that it leaves out what another run applied.
        """
        connection = connections[options["database"]]
        try:
            LockPolicy.from_settings()
            require_driver(connection)
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
        only_looks = options["plan"] or options["check_unapplied"]
        with ExitStack() as stack:
            logger.addFilter(open_line)
            stack.callback(logger.removeFilter, open_line)
            if connection.vendor == "postgresql" and not only_looks:
                self.still_alone = _enter(stack, connection)
            super().handle(*args, **options)

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        # Asked before each migration, because the lock ends with the connection that holds it.
        if self.still_alone and action in ("apply_start", "unapply_start"):
            self.still_alone()
        super().migration_progress_callback(action, migration, fake)
        if self.verbosity and action in ("apply_start", "unapply_start"):
            open_line.begin(self.stdout)
        elif self.verbosity:
            open_line.end()


def _enter(stack: ExitStack, connection: BaseDatabaseWrapper) -> Callable[[], None]:
    try:
        return stack.enter_context(migrators_lock.hold_migrators_lock(connection))
    except KeyboardInterrupt:  # while waiting for the lock; nothing was begun
        raise SystemExit(ExitCode.INTERRUPTED) from None
