"""manage.py signals_report: show what waits, what was decided, and what fails."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from signals.management.arguments import errors_as_exit_codes, say, whole_number
from signals.verification.printing import health_as_text
from signals.verification.review.explanation_output import age_text
from signals.verification.schema import require_migrations
from signals.verification.settings import Settings
from signals.verification.upkeep.statistics import Report, read_report


class Command(BaseCommand):
    """Exit with 0, or with 2 usage, 3 configuration, 4 no database."""

    help = "Show what waits, what was decided, and what fails. Nothing is written."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--hours",
            type=whole_number(24 * 366),
            default=24,
            metavar="N",
            help="count the runs and verdicts of the last N hours (24)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        hours = options["hours"]
        with errors_as_exit_codes():
            require_migrations(connection)
            aliases = Settings.read(os.environ).chain_aliases
            report = read_report(connection, aliases, timedelta(hours=hours))
        say(self.stdout, _as_json(report, hours) if options["json"] else _as_text(report, hours))


def _as_text(report: Report, hours: int) -> str:
    figures = report.statistics
    verdicts = {" ".join(filter(None, key)): n for key, n in report.verdicts.items()}
    lags = {chain: age_text(age) for chain, age in sorted(figures.lags.items())}
    backlog = {name: getattr(report.backlog, name) for name in ("waiting", "due", "claimed")}
    return "\n".join(
        [
            *_section("signals", report.states),
            *_section("checks to come", backlog),
            *_section(f"verdicts of {hours} h", verdicts),
            *_section(f"checks of {hours} h", figures.checks),
            *_section(f"runs of {hours} h", figures.runs),
            *_section("newest features", lags),
            *_section("dead signals", report.errors),
            f"job: {health_as_text(figures.health)}",
        ]
    )


def _section(title: str, values: Mapping[Any, object]) -> Iterator[str]:
    yield title
    for name, value in values.items():
        yield f"  {value!s:>10}  {name}"
    if not values:
        yield f"  {'none':>10}"


def _as_json(report: Report, hours: int) -> str:
    figures = report.statistics
    health = figures.health
    return json.dumps(
        {
            "hours": hours,
            "signals": report.states,
            "waiting": report.backlog.waiting,
            "due": report.backlog.due,
            "claimed": report.backlog.claimed,
            "longest_wait_seconds": health.wait.total_seconds(),
            "verdicts": [
                {"decision": decision, "note": note, "count": count}
                for (decision, note), count in report.verdicts.items()
            ],
            "checks": figures.checks,
            "runs": figures.runs,
            "feature_lag_seconds": {
                chain: age.total_seconds() for chain, age in sorted(figures.lags.items())
            },
            "dead": health.dead,
            "dead_errors": [
                {"error": error, "count": count} for error, count in report.errors.items()
            ],
            "last_run_age_seconds": health.age.total_seconds() if health.age else None,
            "last_run_outcome": health.outcome,
        }
    )
