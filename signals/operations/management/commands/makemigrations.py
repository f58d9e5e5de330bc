"""manage.py makemigrations: Django's command, with an option that writes convergent operations."""

from argparse import BooleanOptionalAction
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import makemigrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from ...conversion.parts import plan_migrations, state_without
from ...conversion.writer import ConvergentWriter
from ...execution.policy import LockPolicy
from ..arguments import ExitCode, any_postgresql
from ..inheritance import next_command

if TYPE_CHECKING:
    from django.core.management.commands.makemigrations import Command as NextCommand
else:
    NextCommand = next_command("makemigrations")


class Command(NextCommand):
    connection: BaseDatabaseWrapper | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--convergent",
            action=BooleanOptionalAction,
            help="Write convergent operations, or Django's; without this option "
            "CONVERGENT_MIGRATIONS['CONVERT_NEW_MIGRATIONS'] decides.",
        )

    def handle(self, *app_labels: str, **options: Any) -> None:
        try:
            default = LockPolicy.from_settings().convert_new_migrations
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
        asked = options["convergent"]
        self.connection = any_postgresql() if (default if asked is None else asked) else None
        super().handle(*app_labels, **options)

    def write_migration_files(
        self, changes: Any, update_previous_migration_paths: dict[str, str] | None = None
    ) -> None:
        """Convert the operations of the migrations that are written, and of no others."""
        if self.connection is None:
            super().write_migration_files(changes, update_previous_migration_paths)
            return
        loader = MigrationLoader(None, ignore_no_migrations=True)
        updated = update_previous_migration_paths or {}
        state = state_without(loader, {(app, Path(path).stem) for app, path in updated.items()})
        planned = plan_migrations(changes, state, self.connection, self.migration_name)
        for app in updated:
            if len(planned.migrations[app]) > 1:
                raise CommandError(
                    f"the updated migration of {app} would have to be split in two, one of them with "
                    "atomic = False (write a new one, without --update)",
                    returncode=ExitCode.USAGE,
                )
        for line in planned.kept if self.verbosity else ():
            self.stderr.write(line, self.style.NOTICE)
        with _writer():
            super().write_migration_files(planned.migrations, update_previous_migration_paths)


@contextmanager
def _writer() -> Iterator[None]:
    """Make Django's command write with ConvergentWriter, within the block.

    The command takes its writer from a global of its module, so that is replaced.
    """
    module: Any = makemigrations
    former = module.MigrationWriter
    module.MigrationWriter = ConvergentWriter
    try:
        yield
    finally:
        module.MigrationWriter = former
