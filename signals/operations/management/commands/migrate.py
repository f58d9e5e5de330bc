"""manage.py migrate: Django's command, one run at a time in each schema of a PostgreSQL database."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ...execution import migrators_lock
from ...execution.policy import LockPolicy
from ..arguments import ExitCode


class Command(migrate.Command):
    still_alone: Callable[[], None] | None = None

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's command under the migrators' lock.

        The command makes its plan once the lock is granted, so that it leaves out what another run applied.
        """
        try:
            LockPolicy.from_settings()
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
        connection = connections[options["database"]]
        only_looks = options["plan"] or options["check_unapplied"]
        with ExitStack() as stack:
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


def _enter(stack: ExitStack, connection: BaseDatabaseWrapper) -> Callable[[], None]:
    try:
        return stack.enter_context(migrators_lock.hold_migrators_lock(connection))
    except KeyboardInterrupt:  # while waiting for the lock; nothing was begun
        raise SystemExit(ExitCode.INTERRUPTED) from None
