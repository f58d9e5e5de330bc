"""What other rules would have made of past verdicts, by the features that each verdict stored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.choices import Decision, Note
from signals.verification.changes import WITHOUT_EVIDENCE
from signals.verification.features import DECIDING_WINDOW
from signals.verification.review.explanation import read_features
from signals.verification.rules import Rules, evaluate
from signals.verification.verdict import Feature, Verdict

CHUNK: Final = 5_000
"""Verdicts that are read at once."""

_VERDICTS: Final = """
SELECT id, signal_id, created_at, decision, confidence, note, features::text,
    (metadata -> 'named')::text, (metadata ->> 'window_minutes')::integer
FROM signal_events
WHERE id > %(after)s AND type = 'onchain_verify'
    AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
ORDER BY id
LIMIT %(chunk)s
"""


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """A stored verdict, and the one that the other rules give on its features."""

    event: int
    signal: int
    created_at: datetime
    before: Verdict
    after: Verdict

    @property
    def is_changed(self) -> bool:
        """Whether the two differ in decision, confidence, note or the features that are named."""
        return self.before != self.after


def replay(
    connection: BaseDatabaseWrapper, rules: Rules, since: datetime | None = None
) -> Iterator[PastVerdict]:
    """Yield the verdicts, all or those since that time, oldest first, with what the rules make of them.

    A verdict without a token or without evidence stays as it is, because no rule was asked.
    """
    after = 0
    while True:
        parameters = {"after": after, "since": since, "chunk": CHUNK}
        with connection.cursor() as cursor:
            cursor.execute(_VERDICTS, parameters)
            rows = cursor.fetchall()
        for event, signal, created_at, decision, confidence, note, features, named, window in rows:
            before = _verdict(decision, confidence, note, named)
            kept = before.note in (*WITHOUT_EVIDENCE, Note.UNRESOLVABLE_TOKEN)
            made = (
                before
                if kept
                else evaluate(rules, window or DECIDING_WINDOW, read_features(features))
            )
            yield PastVerdict(event, signal, created_at, before, made)
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


def _verdict(decision: str, confidence: Decimal, note: str, named: str | None) -> Verdict:
    return Verdict(
        Decision(decision),
        confidence,
        Note(note) if note else None,
        tuple(map(Feature, json.loads(named or "[]"))),
    )
