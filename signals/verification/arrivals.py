"""New signals by the range of keys: one statement takes a range, judges its signals, and writes the verdicts.

intake.py cuts what is new into ranges, of which each worker takes one at a time. The rows of
signal_verifications are written once, with the verdict. A killed worker leaves its range as it was, free at
once. What judgement.py leaves out, what is too young, what another session has locked and what has a verdict
from before is enrolled, to be claimed like any signal that waits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError

from signals.choices import Decision
from signals.verification.bisection import RefusedRow, is_row_error
from signals.verification.changes import COMPARED_FIRST
from signals.verification.intake import FIRST_CHECK, enrol
from signals.verification.judgement import judgement
from signals.verification.readable import readable
from signals.verification.run import NOW, Run
from signals.verification.tally import COUNT_OF_DECISION
from signals.verification.tokens import resolve
from signals.verification.writing import CHANGED, CHECKED

SAMPLE: Final = 1_000
"""New signals whose chains are read before the first range is judged."""

_FREE: Final = "SELECT low FROM verification_ranges ORDER BY low LIMIT 1 FOR UPDATE SKIP LOCKED"
# The bounds on the keys of the other tables keep the planner from reading these from their beginning.
_UNKNOWN: Final = """
s.id BETWEEN (SELECT low FROM taken) AND (SELECT high FROM taken) AND s.state = 'candidate'
    AND NOT EXISTS (
        SELECT FROM signal_verifications v
        WHERE v.signal_id = s.id
            AND v.signal_id BETWEEN (SELECT low FROM taken) AND (SELECT high FROM taken)
    )
"""
_FOUND: Final = f"""
WITH taken AS MATERIALIZED (
    DELETE FROM verification_ranges WHERE low = ({_FREE}) RETURNING low, high
), locked AS MATERIALIZED (
    SELECT s.id, s.event_key, s.{{time}}, s.onchain_asof_ts, s.onchain_confidence
    FROM signals s
    WHERE {_UNKNOWN} AND (s.{{time}} IS NULL OR s.{{time}} <= {NOW} - %(delay)s)
        AND NOT EXISTS (
            SELECT FROM signal_events e
            WHERE e.signal_id = s.id
                AND e.signal_id BETWEEN (SELECT low FROM taken) AND (SELECT high FROM taken)
        )
    ORDER BY s.id
    FOR NO KEY UPDATE OF s SKIP LOCKED
), found AS (
    SELECT s.id AS signal_id, {readable("s.event_key")} AS event_key, {readable("e.token_ca")} AS token_ca,
        s.{{time}} AS made_at, s.{{time}} IS NULL OR s.{{time}} < {NOW} - %(timeout)s AS overdue,
        s.onchain_asof_ts AS stored_as_of, s.onchain_confidence AS stored_confidence,
        true AS is_candidate, false AS is_young
    FROM locked s
    LEFT JOIN LATERAL (
        SELECT e.token_ca FROM events e WHERE e.event_key = s.event_key LIMIT 1
    ) e ON true
)"""  # noqa: S608 - constants of the modules, as below
_CARRIED: Final = ("event_key", "made_at", "stored_as_of", "stored_confidence")
_WAITING: Final = {
    **dict.fromkeys(CHECKED, "NULL"),
    "status": "'waiting'",
    "next_check_at": FIRST_CHECK,
    "attempts": "0",
    "outcome": "'skipped'",
    "updated_at": NOW,
    "withheld": "false",
    **dict.fromkeys(("error", "decision", "note", "chain", "address"), "''"),
}
# In the order of the keys, in which other sessions enrol signals too. One that is enrolled meanwhile is a
# duplicate, for which the whole range is enrolled instead.
_WRITTEN: Final = f"""
held AS (SELECT * FROM given), {COMPARED_FIRST}, enrolled AS (
    INSERT INTO signal_verifications (signal_id, checks, {", ".join(CHECKED)})
    SELECT c.signal, 1, {", ".join(CHECKED.values())} FROM compared c
    UNION ALL
    SELECT s.id, 0, {", ".join(_WAITING.values())} FROM signals s
    WHERE {_UNKNOWN} AND s.id NOT IN (SELECT signal FROM compared)
    ORDER BY 1
), written AS NOT MATERIALIZED (SELECT * FROM compared), {CHANGED}
SELECT count(*), decision, outdated, updates FROM written GROUP BY decision, outdated, updates
UNION ALL
SELECT 0, NULL, NULL, NULL FROM taken
"""  # noqa: S608

_SAMPLE: Final = f"""
SELECT {readable("s.event_key")}, {readable("e.token_ca")}
FROM (
    SELECT s.event_key FROM signals s
    WHERE s.id >= ({_FREE.replace(" FOR UPDATE SKIP LOCKED", "")}) ORDER BY s.id LIMIT {SAMPLE}
) s
LEFT JOIN LATERAL (SELECT e.token_ca FROM events e WHERE e.event_key = s.event_key LIMIT 1) e ON true
"""  # noqa: S608
_LIST: Final = f"""
WITH taken AS MATERIALIZED (SELECT low, high FROM verification_ranges WHERE low = ({_FREE}))
SELECT low, high, ARRAY(SELECT s.id FROM signals s WHERE {_UNKNOWN} ORDER BY s.id) FROM taken
"""  # noqa: S608
_REMOVE: Final = "DELETE FROM verification_ranges WHERE low = %(low)s AND high = %(high)s"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What became of a range: the counts of the judged signals, and those that could not be enrolled."""

    counts: Counter[str]
    refused: Sequence[RefusedRow[int]] = ()


def read_chains(run: Run) -> None:
    """Read the percentiles of the chains of some new signals, without which none of them is judged."""
    try:
        with run.atomic():
            rows = run.execute_by_index(_SAMPLE, {})
    except DatabaseError as error:
        if not is_row_error(error):
            raise
        return
    tokens = (resolve(key, contract, run.settings.chain_aliases) for key, contract in rows)
    chains = {token.chain for token in tokens if token}
    run.evidence.read_populations(run.connection, chains, run.read_clock())


def judge_range(run: Run) -> Arrivals | None:
    """Judge and enrol the signals of a range, which nobody else has; return None if there is none.

    If the database refuses a row, nothing is judged, and all are enrolled.
    """
    try:
        with run.atomic():
            return _judge_range(run)
    except DatabaseError as error:
        if not is_row_error(error):
            raise
    return enrol_range(run)


def enrol_range(run: Run) -> Arrivals | None:
    """Enrol the signals of a range; return None if there is none."""
    with run.atomic():
        rows = run.execute_by_index(_LIST, {})
    if not rows:
        return None
    ((low, high, ids),) = rows
    refused = enrol(run, ids)
    run.execute(_REMOVE, {"low": low, "high": high})
    return Arrivals(Counter(), refused)


def _judge_range(run: Run) -> Arrivals | None:
    given, parameters = judgement(run, run.read_clock(), _CARRIED)
    rows = run.execute_by_index(f"{_FOUND}, {given}, {_WRITTEN}", parameters)
    counts: Counter[str] = Counter()
    for number, decision, outdated, updates in rows:
        if decision and outdated:
            counts.update({"scanned": number, "skipped": number})
        elif decision:
            counts.update({"scanned": number, "evaluated": number, "updated": number * updates})
            counts[COUNT_OF_DECISION[Decision(decision)]] += number
    return Arrivals(counts) if rows else None
