"""manage.py migrate: Django's command, one run at a time in each schema of a PostgreSQL database."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.migration import Migration

from ...errors import (
    RightsMissing,
    ServerFailed,
    StatementRefused,
    is_failure_of_server,
    one_line,
    sqlstate,
)
from ...execution import migrators_lock
from ...execution.open_line import open_line
from ...execution.policy import CONTRACT, EXPAND, LockPolicy
from ...execution.run import run_of
from ...migrate.limited_migrations import limiting_every_statement
from ...migrate.rights import require_rights
from ...names import NAME
from ...refusals import require_driver
from ..arguments import ExitCode
from ..drift_refusal import require_no_drift
from ..inheritance import next_command
from ..phases import (
    add_phase_arguments,
    add_refusal_argument,
    chosen_phase,
    expanding,
    run_contract,
)
from ..plan_checks import PlanCheck, checking_plan

if TYPE_CHECKING:
    from django.core.management.commands.migrate import Command as NextCommand
else:
    NextCommand = next_command("migrate")

_FORBIDDEN = ("25006", "42501")  # a standby or a read-only role; a right that is missing
_NOT_SHOWN = "a statement of Django's own operations"


logger = logging.getLogger(NAME)


class Command(NextCommand):
    still_alone: Callable[[], None] | None = None
    running: Migration | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_phase_arguments(parser)
        add_refusal_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run Django's command, or the next app's, under the migrators' lock.

        Raise CommandError if the server fails.

        The command makes its plan once the lock is granted, so that it leaves out what another run applied.
        """
        try:
            self._run(*args, **options)
        except (MigrationSchemaMissing, Error) as error:
            words = self._in_words(connections[options["database"]], error)
            if words is None:
                raise
            raise words from error
        except ServerFailed as error:
            error.returncode = ExitCode.UNAVAILABLE
            raise
        except RightsMissing as error:
            error.returncode = ExitCode.CONFIGURATION
            raise

    def _run(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        try:
            policy = LockPolicy.from_settings()
            require_driver(connection)
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
        phase = chosen_phase(options, policy.phase)
        if phase == CONTRACT:
            self._contract(connection, options)
            return
        only_looks = options["plan"] or options["check_unapplied"]
        with ExitStack() as stack:
            logger.addFilter(open_line)
            stack.callback(logger.removeFilter, open_line)
            stack.callback(run_of(connection).end)  # also of a run that fails
            if connection.vendor == "postgresql" and not only_looks:
                self.still_alone = _enter(stack, connection)
                if not options["fake"]:
                    stack.enter_context(
                        checking_plan(connection, *_checks(connection, options, policy))
                    )
                    if phase == EXPAND:
                        stack.enter_context(expanding(connection, self.stderr))
                stack.enter_context(limiting_every_statement(connection))
            super().handle(*args, **options)

    def _contract(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        """Run the phase contract; do nothing in a database that is not PostgreSQL."""
        if connection.vendor != "postgresql":
            return
        with ExitStack() as stack:
            stack.callback(run_of(connection).end)
            if not options.get("dry_run"):
                _enter(stack, connection)
            run_contract(connection, options, self.stdout)

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        # Asked before each migration, because the lock ends with the connection that holds it.
        if self.still_alone and action in ("apply_start", "unapply_start"):
            self.still_alone()
        if action in ("apply_start", "unapply_start", "apply_success", "unapply_success"):
            self.running = migration if action.endswith("start") else None
        super().migration_progress_callback(action, migration, fake)
        if self.verbosity and action in ("apply_start", "unapply_start"):
            open_line.begin(self.stdout)
        elif self.verbosity:
            open_line.end()

    def _in_words(self, connection: BaseDatabaseWrapper, error: Exception) -> CommandError | None:
        """Return the error for people if the server or a right is its reason; None for one of a migration."""
        if isinstance(error, MigrationSchemaMissing):
            fix = "set the search_path, or GRANT CREATE ON SCHEMA … to the role"
            return CommandError(f"{error}; {fix}", returncode=ExitCode.CONFIGURATION)
        if sqlstate(error) in _FORBIDDEN:
            return StatementRefused(self._label, _NOT_SHOWN, sqlstate(error), one_line(error))
        if connection.vendor != "postgresql" or not is_failure_of_server(error):
            return None
        failed = ServerFailed(self._label, sqlstate(error), one_line(error), self._kept)
        failed.returncode = ExitCode.UNAVAILABLE
        return failed

    @property
    def _label(self) -> str:
        return f"{self.running.app_label}.{self.running.name}" if self.running else "migrate"

    @property
    def _kept(self) -> str:
        if self.running is None:
            return "the migrations that ran, which are recorded as applied"
        if self.running.atomic:
            return (
                "all migrations before this one; of this one nothing, because it is one transaction"
            )
        return (
            "all migrations before this one, and each of its statements that ended; convergent operations "
            "continue from there, others begin again"
        )


def _checks(
    connection: BaseDatabaseWrapper, options: dict[str, Any], policy: LockPolicy
) -> Iterator[PlanCheck]:
    """Yield the checks of the plan: those of the rights and, if asked for, of the drift."""

    def rights(plan: Any, apps: Any) -> None:
        require_rights(connection, plan, apps, fakes_initial=options["fake_initial"])

    def drift(plan: Any, _: Any) -> None:
        require_no_drift(connection, plan)

    yield rights
    if options.get("refuse_drift") or policy.refuse_drift:
        yield drift


def _enter(stack: ExitStack, connection: BaseDatabaseWrapper) -> Callable[[], None]:
    try:
        return stack.enter_context(migrators_lock.hold_migrators_lock(connection))
    except KeyboardInterrupt:  # while waiting for the lock; nothing was begun
        raise SystemExit(ExitCode.INTERRUPTED) from None
