"""Claiming the signals that are due: in one statement, such that no other worker gets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError

from signals.verification.bisection import bisect_writes, is_row_error
from signals.verification.readable import readable
from signals.verification.run import NOW, Run
from signals.verification.settings import Mode

# Each way to be due is one bounded scan of an index, in the order in which the signals became due:
# - the time of the next check has come (ix_signal_verif_waiting);
# - the last check was by other rules, and the TTL is over (ix_signal_verif_rules);
# - a move was withheld, and the rules are on (ix_signal_verif_withheld).
# A signal that this run has claimed before, or could not claim, is left to the next one.
_FREE: Final = f"""v.status = 'waiting' AND v.run IS DISTINCT FROM %(run)s
        AND v.signal_id <> ALL (%(unclaimable)s::bigint[])
        AND (v.leased_until IS NULL OR v.leased_until <= {NOW})"""
_TIME_HAS_COME: Final = f"""
SELECT v.signal_id, v.next_check_at AS since
FROM signal_verifications v
WHERE {_FREE} AND v.next_check_at <= {NOW}
ORDER BY v.next_check_at
LIMIT %(size)s
FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - constants of this module, as below
_OTHER_RULES: Final = f"""
SELECT looked_at.*
FROM verification_rules r
CROSS JOIN LATERAL (
    SELECT v.signal_id, v.updated_at + %(ttl)s AS since
    FROM signal_verifications v
    WHERE {_FREE} AND v.checks > 0 AND v.rules_id = r.id AND v.updated_at <= {NOW} - %(ttl)s
    ORDER BY v.updated_at
    LIMIT %(size)s
    FOR UPDATE SKIP LOCKED
) looked_at
WHERE r.id IS DISTINCT FROM %(rules)s
"""  # noqa: S608
_WITHHELD: Final = f"""
SELECT v.signal_id, v.updated_at AS since
FROM signal_verifications v
WHERE {_FREE} AND v.withheld AND %(is_on)s
ORDER BY v.updated_at
LIMIT %(size)s
FOR UPDATE SKIP LOCKED
"""  # noqa: S608
DUE: Final = f"""
SELECT signal_id, min(since) AS since
FROM (
    SELECT * FROM ({_TIME_HAS_COME}) time_has_come
    UNION ALL SELECT * FROM ({_OTHER_RULES}) other_rules
    UNION ALL SELECT * FROM ({_WITHHELD}) withheld
) due
GROUP BY signal_id
ORDER BY since, signal_id
LIMIT %(size)s
"""  # noqa: S608
_NAMED: Final = f"""
SELECT v.signal_id, v.next_check_at AS since
FROM signal_verifications v
WHERE {_FREE} AND v.signal_id = ANY (%(ids)s)
FOR UPDATE SKIP LOCKED
"""  # noqa: S608

# A candidate that no run knows yet (see intake.py), for a dry run, which writes nothing.
_UNKNOWN: Final = f"""
SELECT s.id AS signal_id, coalesce(s.{{time}}, 'epoch') + %(delay)s AS since
FROM signals s
LEFT JOIN signal_verifications v ON v.signal_id = s.id
WHERE s.state = 'candidate' AND (v.signal_id IS NULL OR v.status = 'settled')
    AND (s.{{time}} IS NULL OR s.{{time}} <= {NOW} - %(delay)s)
    AND (%(ids)s::bigint[] IS NULL OR s.id = ANY (%(ids)s))
ORDER BY s.{{time}} NULLS FIRST, s.id
LIMIT %(size)s
"""  # noqa: S608

