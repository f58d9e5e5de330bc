"""manage.py rules_replay: show which past verdicts a rules file would change."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from signals.management.arguments import ExitCode, errors_as_exit_codes, point_in_time, say
from signals.verification.review.replay import PastVerdict, replay
from signals.verification.rules_file import load_rules
from signals.verification.schema import require_migrations
from signals.verification.verdict import Verdict


class Command(BaseCommand):
    """Exit with 0 nothing changes, 1 some verdicts would, 2 usage, 3 configuration, 4 no database."""

    help = "Show which past verdicts a rules file would change. Nothing is written."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a rules file")
        parser.add_argument(
            "--since", type=point_in_time, metavar="TIME", help="only verdicts since that time"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print an object for each change, and one of the counts",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        verdicts, changes = 0, Counter[tuple[str, str]]()
        with errors_as_exit_codes():
            rules = load_rules(options["file"])
            require_migrations(connection)
            for past in replay(connection, rules, options["since"]):
                verdicts += 1
                if past.is_changed:
                    changes[past.before.decision, past.after.decision] += 1
                    say(self.stdout, _as_json(past) if options["json"] else _as_line(past))
        total = sum(changes.values())
        if options["json"]:
            counts = {"verdicts": verdicts, "changed": total, "rules_sha256": rules.sha256}
            pairs = [{"from": a, "to": b, "count": n} for (a, b), n in sorted(changes.items())]
            say(self.stdout, json.dumps({**counts, "changes": pairs}))
        else:
            lines = [f"{a} -> {b}: {n}" for (a, b), n in sorted(changes.items())]
            say(self.stdout, "\n".join([*lines, f"{total} of {verdicts} verdicts would change"]))
        if total:
            raise CommandError(f"{total} verdicts would change", returncode=ExitCode.FINDINGS)


def _as_line(past: PastVerdict) -> str:
    return (
        f"signal {past.signal}, event {past.event} of {past.created_at.isoformat()}: "
        f"{_text(past.before)} -> {_text(past.after)}"
    )


def _text(verdict: Verdict) -> str:
    reason = " ".join((verdict.note or "", *verdict.named)).strip()
    return f"{verdict.decision} {verdict.confidence}" + (f" ({reason})" if reason else "")


def _as_json(past: PastVerdict) -> str:
    def as_object(verdict: Verdict) -> dict[str, Any]:
        return {
            "decision": verdict.decision,
            "confidence": str(verdict.confidence),
            "note": verdict.note,
            "named": list(verdict.named),
        }

    return json.dumps(
        {
            "signal": past.signal,
            "event": past.event,
            "created_at": past.created_at.isoformat(),
            "from": as_object(past.before),
            "to": as_object(past.after),
        }
    )
