"""manage.py signals_prune: remove or archive old verdicts, runs and actions."""

import json
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from signals.management.arguments import ExitCode, errors_as_exit_codes, say, whole_number
from signals.verification.schema import require_migrations
from signals.verification.settings import MAX_DAYS, Settings
from signals.verification.upkeep.retention import prune


class Command(BaseCommand):
    """Exit with 0, or with 2 usage, 3 configuration, 4 no database or no archive."""

    help = (
        "Remove old verdicts, runs and actions in batches; the last verdict of each signal stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=whole_number(MAX_DAYS),
            metavar="N",
            help="remove what is older than N days (ONCHAIN_RETENTION_DAYS)",
        )
        parser.add_argument(
            "--archive",
            type=Path,
            metavar="FILE",
            help="append the rows to FILE as lines of JSON, compressed if its name ends in .gz",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        with errors_as_exit_codes():
            require_migrations(connection)
            days = options["days"]
            retention = timedelta(days=days) if days else Settings.read(os.environ).retention
            if retention is None:
                raise CommandError(
                    "nothing says how long to keep verdicts (set ONCHAIN_RETENTION_DAYS, or use --days)",
                    returncode=ExitCode.CONFIGURATION,
                )
            try:
                removed = prune(connection, retention, options["archive"])
            except OSError as error:
                raise CommandError(
                    f"the archive {str(options['archive'])!r} cannot be written: {error.strerror} "
                    "(what is not archived was not removed)",
                    returncode=ExitCode.UNAVAILABLE,
                ) from error
        as_text = f"{removed.verdicts} verdicts, {removed.runs} runs and {removed.actions} actions removed"
        say(self.stdout, json.dumps(asdict(removed)) if options["json"] else as_text)