# A signal that was moved by hand or is gone is settled; one that is younger than the delay, which may be
# longer than it was, waits until it is old enough. LIMIT keeps the planner from joining otherwise than by
# looking each row up, where it would meet rows of other signals, which perhaps cannot be read.
FOUND: Final = f"""
found AS MATERIALIZED (
    SELECT due.signal_id, due.since, {readable("s.event_key")} AS event_key,
        {readable("e.token_ca")} AS token_ca, s.{{time}} AS made,
        s.{{time}} IS NULL OR s.{{time}} < {NOW} - %(timeout)s AS overdue,
        coalesce(s.{{time}} >= %(only_since)s, %(only_since)s::timestamptz IS NULL) AS is_wanted,
        coalesce(s.state = 'candidate', false) AS is_candidate,
        coalesce(s.{{time}} > {NOW} - %(delay)s, false) AS is_young
    FROM due
    LEFT JOIN LATERAL (
        SELECT s.event_key, s.state, s.{{time}} FROM signals s WHERE s.id = due.signal_id LIMIT 1
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT e.token_ca FROM events e WHERE e.event_key = s.event_key LIMIT 1
    ) e ON true
)"""  # noqa: S608
RESCHEDULED: Final = """
    status = CASE WHEN is_candidate THEN v.status ELSE 'settled' END,
    next_check_at = CASE
        WHEN NOT is_candidate THEN NULL
        WHEN is_young THEN least(made, '9998-01-01') + %(delay)s
        ELSE v.next_check_at
    END"""
"""SQL for status and next check of the found signals, of which not all are to be checked now."""
_CLAIM: Final = f"""
WITH due AS MATERIALIZED ({{due}}), {FOUND}
UPDATE signal_verifications v
SET run = %(run)s,
    leased_until = CASE WHEN is_candidate AND NOT is_young THEN {NOW} + %(lease)s END,
    {RESCHEDULED}
FROM found
WHERE v.signal_id = found.signal_id
RETURNING is_candidate AND NOT is_young, v.signal_id, found.event_key, found.token_ca,
    found.overdue, v.checks, v.attempts, found.is_wanted
"""  # noqa: S608
_LOOK: Final = f"""
WITH due AS MATERIALIZED (({{due}}) UNION ALL ({_UNKNOWN})), {FOUND}
SELECT is_candidate AND NOT is_young, found.signal_id, found.event_key, found.token_ca,
    found.overdue, coalesce(v.checks, 0), coalesce(v.attempts, 0), found.is_wanted
FROM found
LEFT JOIN signal_verifications v ON v.signal_id = found.signal_id
ORDER BY found.since, found.signal_id
LIMIT %(size)s
"""  # noqa: S608
# The numbers alone, and a claim that reads nothing else, for a batch in which the database refuses a row.
_NUMBERS_TO_CLAIM: Final = "SELECT signal_id FROM ({due}) due"
_NUMBERS_TO_LOOK_AT: Final = f"""
SELECT signal_id FROM (({{due}}) UNION ALL ({_UNKNOWN})) due ORDER BY since, signal_id LIMIT %(size)s
"""  # noqa: S608
_CLAIM_UNREAD: Final = f"""
WITH due AS MATERIALIZED ({_NAMED})
UPDATE signal_verifications v SET run = %(run)s, leased_until = {NOW} + %(lease)s
FROM due
WHERE v.signal_id = due.signal_id
RETURNING v.signal_id, NULL, NULL, false, v.checks, v.attempts
"""  # noqa: S608
_RENEW: Final = f"""
UPDATE signal_verifications v SET leased_until = {NOW} + %(lease)s
WHERE v.signal_id = ANY (%(ids)s) AND v.run = %(run)s AND v.leased_until IS NOT NULL
"""  # noqa: S608
_RELEASE: Final = """
UPDATE signal_verifications v SET leased_until = NULL
WHERE v.signal_id = ANY (%(ids)s) AND v.run = %(run)s AND v.leased_until IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class _Way:
    """SQL for a batch of those that are due, for their numbers alone, and for the lock on them."""

    batch: str
    numbers: str
    lock: str


_CLAIMING: Final = _Way(_CLAIM, _NUMBERS_TO_CLAIM, "FOR UPDATE SKIP LOCKED")
_LOOKING: Final = _Way(_LOOK, _NUMBERS_TO_LOOK_AT, "")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the due signals a run checks; `ids` are checked even if they are not due."""

    ids: tuple[int, ...] = ()
    chain: str | None = None
    since: datetime | None = None


