"""manage.py sqlmigrate: Django's command, which with --plain prints no checks around the statements."""

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import connections

from ...execution.run import run_of
from ..inheritance import next_command

if TYPE_CHECKING:
    from django.core.management.commands.sqlmigrate import Command as NextCommand
else:
    NextCommand = next_command("sqlmigrate")


class Command(NextCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--plain",
            action="store_true",
            help="Print what a database without any of it needs, for people and linters to read.",
        )

    def handle(self, *args: Any, **options: Any) -> Any:
        run = run_of(connections[options["database"]])
        before, run.prints_plain = run.prints_plain, options["plain"]
        try:
            return super().handle(*args, **options)
        finally:
            run.prints_plain = before
