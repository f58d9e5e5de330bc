"""What a batch of looks leaves in the database, written set by set.

A writer locks those signals of its batch that nobody else is writing, and only then compares: a look
counts if the signal is still a candidate, nobody looked at it since, and its evidence is not older than
what the signal stands on. A killed writer leaves nothing; its signals are still due.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from django.db import transaction

from signals.choices import (
    Decision,
    SignalEventType,
    SignalState,
    VerificationOutcome,
    VerificationStatus,
)
from signals.models import Signal, SignalEvent, SignalVerification
from signals.verification.candidates import Candidate
from signals.verification.features import WINDOW, Evidence
from signals.verification.run import Run
from signals.verification.settings import Mode
from signals.verification.tokens import Token
from signals.verification.verdict import Verdict

PATIENCE: Final = 5
"""Failures in a row that make a signal dead."""
BACKOFF: Final = timedelta(minutes=1)
"""From a first failure to the next look; each further failure doubles it."""

_MOVES: Final[Mapping[Decision, SignalState]] = MappingProxyType(
    {Decision.UPGRADE: SignalState.VERIFIED, Decision.DOWNGRADE: SignalState.DOWNGRADED}
)

_COMPARE: Final = """
SELECT s.id,
    coalesce(look.as_of < s.onchain_asof_ts, false),
    look.as_of IS NOT NULL
        AND (s.state, s.onchain_asof_ts, s.onchain_confidence)
        IS DISTINCT FROM (look.state, look.as_of, look.confidence),
    look.state <> s.state
        OR (last.new_state, last.decision, last.confidence, last.note, last.named, last.rules_sha256)
        IS DISTINCT FROM
        (look.state, look.decision, look.confidence, look.note, look.named, look.rules_sha256)
FROM jsonb_to_recordset(%s::jsonb) AS look(
    signal bigint, checks integer, as_of timestamptz, state text, decision text,
    confidence numeric, note text, named jsonb, rules_sha256 text
)
JOIN signals s ON s.id = look.signal AND s.state = 'candidate'
LEFT JOIN signal_verifications v ON v.signal_id = s.id
LEFT JOIN LATERAL (
    SELECT e.new_state, e.decision, e.confidence, e.note, e.metadata -> 'named' AS named,
        e.rules_sha256
    FROM signal_events e
    WHERE e.signal_id = s.id AND e.type = 'onchain_verify'
    ORDER BY e.id DESC
    LIMIT 1
) last ON true
WHERE coalesce(v.checks, 0) = look.checks
"""

_UPDATE: Final = """
UPDATE signals s
SET state = look.state, onchain_asof_ts = look.as_of, onchain_confidence = look.confidence
FROM jsonb_to_recordset(%s::jsonb) AS look(
    signal bigint, as_of timestamptz, state text, confidence numeric
)
WHERE s.id = look.signal AND s.state = 'candidate'
    AND (s.onchain_asof_ts IS NULL OR s.onchain_asof_ts <= look.as_of)
