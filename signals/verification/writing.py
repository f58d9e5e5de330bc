"""Writing a batch: its evaluations in one statement, its failures in another.

A writer locks the signals of its batch that no other session has locked, and compares with what is stored
only then. An evaluation counts if its signal is still a candidate and still claimed by the run, and the
signal has no newer evidence. A killed writer leaves nothing; its signals are due again when the lease ends.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

from signals.verification.bisection import RefusedRow, bisect_writes
from signals.verification.changes import (
    COMPARED,
    GIVEN,
    MOVES,
    Change,
    as_changes,
    comparison_parameters,
)
from signals.verification.evaluation import MAX_FAILURES, Evaluation, Failure
from signals.verification.features import DECIDING_WINDOW, MAX_EVIDENCE_AGE
from signals.verification.run import NOW, Run

FIRST_RETRY_DELAY: Final = timedelta(minutes=1)
"""From the first failure to the next check; each further failure doubles it."""

# When a check can change something at the earliest, without newer evidence: a withheld move with the rules
# on, an older look when the TTL is over, missing evidence when the timeout makes it delayed, evidence when
# it becomes stale. Else nothing but newer evidence or other rules can.
_NEXT_CHECK: Final = f"""
CASE
    WHEN c.new_state <> 'candidate' THEN NULL
    WHEN c.outdated THEN {NOW} + %(ttl)s
    WHEN c.note = 'insufficient_evidence' THEN
        greatest({NOW} + %(ttl)s, least(c.made_at, '9998-01-01') + %(timeout)s + interval '1 microsecond')
    WHEN c.evidence IS NULL OR c.note = 'feature_stale' THEN '9999-01-01'
    ELSE greatest({NOW} + %(ttl)s, c.evidence + %(max_age)s + interval '1 microsecond')
END
"""
CHECKED: Final = {
    "run": "%(run)s",
    "status": "CASE WHEN c.new_state = 'candidate' THEN 'waiting' ELSE 'settled' END",
    "next_check_at": _NEXT_CHECK,
    "attempts": "0",
    "error": "''",
    "outcome": "CASE WHEN c.outdated THEN 'skipped' ELSE 'evaluated' END",
    "decision": "c.decision",
    "note": "c.note",
    "updated_at": NOW,
    "leased_until": "NULL::timestamptz",
    "chain": "c.chain",
    "address": "c.address",
    "as_of": "c.evidence",
    "rules_id": "%(rules)s",
    "withheld": "c.decision = ANY (%(moves)s) AND c.new_state = 'candidate' AND NOT c.outdated",
    "margin": "c.margin",
}
"""The columns of signal_verifications after a check, besides `checks`, as SQL by a row c of `compared`."""
CHANGED: Final = f"""
updated AS (
    UPDATE signals s
    SET state = c.state, onchain_asof_ts = c.as_of, onchain_confidence = c.confidence
    FROM written c
    WHERE s.id = c.signal AND c.updates
), added AS (
    INSERT INTO signal_events (signal_id, event_key, type, previous_state, new_state, decision,
        confidence, note, features, rules_sha256, run, created_at, metadata)
    SELECT c.signal, coalesce(c.event_key, ''), 'onchain_verify', 'candidate', c.new_state, c.decision,
        c.confidence, c.note, c.features::jsonb, %(sha256)s, %(run)s, {NOW},
        pg_catalog.jsonb_build_object('mode', %(mode)s::text, 'named', c.named::jsonb,
            'chain', nullif(c.chain, ''), 'address', nullif(c.address, ''), 'window_minutes', %(window)s,
            'as_of', c.evidence, 'calc_version', c.calc_version)
    FROM written c
    WHERE c.adds
)"""  # noqa: S608 - constants of this module, as below
"""SQL that writes signals and signal_events by the rows in `written`, which are those of `compared`."""
WRITTEN: Final = f"""
held AS MATERIALIZED (
    SELECT given.*, s.event_key, s.{{time}} AS made_at, s.onchain_asof_ts AS stored_as_of,
        s.onchain_confidence AS stored_confidence
    FROM given
    JOIN signals s ON s.id = given.signal
    WHERE s.state = 'candidate'
    FOR NO KEY UPDATE OF s SKIP LOCKED
), {COMPARED}, written AS (
    UPDATE signal_verifications v
    SET checks = v.checks + 1, {", ".join(f"{column} = {value}" for column, value in CHECKED.items())}
    FROM compared c
    WHERE v.signal_id = c.signal AND {{is_claimed}}
    RETURNING c.*
), {CHANGED}"""  # noqa: S608
_CLAIMED: Final = "v.run = %(run)s AND v.leased_until IS NOT NULL AND v.checks = c.checks"
_WRITE: Final = f"""
WITH {GIVEN}, {WRITTEN.replace("{is_claimed}", _CLAIMED)}
SELECT signal, outdated, new_state, updates, adds FROM written
"""  # noqa: S608
_FAIL: Final = f"""
UPDATE signal_verifications v
SET next_check_at = {NOW} + %(first)s * 2 ^ v.attempts, checks = v.checks + 1,
    attempts = v.attempts + 1, outcome = 'failed', decision = '', note = '', error = given.error,
    updated_at = {NOW}, leased_until = NULL, rules_id = %(rules)s, withheld = false, margin = NULL
