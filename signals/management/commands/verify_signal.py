"""manage.py verify_signal: check the candidate signals that are due, once."""

import argparse
import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from signals.choices import SignalState
from signals.verification.changes import Change
from signals.verification.errors import ConfigurationError
from signals.verification.job import RunReport, verify_signals
from signals.verification.schema import require_migrations

FINDINGS: Final = 1
CONFIGURATION: Final = 3
UNAVAILABLE: Final = 4


def signal_limit(text: str) -> int:
    """Return the value of --limit; raise ArgumentTypeError if the text is not a whole number in range."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= 10**6):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is not a whole number from 1 to 1000000")
    return int(text)


class Command(BaseCommand):
    """Exit with 0 clean, 1 signals failed, 2 usage, 3 configuration or schema, 4 no database."""

    help = "Compare candidate signals with the on-chain features of their tokens, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--limit", type=signal_limit, default=100, help="check at most this many signals (100)"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the result as one JSON object"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="write nothing, print what would be written"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            require_migrations(connection)
            report = verify_signals(options["limit"], dry_run=options["dry_run"])
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=CONFIGURATION) from error
        except (DatabaseError, InterfaceError) as error:
            message = f"the database does not answer as it should: {error}".strip()
            raise CommandError(message, returncode=UNAVAILABLE) from error
        self.stdout.write(report_as_json(report) if options["json"] else report_as_text(report))
        if failed := report.counts["errors"]:
            raise CommandError(
                f"{failed} of {report.counts['scanned']} signals failed (see their error in "
                "signal_verifications)",
                returncode=FINDINGS,
            )


def report_as_text(report: RunReport) -> str:
    """Return the counts, one a line, and after a dry run what each check would have written."""
    lines = [f"{name:<13}{count:>7}" for name, count in report.counts.items()]
    if report.dry_run:
        lines += map(_change_as_line, report.changes)
        lines.append("dry run: nothing was written")
    return "\n".join(lines)


def report_as_json(report: RunReport) -> str:
    """Return one JSON object with always the same keys; `would_write` is empty except after a dry run."""
    return json.dumps(
        {
            "run": str(report.run),
            "dry_run": report.dry_run,
            "rules": report.mode.value,
            "rules_sha256": report.rules_sha256,
            **report.counts,
            "would_write": [_change_as_object(change) for change in report.changes]
            if report.dry_run
            else [],
        }
    )


def _change_as_line(change: Change) -> str:
    verdict = change.evaluation.verdict
    reason = " ".join((verdict.note or "", *verdict.named)).strip()
    writes = [
        *([f"state candidate -> {change.state}"] if change.state != SignalState.CANDIDATE else []),
        *(["onchain_asof_ts, onchain_confidence"] if change.updates_signal else []),
        *(["one row of signal_events"] if change.adds_event else []),
    ]
    return (
        f"signal {change.evaluation.candidate.signal_id}: {verdict.decision} {verdict.confidence}"
        f"{f' ({reason})' if reason else ''}; would write {', '.join(writes) or 'no verdict'}"
    )


def _change_as_object(change: Change) -> dict[str, Any]:
    verdict = change.evaluation.verdict
    return {
        "signal": change.evaluation.candidate.signal_id,
        "decision": verdict.decision,
        "confidence": float(verdict.confidence),
        "note": verdict.note,
        "named": list(verdict.named),
        "previous_state": SignalState.CANDIDATE,
        "new_state": change.state,
        "updates_signal": change.updates_signal,
        "adds_event": change.adds_event,
    }