EVERY_SIGNAL: Final = Selection()
"""No selection: all that are due."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A signal that is due, as it was read.

    `overdue`: the signal is older than the timeout, so missing evidence is noted as delayed. `checks` is
    the number of checks so far, of which the last `attempts` failed. `is_wanted`: the signal is as young
    as the selection asks.
    """

    signal_id: int
    event_key: str | None
    token_ca: str | None
    overdue: bool
    checks: int
    attempts: int
    is_wanted: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """The candidates that a worker claimed at once, and the database's time then.

    `is_last`: fewer signals were due than were asked for. `refused` are the errors of those candidates,
    by number, whose row the database refused to read or to claim; nothing is known of their token.
    """

    now: datetime
    candidates: Sequence[Candidate]
    is_last: bool
    refused: Mapping[int, DatabaseError] = field(default_factory=dict)


def unread(number: int) -> Candidate:
    """Return the candidate of that number, of which nothing could be read."""
    return Candidate(number, None, None, overdue=False, checks=0, attempts=0)


def claim(run: Run, size: int, selection: Selection = EVERY_SIGNAL) -> Batch:
    """Claim at most `size` due signals, the longest due first, for the time of a lease.

    Signals that another session claims or writes at this moment are passed over. Each run claims a signal
    once. A claim ends when a verdict or a failure is written, by release(), or with the lease.
    """
    batch, refused = _batch(run, _CLAIMING, size, selection)

    def claim_unread(ids: Sequence[int]) -> list[Any]:
        with run.atomic():
            return run.execute(_CLAIM_UNREAD, {"ids": list(ids)})

    rows, failed = bisect_writes(list(refused), claim_unread)
    run.unclaimable.update(each.row for each in failed)
    without_token = [Candidate(*row) for row in rows] + [unread(each.row) for each in failed]
    return replace(batch, candidates=[*batch.candidates, *without_token], refused=refused)


def peek(run: Run, size: int, selection: Selection = EVERY_SIGNAL) -> Batch:
    """Return what claim() would claim after an intake, and write nothing."""
    batch, refused = _batch(run, _LOOKING, size, selection)
    without_token = map(unread, refused)
    return replace(batch, candidates=[*batch.candidates, *without_token], refused=refused)


def renew(run: Run, candidates: Sequence[Candidate]) -> None:
    """Renew the lease of claimed candidates."""
    run.execute(_RENEW, {"ids": [candidate.signal_id for candidate in candidates]})


def release(run: Run, candidates: Sequence[Candidate]) -> None:
    """Give claimed candidates back, as they were; this run does not claim them again."""
    if candidates:
        run.execute(_RELEASE, {"ids": [candidate.signal_id for candidate in candidates]})


def _batch(
    run: Run, way: _Way, size: int, selection: Selection
) -> tuple[Batch, dict[int, DatabaseError]]:
    """Return the batch without the rows that the database refuses, and the errors of those."""
    now = run.read_clock()
    parameters = {
        "size": size,
        "only_since": selection.since,
        "is_on": run.settings.mode is Mode.ON,
        "now": now,
    }

    def ask(query: str, ids: Sequence[int]) -> list[Any]:
        due = (_NAMED if ids else DUE).replace("FOR UPDATE SKIP LOCKED", way.lock)
        with run.atomic():
            return run.execute_by_index(
                query.replace("{due}", due), {**parameters, "ids": list(ids) or None}
            )

    refused: dict[int, DatabaseError] = {}
    try:
        rows = ask(way.batch, selection.ids)
        found = len(rows)
    except DatabaseError as error:
        if not is_row_error(error):
            raise
        numbers = [number for (number,) in ask(way.numbers, selection.ids)]
        found = len(numbers)
        rows, failed = bisect_writes(numbers, lambda some: ask(way.batch, some))
        refused = {each.row: each.error for each in failed}
    candidates = [Candidate(*row) for is_ready, *row in rows if is_ready]
    return Batch(now, candidates, is_last=found < size), refused