"""


@dataclass(frozen=True, slots=True)
class Look:
    """A candidate, the verdict on it, and what that rests on."""

    candidate: Candidate
    verdict: Verdict
    token: Token | None = None
    evidence: Evidence | None = None

    @property
    def as_of(self) -> datetime | None:
        """The time of the evidence that decided; None if nothing was decided."""
        if self.evidence is None or self.verdict.decision is Decision.INSUFFICIENT:
            return None
        return self.evidence.as_of

    def state(self, mode: Mode) -> SignalState:
        """The state that the verdict leads to; with the rules off it stays."""
        if mode is Mode.OFF:
            return SignalState.CANDIDATE
        return _MOVES.get(self.verdict.decision, SignalState.CANDIDATE)


@dataclass(frozen=True, slots=True)
class Failure:
    """A candidate that could not be looked at or written, and why."""

    candidate: Candidate
    error: str

    @property
    def attempts(self) -> int:
        """How often in a row it has failed now."""
        return self.candidate.attempts + 1

    @property
    def dead(self) -> bool:
        """Whether it is left alone from now on."""
        return self.attempts >= PATIENCE


@dataclass(frozen=True, slots=True)
class Entry:
    """What a look comes to: the signal's new state and what is written; nothing if it was outrun.

    It was outrun if the signal already stands on newer evidence.
    """

    look: Look
    state: SignalState
    outrun: bool
    updates_signal: bool
    adds_event: bool


def compare(run: Run, looks: Sequence[Look]) -> list[Entry]:
    """What each look would write by what is stored now; one that somebody else has overtaken is left out."""
    by_signal = {look.candidate.signal: look for look in looks}
    with run.connection.cursor() as cursor:
        cursor.execute(_COMPARE, [json.dumps([_record(run, look) for look in looks])])
        rows = cursor.fetchall()
    return [
        Entry(
            look=(look := by_signal[signal]),
            state=SignalState.CANDIDATE if outrun else look.state(run.settings.mode),
            outrun=outrun,
            updates_signal=updates and not outrun,
            adds_event=adds and not outrun,
        )
        for signal, outrun, updates, adds in rows
    ]


def write(run: Run, looks: Sequence[Look]) -> list[Entry]:
    """Compares and writes in one transaction; what somebody else writes or has overtaken is left out."""
    with transaction.atomic(using=run.connection.alias):
        mine = _lock(run, [look.candidate for look in looks])
        entries = compare(run, [look for look in looks if look.candidate.signal in mine])
        _update_signals(run, [entry.look for entry in entries if entry.updates_signal])
        SignalEvent.objects.using(run.connection.alias).bulk_create(
            _event(run, entry) for entry in entries if entry.adds_event
        )
        _remember(run, [_memory_of_look(run, entry) for entry in entries])
    return entries


def write_failures(run: Run, failures: Sequence[Failure]) -> list[Failure]:
    """Puts the candidates off, the longer the more often they failed, and at last for good.

    Returns those written; what somebody else writes or has overtaken is left to them.
    """
    with transaction.atomic(using=run.connection.alias):
        mine = _lock(run, [failure.candidate for failure in failures])
        checks = dict(
            SignalVerification.objects.using(run.connection.alias)
            .filter(pk__in=mine)
            .values_list("pk", "checks")
        )
        written = [
            failure
            for failure in failures
            if failure.candidate.signal in mine
            and checks.get(failure.candidate.signal, 0) == failure.candidate.checks
        ]
        _remember(run, [_memory_of_failure(run, failure) for failure in written])
    return written


def _lock(run: Run, candidates: Sequence[Candidate]) -> set[int]:
    """Locks the signals that are candidates and not locked by another writer; waits for nobody."""
    return set(
        Signal.objects.using(run.connection.alias)
        .filter(pk__in=[candidate.signal for candidate in candidates], state=SignalState.CANDIDATE)
        .order_by("pk")
        .select_for_update(skip_locked=True, no_key=True)
        .values_list("pk", flat=True)
    )


def _update_signals(run: Run, looks: Sequence[Look]) -> None:
    if looks:
        with run.connection.cursor() as cursor:
            cursor.execute(_UPDATE, [json.dumps([_record(run, look) for look in looks])])


def _record(run: Run, look: Look) -> dict[str, Any]:
    return {
        "signal": look.candidate.signal,
        "checks": look.candidate.checks,
        "as_of": look.as_of.isoformat() if look.as_of else None,
        "state": look.state(run.settings.mode),
        "decision": look.verdict.decision,
        "confidence": str(look.verdict.confidence),
        "note": look.verdict.note or "",
        "named": look.verdict.named,
        "rules_sha256": run.rules.sha256,
    }


def _event(run: Run, entry: Entry) -> SignalEvent:
    candidate, verdict, evidence = entry.look.candidate, entry.look.verdict, entry.look.evidence
    token = entry.look.token
    return SignalEvent(
        signal_id=candidate.signal,
        event_key=candidate.event_key or "",
        type=SignalEventType.ONCHAIN_VERIFY,
        previous_state=SignalState.CANDIDATE,
        new_state=entry.state,
        decision=verdict.decision,
        confidence=verdict.confidence,
        note=verdict.note or "",
        features=_json_numbers(evidence.features) if evidence else {},
        rules_sha256=run.rules.sha256,
        run=run.id,
        created_at=run.now,
        metadata={
            "mode": run.settings.mode.value,
            "named": list(verdict.named),
            "chain": token.chain if token else None,
            "address": token.address if token else None,
            "window_minutes": WINDOW,
            "as_of": evidence.as_of.isoformat() if evidence else None,
            "calc_version": evidence.calc_version if evidence else None,
        },
    )


def _json_numbers(features: Mapping[Any, float | None]) -> dict[str, float | str | None]:
    """JSON has no NaN and no infinity: those become texts."""
    return {
        str(name): value if value is None or math.isfinite(value) else str(value)
        for name, value in features.items()
    }


def _memory_of_look(run: Run, entry: Entry) -> SignalVerification:
    candidate, verdict = entry.look.candidate, entry.look.verdict
    moved = entry.state is not SignalState.CANDIDATE
    # A move that the rules' being off withholds is asked for again by every run.
    withheld = verdict.decision in _MOVES and not entry.outrun
    due = run.now if withheld else run.now + run.settings.ttl
    return SignalVerification(
        signal_id=candidate.signal,
        status=VerificationStatus.SETTLED if moved else VerificationStatus.WAITING,
        next_check_at=None if moved else due,
        checks=candidate.checks + 1,
        attempts=0,
        outcome=VerificationOutcome.SKIPPED if entry.outrun else VerificationOutcome.EVALUATED,
        decision=verdict.decision,
        note=verdict.note or "",
        error="",
        updated_at=run.now,
    )


def _memory_of_failure(run: Run, failure: Failure) -> SignalVerification:
    due = run.now + BACKOFF * 2 ** (failure.attempts - 1)
    return SignalVerification(
        signal_id=failure.candidate.signal,
        status=VerificationStatus.DEAD if failure.dead else VerificationStatus.WAITING,
        next_check_at=None if failure.dead else due,
        checks=failure.candidate.checks + 1,
        attempts=failure.attempts,
        outcome=VerificationOutcome.FAILED,
        decision="",
        note="",
        error=failure.error,
        updated_at=run.now,
    )


def _remember(run: Run, rows: Sequence[SignalVerification]) -> None:
    SignalVerification.objects.using(run.connection.alias).bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["signal"],
        update_fields=[
            "status",
            "next_check_at",
            "checks",
            "attempts",
            "outcome",
            "decision",
            "note",
            "error",
            "updated_at",
        ],
    )
