"""manage.py load_features: load a file of on-chain features, all of it or nothing."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from signals.management.arguments import ExitCode, errors_as_exit_codes, say
from signals.verification.loading.feature_file import (
    COLUMNS,
    REQUIRED,
    UnreadableFile,
    read_feature_file,
)
from signals.verification.loading.feature_loading import BadLines, load_features
from signals.verification.schema import require_migrations


class Command(BaseCommand):
    """Exit with 0 loaded, 1 bad lines, 2 usage, 3 configuration, 4 no file or no database."""

    help = (
        "Load a file of on-chain features, all of it or nothing. Columns: "
        f"{', '.join(COLUMNS)}; the first {len(REQUIRED)} are required."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file .csv or .parquet")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        with errors_as_exit_codes():
            require_migrations(connection)
            try:
                result = load_features(connection, read_feature_file(options["file"]))
            except UnreadableFile as error:
                raise CommandError(str(error), returncode=ExitCode.UNAVAILABLE) from error
            except BadLines as error:
                self._say_bad_lines(error, as_json=options["json"])
                raise CommandError(str(error), returncode=ExitCode.FINDINGS) from error
        counts = {name: getattr(result, name) for name in ("lines", "added", "replaced", "kept")}
        if options["json"]:
            say(self.stdout, json.dumps({**counts, "bad": 0, "bad_lines": []}))
        else:
            say(self.stdout, "\n".join(f"{name:<10}{count:>8}" for name, count in counts.items()))

    def _say_bad_lines(self, error: BadLines, *, as_json: bool) -> None:
        if as_json:
            bad = [{"line": each.line, "problem": each.problem} for each in error.lines]
            counts = dict.fromkeys(("lines", "added", "replaced", "kept"), 0)
            say(self.stdout, json.dumps({**counts, "bad": error.count, "bad_lines": bad}))
            return
        left = error.count - len(error.lines)
        more = [f"and {left} more"] if left else []
        say(self.stdout, "\n".join([*map(str, error.lines), *more]))
