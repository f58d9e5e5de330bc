"""manage.py verify_signal: looks once at the candidate signals that are due."""

import argparse
import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from signals.verification.errors import ConfigurationError
from signals.verification.job import Report, run
from signals.verification.schema import require_migrations
from signals.verification.writing import Entry

FINDINGS: Final = 1
CONFIGURATION: Final = 3
UNAVAILABLE: Final = 4


def limit(text: str) -> int:
    """How many signals a run looks at, as the command line spells it."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= 10**6):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is not a whole number from 1 to 1000000")
    return int(text)


class Command(BaseCommand):
    """Exit codes: 0 clean, 1 signals failed, 2 usage, 3 configuration or schema, 4 no database."""

    help = "Compare candidate signals with the on-chain features of their tokens, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--limit", type=limit, default=100, help="look at no more signals than this (100)"
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
            report = run(options["limit"], dry_run=options["dry_run"])
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=CONFIGURATION) from error
        except (DatabaseError, InterfaceError) as error:
            message = f"the database does not answer as it should: {error}".strip()
            raise CommandError(message, returncode=UNAVAILABLE) from error
        self.stdout.write(as_json(report) if options["json"] else as_text(report))
        if failed := report.counts["errors"]:
            raise CommandError(
                f"{failed} of {report.counts['scanned']} signals failed (see their error in "
                "signal_verifications)",
                returncode=FINDINGS,
            )


def as_text(report: Report) -> str:
    """The counts, one a line; after a dry run also what each look would have written."""
    lines = [f"{name:<13}{count:>7}" for name, count in report.counts.items()]
    if report.dry_run:
        lines += map(_line, report.entries)
        lines.append("dry run: nothing was written")
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """One object whose keys never differ; would_write is empty unless it was a dry run."""
    return json.dumps(
        {
            "run": str(report.run),
            "dry_run": report.dry_run,
            "rules": report.mode.value,
            "rules_sha256": report.rules_sha256,
            **report.counts,
            "would_write": [_object(entry) for entry in report.entries] if report.dry_run else [],
        }
    )


def _line(entry: Entry) -> str:
    verdict = entry.look.verdict
    reason = " ".join((verdict.note or "", *verdict.named)).strip()
    writes = [
        *([f"state candidate -> {entry.state}"] if entry.state != "candidate" else []),
        *(["onchain_asof_ts, onchain_confidence"] if entry.updates_signal else []),
        *(["one row of signal_events"] if entry.adds_event else []),
    ]
    return (
        f"signal {entry.look.candidate.signal}: {verdict.decision} {verdict.confidence}"
        f"{f' ({reason})' if reason else ''}; would write {', '.join(writes) or 'no verdict'}"
    )


def _object(entry: Entry) -> dict[str, Any]:
    verdict = entry.look.verdict
    return {
        "signal": entry.look.candidate.signal,
        "decision": verdict.decision,
        "confidence": float(verdict.confidence),
        "note": verdict.note,
        "named": list(verdict.named),
        "previous_state": "candidate",
        "new_state": entry.state,
        "updates_signal": entry.updates_signal,
        "adds_event": entry.adds_event,
    }
