"""manage.py verify_signal: check the candidate signals that are due, once or again and again."""

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from django.utils.dateparse import parse_datetime

from signals.verification.candidates import Selection
from signals.verification.errors import ConfigurationError, TooManyFailures
from signals.verification.health import read_health, revive
from signals.verification.job import BATCH_SIZE, Options, RunReport, run_job
from signals.verification.printing import (
    health_as_json,
    health_as_text,
    report_as_json,
    report_as_line,
    report_as_text,
)
from signals.verification.schema import require_migrations
from signals.verification.tally import Stop
from signals.verification.tokens import CHAIN_NAME
from signals.verification.watch import Interrupted, stopped_by_signals, watch

FINDINGS: Final = 1
CONFIGURATION: Final = 3
UNAVAILABLE: Final = 4
STOPPED: Final = 5
STUCK: Final = 6
KILLED: Final = 128
"""And the number of the signal that ended the command, as in a shell."""


def whole_number(most: int, *, or_all: bool = False) -> Callable[[str], int | None]:
    """Return a type for argparse: a whole number from 1 to `most`, or `all` as None."""

    def parse(text: str) -> int | None:
        if or_all and text == "all":
            return None
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:19]) <= most):
            raise argparse.ArgumentTypeError(
                f"{text[:100]!r} is not a whole number from 1 to {most}{' or all' * or_all}"
            )
        return int(text)

    return parse


def point_in_time(text: str) -> datetime:
    """Return a time in ISO 8601, which is UTC unless it says otherwise, for argparse."""
    try:
        time = parse_datetime(text) or parse_datetime(f"{text} 00:00")
    except ValueError:
        time = None
    if time is None:
        raise argparse.ArgumentTypeError(
            f"{text[:100]!r} is not a time (write it as 2026-03-01 or 2026-03-01T12:00Z)"
        )
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def chain_name(text: str) -> str:
    """Return the name of a chain, for argparse."""
    if not CHAIN_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is not the name of a chain")
    return text


class Command(BaseCommand):
    """Exit with 0 clean, 1 findings, 2 usage, 3 configuration, 4 no database, 5 stopped, 6 stuck."""

    help = "Compare candidate signals with the on-chain features of their tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        number = whole_number
        parser.add_argument(
            "--limit",
            type=number(10**6, or_all=True),
            default=100,
            metavar="N|all",
            help="check at most this many signals in a run (100)",
        )
        parser.add_argument(
            "--batch-size",
            type=number(10**4),
            default=BATCH_SIZE,
            metavar="N",
            help=f"claim and write this many at once ({BATCH_SIZE})",
        )
        parser.add_argument(
            "--workers", type=number(64), default=1, metavar="N", help="work in N threads (1)"
        )
        parser.add_argument(
            "--signal", type=number(2**63 - 1), nargs="+", metavar="ID", help="only these signals"
        )
        parser.add_argument("--chain", type=chain_name, help="only signals about tokens of a chain")
        parser.add_argument(
            "--since", type=point_in_time, metavar="TIME", help="only signals since that time"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, one object a run")
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument(
            "--dry-run", action="store_true", help="write nothing, print what would be written"
        )
        ways.add_argument(
            "--watch", type=number(86400), metavar="SECONDS", help="run again every so often"
        )
        ways.add_argument("--check", action="store_true", help="only say whether the job is alive")
        ways.add_argument(
            "--revive", type=number(2**63 - 1), nargs="+", metavar="ID", help="revive dead signals"
        )
        ways.add_argument(
            "--revive-dead", action="store_true", help="revive all dead signals (died --since)"
        )
        parser.add_argument(
            "--max-age",
            type=number(10**6),
            default=300,
            metavar="SECONDS",
            help="for --check: the age of a sign of life after which the job is stuck (300)",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            require_migrations(connection)
            if options["check"]:
                self._check(options)
            elif options["revive"] or options["revive_dead"]:
                self._revive(options)
            else:
                self._run(options)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=CONFIGURATION) from error
        except TooManyFailures as error:
            raise CommandError(str(error), returncode=STOPPED) from error
        except Interrupted as error:
            raise CommandError(str(error), returncode=KILLED + error.number) from error
        except (DatabaseError, InterfaceError) as error:
            message = f"the database does not answer as it should: {error}".strip()
            raise CommandError(message, returncode=UNAVAILABLE) from error

    def _run(self, options: dict[str, Any]) -> None:
        stop = Stop()
        chosen = Options(
            limit=options["limit"],
            batch_size=options["batch_size"],
            workers=options["workers"],
            dry_run=options["dry_run"],
            selection=Selection(tuple(options["signal"] or ()), options["chain"], options["since"]),
        )
        as_text = report_as_line if options["watch"] else report_as_text
        show = report_as_json if options["json"] else as_text
        with stopped_by_signals(stop):
            if options["watch"]:
                watch(chosen, options["watch"], stop, lambda report: self._say(show(report)))
                return
            report = run_job(chosen, stop=stop, on_end=lambda report: self._say(show(report)))
        self._raise_findings(report)

    def _raise_findings(self, report: RunReport) -> None:
        if report.stopped:
            raise report.stopped
        if failed := report.counts["errors"]:
            raise CommandError(
                f"{failed} of {report.counts['scanned']} signals failed (see their error in "
                "signal_verifications)",
                returncode=FINDINGS,
            )

    def _check(self, options: dict[str, Any]) -> None:
        health = read_health(connection)
        self._say(health_as_json(health) if options["json"] else health_as_text(health))
        if not health.is_alive(timedelta(seconds=options["max_age"])):
            raise CommandError(
                f"no run gave a sign of life for {options['max_age']} s (start the job: "
                "manage.py verify_signal --watch 60 --limit all)",
                returncode=STUCK,
            )
        if health.dead:
            raise CommandError(
                f"{health.dead} signals are dead (see their error in signal_verifications, then: "
                "manage.py verify_signal --revive-dead)",
                returncode=FINDINGS,
            )

    def _revive(self, options: dict[str, Any]) -> None:
        ids = options["revive"]
        revived = revive(connection, ids, options["since"])
        self._say(f"{len(revived)} revived")
        if missed := sorted(set(ids or ()) - set(revived)):
            raise CommandError(
                f"not dead: {', '.join(map(str, missed))}",
                returncode=FINDINGS,
            )

    def _say(self, text: str) -> None:
        """Print the text at once; raise CommandError if nobody can take it."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except OSError as error:
            # Python would try once more when it ends, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise CommandError(
                f"the output cannot be written: {error.strerror}", returncode=UNAVAILABLE
            ) from error
