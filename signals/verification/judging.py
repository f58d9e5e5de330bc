"""Judging in the database: one statement claims what is due, judges it, and writes the verdicts.

It claims also the signals that judgement.py leaves out, and leaves them to evaluation.py.
"""

from collections import Counter
from typing import Final

from django.db import DatabaseError

from signals.choices import Decision
from signals.verification.bisection import is_row_error
from signals.verification.candidates import DUE, FOUND, RESCHEDULED, Batch, Candidate, claim
from signals.verification.judgement import judgement
from signals.verification.run import NOW, Run
from signals.verification.settings import Mode
from signals.verification.tally import COUNT_OF_DECISION
from signals.verification.writing import WRITTEN

# What was not written. A signal that another session holds is left to the next run. The planner expects few
# rows, and would join them in a nested loop; IN looks them up in a hash table.
_REST: Final = f"""
rest AS (
    UPDATE signal_verifications v
    SET run = %(run)s,
        leased_until = CASE WHEN is_open THEN {NOW} + %(lease)s END,
        {RESCHEDULED}
    FROM (
        SELECT found.*, is_candidate AND NOT is_young AND NOT is_given AS is_open, is_given AS is_held
        FROM (SELECT *, signal_id IN (SELECT signal FROM given) AS is_given FROM found) found
        WHERE signal_id NOT IN (SELECT signal FROM held)
    ) rest
    WHERE v.signal_id = rest.signal_id
    RETURNING is_open, is_held, v.signal_id, rest.event_key, rest.token_ca, rest.overdue, v.checks, v.attempts
)
SELECT count(*), decision, outdated, updates, false, false, NULL::bigint, NULL, NULL, NULL, NULL, NULL
FROM written
GROUP BY decision, outdated, updates
UNION ALL
SELECT 1, NULL, NULL, NULL, * FROM rest
"""  # noqa: S608

_FOUND: Final = f"WITH due AS MATERIALIZED ({DUE}), {FOUND}"
_WRITTEN: Final = f"{WRITTEN.replace('{is_claimed}', 'true')}, {_REST}"


def judge(run: Run, size: int) -> tuple[Batch, Counter[str]]:
    """Claim at most `size` due signals as claim() does, write the verdicts on most, and return the others.

    Return with them the counts of those that were judged. If the database refuses a row, nothing is judged,
    and all are returned.
    """
    try:
        with run.atomic():
            return _judge(run, size)
    except DatabaseError as error:
        if not is_row_error(error):
            raise
    return claim(run, size), Counter()


def _judge(run: Run, size: int) -> tuple[Batch, Counter[str]]:
    now = run.read_clock()
    given, parameters = judgement(run, now)
    parameters |= {"size": size, "is_on": run.settings.mode is Mode.ON, "only_since": None}
    rows = run.execute_by_index(f"{_FOUND}, {given}, {_WRITTEN}", parameters)
    counts: Counter[str] = Counter()
    candidates = []
    for number, decision, outdated, updates, is_open, is_held, *candidate in rows:
        if is_open:
            candidates.append(Candidate(*candidate))
        elif decision and not outdated:
            counts.update({"scanned": number, "evaluated": number, "updated": number * updates})
            counts[COUNT_OF_DECISION[Decision(decision)]] += number
        elif decision or is_held:
            counts.update({"scanned": number, "skipped": number})
    return Batch(now, candidates, is_last=sum(row[0] for row in rows) < size), counts
