"""manage.py lint_migrations: find in migrations what blocks others or breaks the release that still runs."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...lint.baseline import Baseline, UnusableBaseline
from ...lint.formats import FORMATS, repository_root
from ...lint.options import LintOptions
from ...lint.running import LintReport, lint
from ...lint.selection import GitFailed, Selection, UnknownSelection, select
from ...lint.sql import EXTRA, PARSER
from ...lint.walking import Unplayable
from ..arguments import ExitCode, load_migrations


class Command(BaseCommand):
    help = (
        "Finds in migrations what blocks others, what breaks the release that still runs, and what "
        "cannot go back or run again; asks no database."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "words",
            nargs="*",
            metavar="APP|FILE",
            help="apps, or files of migrations, which are taken for one release; without any, all "
            "migrations of the project, each taken for a release of its own",
        )
        parser.add_argument(
            "--diff",
            metavar="BASE",
            help="only those that differ from where the branch left this git revision, as one release",
        )
        parser.add_argument("--all", action="store_true", help="those of installed packages too")
        parser.add_argument("--format", choices=FORMATS, default="text")
        parser.add_argument(
            "--baseline",
            metavar="FILE",
            help="a file of accepted findings; without the option, that of the settings, if any",
        )
        parser.add_argument(
            "--write-baseline",
            action="store_true",
            help="write the present findings into the baseline, and report none",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        loader = load_migrations(replaced=True)
        try:
            settings = LintOptions.from_settings()
            selection = select(
                loader, options["words"], options["diff"], with_installed=options["all"]
            )
            baseline = _baseline(options["baseline"] or settings.baseline, options)
            report = lint(loader, selection, settings, baseline)
            if options["write_baseline"]:
                self._write(report, selection, baseline)
                return
        except UnknownSelection as error:
            raise CommandError(str(error), returncode=ExitCode.USAGE) from error
        except (ImproperlyConfigured, Unplayable, UnusableBaseline) as error:
            raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
        except GitFailed as error:
            raise CommandError(str(error), returncode=ExitCode.UNAVAILABLE) from error
        self._show(report, options["format"])
        if report.has_errors:
            raise SystemExit(ExitCode.FINDINGS)

    def _show(self, report: LintReport, wanted: str) -> None:
        shown = FORMATS[wanted](report, repository_root(Path.cwd()))
        if shown:
            self.stdout.write(shown)
        if report.unjudged:
            self.stderr.write(
                f"{report.unjudged} RunSQL not judged: {PARSER} is not installed (pip install "
                f"'django-convergent-migrations[{EXTRA}]')",
                self.style.WARNING,
            )

    def _write(self, report: LintReport, selection: Selection, baseline: Baseline) -> None:
        found = [*report.findings, *(each for each in report.accepted if each.is_listed)]
        keys = [each.key for each in found if each.place]
        count = baseline.write(keys, selection.labels)
        self.stdout.write(f"Wrote {count} finding{'' if count == 1 else 's'} to {baseline.path}")


def _baseline(given: str, options: dict[str, Any]) -> Baseline:
    """Return the baseline of the path, and an empty one without a path, or for a file that is to be made."""
    path = Path(given)
    if not given and options["write_baseline"]:
        raise CommandError(
            "--write-baseline needs a file (use --baseline FILE, or the setting BASELINE of LINT)",
            returncode=ExitCode.USAGE,
        )
    is_new = options["write_baseline"] and not path.exists()
    return Baseline.read(path) if given and not is_new else Baseline(path)
