"""What the evaluations of a batch change in the database, by what is stored there now."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from signals.choices import Decision, Note, SignalState
from signals.verification.arrays import as_array, as_text_array
from signals.verification.evaluation import Evaluation
from signals.verification.margin import verdict_margin
from signals.verification.run import Run
from signals.verification.tokens import Token
from signals.verification.verdict import Feature, Features

MOVES: Final = (Decision.UPGRADE, Decision.DOWNGRADE)
"""The decisions that change a signal's state; the others leave it a candidate."""
NO_TOKEN: Final = Token("", "")
"""What stands for the token of a signal that cannot be resolved."""
_STATES: Final = {state.value: state for state in SignalState}
_NAMES: Final = [(feature.value, feature) for feature in Feature]
WITHOUT_EVIDENCE: Final = (Note.FEATURE_STALE, Note.INSUFFICIENT_EVIDENCE, Note.EVIDENCE_DELAYED)
"""Notes that say that there is no evidence, or none any more."""

STATE: Final = """
CASE WHEN decision <> 'insufficient' THEN evidence END AS as_of,
        CASE WHEN %(mode)s = 'off' THEN 'candidate'
            WHEN decision = 'upgrade' THEN 'verified'
            WHEN decision = 'downgrade' THEN 'downgraded'
            ELSE 'candidate' END AS state
"""
"""SQL for the time of the evidence that decided, and the state that the decision gives the signal."""
GIVEN: Final = f"""
given AS MATERIALIZED (
    SELECT *, {STATE}
    FROM unnest(%(signals)s::bigint[], %(checks)s::integer[], %(evidence)s::timestamptz[],
        %(versions)s::integer[], %(decisions)s::text[], %(confidences)s::numeric[], %(notes)s::text[],
        %(named)s::text[], %(features)s::text[], %(chains)s::text[], %(addresses)s::text[],
        %(margins)s::numeric[])
        AS given(signal, checks, evidence, calc_version, decision, confidence, note, named, features,
            chain, address, margin)
)"""  # noqa: S608 - constants of this module
"""SQL for the evaluations as rows, from an array for each column."""

# OFFSET 0 keeps the planner from reading signal_events backwards by id until it meets the signal.
_LAST: Final = """
    LEFT JOIN LATERAL (
        SELECT e.new_state, e.decision, e.confidence, e.note, (e.metadata -> 'named')::text AS named,
            e.rules_sha256, e.metadata ->> 'as_of' IS NOT NULL AS is_founded
        FROM (
            SELECT * FROM signal_events
            WHERE signal_id = held.signal AND type = 'onchain_verify'
            OFFSET 0
        ) e
        ORDER BY e.id DESC
        LIMIT 1
    ) last ON true"""
_NO_LAST: Final = """
    CROSS JOIN (
        SELECT NULL AS new_state, NULL AS decision, NULL::numeric AS confidence, NULL AS note, NULL AS named,
            NULL AS rules_sha256, NULL::boolean AS is_founded
    ) last"""
# Whether the signal already has newer evidence, whether its row changes, and whether the verdict is a new
# one. Evidence that is missing by now says nothing new of a signal that was judged by evidence before.
_COMPARED: Final = """
compared AS MATERIALIZED (
    SELECT held.*, made.*
    FROM held<last>
    CROSS JOIN LATERAL (
        SELECT coalesce(held.as_of < held.stored_as_of, false) AS outdated
        OFFSET 0
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
COMPARED: Final = _COMPARED.replace("<last>", _LAST)
"""SQL that compares the evaluations in `held` with what is stored."""
COMPARED_FIRST: Final = _COMPARED.replace("<last>", _NO_LAST)
"""The same for signals without a verdict."""

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
    verdicts = [each.verdict for each in evaluations]
    tokens = [each.token or NO_TOKEN for each in evaluations]
    evidence = [each.evidence for each in evaluations]
    return {
        "signals": as_array(each.candidate.signal_id for each in evaluations),
        "checks": as_array(each.candidate.checks for each in evaluations),
        "evidence": as_array(f'"{each.as_of}"' if each else None for each in evidence),
        "versions": as_array(each.calc_version if each else None for each in evidence),
        "decisions": as_array(each.decision.value for each in verdicts),
        "confidences": as_array(each.confidence for each in verdicts),
        "notes": as_text_array(each.note.value if each.note else "" for each in verdicts),
        "named": as_text_array(json.dumps(each.named) if each.named else "[]" for each in verdicts),
        "features": as_text_array(
            features_as_json(each.features) if each else "{}" for each in evidence
        ),
        "chains": as_text_array(each.chain for each in tokens),
        "addresses": as_text_array(each.address for each in tokens),
        "margins": as_array(
            verdict_margin(run.rules, each.verdict.decision, each.evidence.features)
            if each.evidence
            else None
            for each in evaluations
        ),
        **run_parameters(run),
    }


def run_parameters(run: Run) -> dict[str, Any]:
    """Return the parameters of STATE and COMPARED."""
    return {
        "mode": run.settings.mode.value,
        "sha256": run.rules.sha256,
        "without_evidence": list(WITHOUT_EVIDENCE),
    }


def as_changes(rows: Sequence[Any], evaluations: Sequence[Evaluation]) -> list[Change]:
    """Return the rows of `compared` as changes."""
    by_signal = {evaluation.candidate.signal_id: evaluation for evaluation in evaluations}
    return [
        Change(by_signal[signal], _STATES[state], outdated, updates, adds)
        for signal, outdated, state, updates, adds in rows
    ]


def features_as_json(features: Features) -> str:
    """Return the features as a JSON object with all their digits; NaN and infinity are texts."""
    return (
        "{"
        + ", ".join([f'"{name}": {_number(features.get(feature))}' for name, feature in _NAMES])
        + "}"
    )


def _number(value: Any) -> str:
    if value is None:
        return "null"
    return str(value) if value.is_finite() else f'"{value}"'
