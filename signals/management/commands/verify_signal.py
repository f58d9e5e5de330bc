"""manage.py verify_signal: check the candidate signals that are due, once or again and again."""

import os
import sys
from datetime import timedelta
from typing import Any
from wsgiref.simple_server import WSGIServer

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from signals.management.arguments import (
    ExitCode,
    add_monitoring_arguments,
    chain_name,
    errors_as_exit_codes,
    point_in_time,
    require_watch,
    say,
    whole_number,
)
from signals.management.progress import RunProgress
from signals.management.serving import serving
from signals.verification.candidates import Selection
from signals.verification.errors import TooManyFailures
from signals.verification.health import read_health, revive
from signals.verification.job import BATCH_SIZE, Options, RunReport, run_job
from signals.verification.printing import (
    health_as_json,
    health_as_text,
    report_as_json,
    report_as_line,
    report_as_text,
)
from signals.verification.review.explanation import explain
from signals.verification.review.explanation_output import explanation_as_json, explanation_as_text
from signals.verification.schema import require_migrations
from signals.verification.settings import Settings
from signals.verification.tally import Stop
from signals.verification.upkeep.metrics import serve_metrics, write_metrics
from signals.verification.watch import Interrupted, stopped_by_signals, watch


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
        add_monitoring_arguments(parser, "run")
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument(
            "--dry-run", action="store_true", help="write nothing, print what would be written"
        )
        ways.add_argument(
            "--watch", type=number(86400), metavar="SECONDS", help="run again every so often"
        )
        ways.add_argument(
            "--explain",
            type=number(2**63 - 1),
            metavar="ID",
            help="explain the verdict on a signal",
        )
        ways.add_argument("--check", action="store_true", help="only say whether the job is alive")
        ways.add_argument(
            "--revive", type=number(2**63 - 1), nargs="+", metavar="ID", help="revive dead signals"
        )
        ways.add_argument(
            "--revive-dead", action="store_true", help="revive all dead signals (died --since)"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        require_watch(options, "run")
        with errors_as_exit_codes():
            require_migrations(connection)
            if options["check"]:
                self._check(options)
            elif options["explain"]:
                self._explain(options)
            elif options["revive"] or options["revive_dead"]:
                self._revive(options)
            else:
                self._run(options)

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
        quiet = options["verbosity"] == 0 or options["json"] or not sys.stderr.isatty()
        progress = RunProgress(chosen, quiet=quiet)
        has_metrics = options["prometheus"] or options["metrics"]
        aliases = Settings.read(os.environ).chain_aliases if has_metrics else {}

        def serve(host: str, port: int) -> WSGIServer:
            return serve_metrics(host, port, aliases)

        def on_end(report: RunReport) -> None:
            progress.end()
            if options["prometheus"]:
                write_metrics(options["prometheus"], aliases)
            say(self.stdout, show(report))

        try:
            with stopped_by_signals(stop), serving(options["metrics"], serve), progress:
                if options["watch"]:
                    watch(chosen, options["watch"], stop, on_end, progress.advance)
                    return
                report = run_job(chosen, stop=stop, on_batch=progress.advance, on_end=on_end)
            self._raise_findings(report)
        except TooManyFailures as error:
            raise CommandError(str(error), returncode=ExitCode.STOPPED) from error
        except Interrupted as error:
            raise CommandError(str(error), returncode=ExitCode.KILLED + error.number) from error

    def _raise_findings(self, report: RunReport) -> None:
        if report.stopped:
            raise report.stopped
        if failed := report.counts["errors"]:
            raise CommandError(
                f"{failed} of {report.counts['scanned']} signals failed (see their error in "
                "signal_verifications)",
                returncode=ExitCode.FINDINGS,
            )

    def _check(self, options: dict[str, Any]) -> None:
        health = read_health(connection)
        say(self.stdout, health_as_json(health) if options["json"] else health_as_text(health))
        if not health.is_alive(timedelta(seconds=options["max_age"])):
            raise CommandError(
                f"no run gave a sign of life for {options['max_age']} s (start the job: "
                "manage.py verify_signal --watch 60 --limit all)",
                returncode=ExitCode.STUCK,
            )
        if health.dead:
            raise CommandError(
                f"{health.dead} signals are dead (see their error in signal_verifications, then: "
                "manage.py verify_signal --revive-dead)",
                returncode=ExitCode.FINDINGS,
            )

    def _explain(self, options: dict[str, Any]) -> None:
        signal = options["explain"]
        aliases = Settings.read(os.environ).chain_aliases
        explanation = explain(connection, signal, aliases)
        if explanation is None:
            raise CommandError(
                f"there is no signal {signal}, and no verdict on it", returncode=ExitCode.FINDINGS
            )
        show = explanation_as_json if options["json"] else explanation_as_text
        say(self.stdout, show(explanation))

    def _revive(self, options: dict[str, Any]) -> None:
        ids = options["revive"]
        revived = revive(connection, ids, options["since"])
        say(self.stdout, f"{len(revived)} revived")
        if missed := sorted(set(ids or ()) - set(revived)):
            raise CommandError(
                f"not dead: {', '.join(map(str, missed))}",
                returncode=ExitCode.FINDINGS,
            )
