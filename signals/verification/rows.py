"""The rows of signal_events and signal_verifications that a run writes."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from signals.choices import (
    SignalEventType,
    SignalState,
    VerificationOutcome,
    VerificationStatus,
)
from signals.models import SignalEvent, SignalVerification
from signals.verification.changes import DECISION_STATES, Change
from signals.verification.evaluation import Failure
from signals.verification.features import DECIDING_WINDOW
from signals.verification.run import Run

FIRST_RETRY_DELAY: Final = timedelta(minutes=1)
"""From the first failure to the next check; each further failure doubles it."""


def event_row(run: Run, change: Change) -> SignalEvent:
    """Return the verdict as a row of signal_events, with all that it rests on."""
    evaluation = change.evaluation
    candidate, verdict = evaluation.candidate, evaluation.verdict
    token, evidence = evaluation.token, evaluation.evidence
    return SignalEvent(
        signal_id=candidate.signal_id,
        event_key=candidate.event_key or "",
        type=SignalEventType.ONCHAIN_VERIFY,
        previous_state=SignalState.CANDIDATE,
        new_state=change.state,
        decision=verdict.decision,
        confidence=verdict.confidence,
        note=verdict.note or "",
        features=_as_json_numbers(evidence.features) if evidence else {},
        rules_sha256=run.rules.sha256,
        run=run.id,
        created_at=run.now,
        metadata={
            "mode": run.settings.mode.value,
            "named": list(verdict.named),
            "chain": token.chain if token else None,
            "address": token.address if token else None,
            "window_minutes": DECIDING_WINDOW,
            "as_of": evidence.as_of.isoformat() if evidence else None,
            "calc_version": evidence.calc_version if evidence else None,
        },
    )


def verification_row(run: Run, change: Change) -> SignalVerification:
    """Return the row of signal_verifications after an evaluation."""
    candidate, verdict = change.evaluation.candidate, change.evaluation.verdict
    moved = change.state is not SignalState.CANDIDATE
    # A move that is not made because the rules are off is due again in every run, so that the first
    # run with the rules on makes it.
    withheld = verdict.decision in DECISION_STATES and not change.outdated
    due = run.now if withheld else run.now + run.settings.ttl
    return SignalVerification(
        signal_id=candidate.signal_id,
        status=VerificationStatus.SETTLED if moved else VerificationStatus.WAITING,
        next_check_at=None if moved else due,
        checks=candidate.checks + 1,
        attempts=0,
        outcome=VerificationOutcome.SKIPPED if change.outdated else VerificationOutcome.EVALUATED,
        decision=verdict.decision,
        note=verdict.note or "",
        error="",
        updated_at=run.now,
    )


def failed_verification_row(run: Run, failure: Failure) -> SignalVerification:
    """Return the row of signal_verifications after a failure."""
    due = run.now + FIRST_RETRY_DELAY * 2 ** (failure.attempts - 1)
    return SignalVerification(
        signal_id=failure.candidate.signal_id,
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


def _as_json_numbers(features: Mapping[Any, float | None]) -> dict[str, float | str | None]:
    """Return the features with NaN and infinity as texts, because JSON has no such numbers."""
    return {
        str(name): value if value is None or math.isfinite(value) else str(value)
        for name, value in features.items()
    }
