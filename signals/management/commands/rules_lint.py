"""manage.py rules_lint: validate a rules file, and say what in it can never matter."""

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from signals.management.arguments import ExitCode, say
from signals.verification.errors import RulesError
from signals.verification.review.rules_lint import lint_rules
from signals.verification.rules_file import SHIPPED_RULES, load_rules


class Command(BaseCommand):
    """Exit with 0 clean, 1 findings, 2 usage, 4 no such file. No database is asked."""

    help = "Validate a rules file, and find conditions and lists that can never or always hold."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            type=Path,
            default=SHIPPED_RULES,
            help="a rules file (the shipped one)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        file, is_valid = options["file"], True
        if not os.access(file, os.R_OK):
            raise CommandError(f"{str(file)!r} cannot be read", returncode=ExitCode.UNAVAILABLE)
        try:
            problems = lint_rules(load_rules(file))
        except RulesError as error:
            problems, is_valid = error.problems, False
        if options["json"]:
            found = [{"path": each.path, "text": each.text} for each in problems]
            say(self.stdout, json.dumps({"valid": is_valid, "problems": found}))
        else:
            say(self.stdout, "\n".join(map(str, problems)) or "no problems")
        if problems:
            raise CommandError(
                f"{len(problems)} problems in {str(file)!r}"
                + ("" if is_valid else " (the job refuses this file)"),
                returncode=ExitCode.FINDINGS,
            )
