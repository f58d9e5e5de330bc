"""What an evaluation changes in the database, by what is stored there now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from signals.choices import Decision, SignalState
from signals.verification.evaluation import Evaluation
from signals.verification.run import Run
from signals.verification.settings import Mode

DECISION_STATES: Final[Mapping[Decision, SignalState]] = MappingProxyType(
    {Decision.UPGRADE: SignalState.VERIFIED, Decision.DOWNGRADE: SignalState.DOWNGRADED}
)
"""The state that a decision moves a signal to; the other decisions leave it a candidate."""

# For each evaluation whose signal is still a candidate that no other run has checked meanwhile: whether
# the signal already has newer evidence, whether its row changes, and whether the verdict is a new one.
_COMPARE: Final = """
SELECT s.id,
    coalesce(given.as_of < s.onchain_asof_ts, false),
    given.as_of IS NOT NULL
        AND (s.state, s.onchain_asof_ts, s.onchain_confidence)
        IS DISTINCT FROM (given.state, given.as_of, given.confidence),
    given.state <> s.state
        OR (last.new_state, last.decision, last.confidence, last.note, last.named, last.rules_sha256)
        IS DISTINCT FROM
        (given.state, given.decision, given.confidence, given.note, given.named, given.rules_sha256)
FROM jsonb_to_recordset(%s::jsonb) AS given(
    signal bigint, checks integer, as_of timestamptz, state text, decision text,
    confidence numeric, note text, named jsonb, rules_sha256 text
)
JOIN signals s ON s.id = given.signal AND s.state = 'candidate'
LEFT JOIN signal_verifications v ON v.signal_id = s.id
LEFT JOIN LATERAL (
    SELECT e.new_state, e.decision, e.confidence, e.note, e.metadata -> 'named' AS named,
        e.rules_sha256
    FROM signal_events e
    WHERE e.signal_id = s.id AND e.type = 'onchain_verify'
    ORDER BY e.id DESC
    LIMIT 1
) last ON true
WHERE coalesce(v.checks, 0) = given.checks
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What an evaluation changes: the signal's new state, its row, and a row of signal_events.

    `outdated`: the signal already has newer evidence, so the evaluation changes nothing.
    """

    evaluation: Evaluation
    state: SignalState
    outdated: bool
    updates_signal: bool
    adds_event: bool


def plan_changes(run: Run, evaluations: Sequence[Evaluation]) -> list[Change]:
    """Return what each evaluation would change.

    An evaluation is left out if its signal is gone or no longer a candidate, or if another run has
    checked it meanwhile.
    """
    by_signal = {evaluation.candidate.signal_id: evaluation for evaluation in evaluations}
    with run.connection.cursor() as cursor:
        cursor.execute(_COMPARE, [evaluations_as_json(run, evaluations)])
        rows = cursor.fetchall()
    return [
        Change(
            evaluation=(evaluation := by_signal[signal_id]),
            state=SignalState.CANDIDATE if outdated else state_after(run, evaluation),
            outdated=outdated,
            updates_signal=updates and not outdated,
            adds_event=adds and not outdated,
        )
        for signal_id, outdated, updates, adds in rows
    ]


def state_after(run: Run, evaluation: Evaluation) -> SignalState:
    """Return the state that the verdict moves the signal to; with the rules off it stays a candidate."""
    if run.settings.mode is Mode.OFF:
        return SignalState.CANDIDATE
    return DECISION_STATES.get(evaluation.verdict.decision, SignalState.CANDIDATE)


def evaluations_as_json(run: Run, evaluations: Sequence[Evaluation]) -> str:
    """Return the evaluations as the one JSON parameter of a statement that reads them as rows."""
    return json.dumps([_as_record(run, evaluation) for evaluation in evaluations])


def _as_record(run: Run, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "signal": evaluation.candidate.signal_id,
        "checks": evaluation.candidate.checks,
        "as_of": evaluation.as_of.isoformat() if evaluation.as_of else None,
        "state": state_after(run, evaluation),
        "decision": evaluation.verdict.decision,
        "confidence": str(evaluation.verdict.confidence),
        "note": evaluation.verdict.note or "",
        "named": evaluation.verdict.named,
        "rules_sha256": run.rules.sha256,
    }
