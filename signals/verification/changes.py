"""What the evaluations of a batch change in the database, by what is stored there now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from signals.choices import Decision, Note, SignalState
from signals.verification.evaluation import Evaluation
from signals.verification.features import DECIDING_WINDOW
from signals.verification.run import Run
from signals.verification.settings import Mode
from signals.verification.verdict import Feature, Features

DECISION_STATES: Final[Mapping[Decision, SignalState]] = MappingProxyType(
    {Decision.UPGRADE: SignalState.VERIFIED, Decision.DOWNGRADE: SignalState.DOWNGRADED}
)
"""The state that a decision moves a signal to; the other decisions leave it a candidate."""
WITHOUT_EVIDENCE: Final = (Note.FEATURE_STALE, Note.INSUFFICIENT_EVIDENCE, Note.EVIDENCE_DELAYED)
"""Notes that say that there is no evidence, or none any more."""

GIVEN: Final = """
given AS MATERIALIZED (
    SELECT *
    FROM pg_catalog.jsonb_to_recordset(%(given)s::jsonb) AS given(
        signal bigint, checks integer, as_of timestamptz, evidence timestamptz, state text,
        decision text, confidence numeric, note text, named text, features text, metadata text,
        chain text, address text
    )
)"""
"""SQL for the evaluations as rows, from the parameter `given`."""

# Whether the signal already has newer evidence, whether its row changes, and whether the verdict is a new
# one. Evidence that is missing by now says nothing new of a signal that was judged by evidence before.
COMPARED: Final = """
compared AS MATERIALIZED (
    SELECT held.*, made.*
    FROM held
    LEFT JOIN LATERAL (
        SELECT e.new_state, e.decision, e.confidence, e.note, (e.metadata -> 'named')::text AS named,
            e.rules_sha256, e.metadata ->> 'as_of' IS NOT NULL AS is_founded
        FROM signal_events e
        WHERE e.signal_id = held.signal AND e.type = 'onchain_verify'
        ORDER BY e.id DESC
        LIMIT 1
    ) last ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(held.as_of < held.stored_as_of, false) AS outdated
    ) old
    CROSS JOIN LATERAL (
        SELECT old.outdated,
            CASE WHEN old.outdated THEN 'candidate' ELSE held.state END AS new_state,
            NOT old.outdated AND held.as_of IS NOT NULL
                AND (held.state, held.as_of, held.confidence)
                IS DISTINCT FROM ('candidate', held.stored_as_of, held.stored_confidence) AS updates,
            NOT old.outdated AND (
                held.state <> 'candidate'
                OR (held.state, held.decision, held.confidence, held.note, held.named, %(sha256)s)
                IS DISTINCT FROM (last.new_state, last.decision, last.confidence, last.note,
                    last.named, last.rules_sha256)
                AND NOT (held.note = ANY (%(without_evidence)s) AND coalesce(last.is_founded, false))
            ) AS adds
    ) made
)"""
"""SQL that compares the evaluations in `held` with what is stored."""

_PLAN: Final = f"""
WITH {GIVEN}, held AS (
    SELECT given.*, s.onchain_asof_ts AS stored_as_of, s.onchain_confidence AS stored_confidence
    FROM given
    JOIN signals s ON s.id = given.signal AND s.state = 'candidate'
), {COMPARED}
SELECT signal, outdated, new_state, updates, adds FROM compared
"""  # noqa: S608 - constants of this module


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
    """Return what each evaluation would change; one whose signal is no longer a candidate is left out."""
    if not evaluations:
        return []
    return as_changes(run.execute(_PLAN, comparison_parameters(run, evaluations)), evaluations)


def comparison_parameters(run: Run, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the parameters of GIVEN and COMPARED."""
    return {
        "given": f"[{','.join(_as_record(run, evaluation) for evaluation in evaluations)}]",
        "sha256": run.rules.sha256,
        "without_evidence": list(WITHOUT_EVIDENCE),
    }


def as_changes(rows: Sequence[Any], evaluations: Sequence[Evaluation]) -> list[Change]:
    """Return the rows of `compared` as changes."""
    by_signal = {evaluation.candidate.signal_id: evaluation for evaluation in evaluations}
    return [
        Change(by_signal[signal], SignalState(state), outdated, updates, adds)
        for signal, outdated, state, updates, adds in rows
    ]


def state_after(run: Run, evaluation: Evaluation) -> SignalState:
    """Return the state that the verdict moves the signal to; with the rules off it stays a candidate."""
    if run.settings.mode is Mode.OFF:
        return SignalState.CANDIDATE
    return DECISION_STATES.get(evaluation.verdict.decision, SignalState.CANDIDATE)


def _as_record(run: Run, evaluation: Evaluation) -> str:
    """Return the evaluation as JSON, with its parts that are stored as JSON as texts in it."""
    candidate, verdict = evaluation.candidate, evaluation.verdict
    token, evidence = evaluation.token, evaluation.evidence
    named = json.dumps(verdict.named)
    as_of = evidence.as_of.isoformat() if evidence else None
    metadata = {
        "mode": run.settings.mode.value,
        "named": list(verdict.named),
        "chain": token.chain if token else None,
        "address": token.address if token else None,
        "window_minutes": DECIDING_WINDOW,
        "as_of": as_of,
        "calc_version": evidence.calc_version if evidence else None,
    }
    return json.dumps(
        {
            "signal": candidate.signal_id,
            "checks": candidate.checks,
            "as_of": None if verdict.decision is Decision.INSUFFICIENT else as_of,
            "evidence": as_of,
            "state": state_after(run, evaluation),
            "decision": verdict.decision,
            "confidence": str(verdict.confidence),
            "note": verdict.note or "",
            "named": named,
            "features": features_as_json(evidence.features) if evidence else "{}",
            "metadata": json.dumps(metadata),
            "chain": token.chain if token else "",
            "address": token.address if token else "",
        }
    )


def features_as_json(features: Features) -> str:
    """Return the features as a JSON object with all their digits; NaN and infinity are texts."""
    return "{" + ", ".join(f'"{name}": {_number(features.get(name))}' for name in Feature) + "}"


def _number(value: Any) -> str:
    if value is None:
        return "null"
    return str(value) if value.is_finite() else f'"{float(value)}"'