FROM pg_catalog.jsonb_to_recordset(%(given)s::jsonb) AS given(signal bigint, checks integer, error text)
WHERE v.signal_id = given.signal AND v.run = %(run)s AND v.leased_until IS NOT NULL
    AND v.checks = given.checks
RETURNING v.signal_id
"""  # noqa: S608
_BURY: Final = f"""
UPDATE signal_verifications v
SET status = 'dead', next_check_at = NULL, updated_at = {NOW}
WHERE v.signal_id = ANY (%(ids)s) AND v.run = %(run)s AND v.status = 'waiting'
    AND v.leased_until IS NULL AND v.attempts >= %(max_failures)s
"""  # noqa: S608


def write_evaluations(run: Run, evaluations: Sequence[Evaluation]) -> list[Change]:
    """Write what the evaluations change, and return it.

    An evaluation is left out if another session has locked its signal or has moved or checked it meanwhile.
    """
    if not evaluations:
        return []
    parameters = {
        **comparison_parameters(run, evaluations),
        **writing_parameters(),
    }
    with run.atomic():
        return as_changes(run.execute_by_index(_WRITE, parameters), evaluations)


def writing_parameters() -> dict[str, Any]:
    """Return the parameters of WRITTEN, besides those of COMPARED."""
    return {"max_age": MAX_EVIDENCE_AGE, "window": DECIDING_WINDOW, "moves": list(MOVES)}


def write_failures(run: Run, failures: Sequence[Failure]) -> list[Failure]:
    """Write the failures to signal_verifications, and return those written.

    Each failure in a row doubles the time to the next check. A failure is left out if another run has
    claimed its signal meanwhile.
    """
    given = [
        {"signal": each.candidate.signal_id, "checks": each.candidate.checks, "error": each.error}
        for each in failures
    ]
    with run.atomic():
        rows = run.execute(_FAIL, {"given": json.dumps(given), "first": FIRST_RETRY_DELAY})
    written = {signal for (signal,) in rows}
    return [each for each in failures if each.candidate.signal_id in written]


def bury(run: Run, ids: Iterable[int]) -> Sequence[RefusedRow[int]]:
    """Make those of the signals dead whose last MAX_FAILURES checks failed; return those that cannot be."""

    def write(some: Sequence[int]) -> list[int]:
        with run.atomic():
            run.execute(_BURY, {"ids": list(some), "max_failures": MAX_FAILURES})
        return []

    return bisect_writes(list(ids), write)[1]
