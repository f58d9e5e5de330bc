"""Taking in what is new: signals that no run knows, and evidence newer than that of the last check.

Two cursors follow the primary keys of signals and onchain_features, so that a run reads only what was
added. Keys are not committed in their order, so each reading begins a little before the cursor. A third
cursor sweeps over all signals, some in each run, and finds whatever the others cannot see: a row committed
very late, a signal set back to candidate by hand, evidence whose time had not come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError

from signals.verification.bisection import RefusedRow, bisect_writes, is_row_error
from signals.verification.features import (
    ADDRESS_KEY,
    DECIDING_WINDOW,
    MAX_CLOCK_SKEW,
    MAX_ROW_AGE,
)
from signals.verification.run import BEFORE_ALL, NOW, Run

CHUNK: Final = 10_000
"""Rows that are read at once behind a cursor."""
OVERLAP: Final = 1_000
"""Keys before a cursor that are read again."""
SWEPT: Final = 5_000
"""Signals that the sweep looks at in each run."""

# Subqueries with LIMIT or OFFSET, and arrays of keys, keep the planner at one index probe for each row,
# where it would read a whole table for some thousands of them.

# A worker waits for a cursor in a statement of its own. The next one, in the same message and transaction,
# sees what the worker before it wrote, and is planned for tables that may have been empty before.
_LOCK: Final = """
SELECT FROM verification_cursors WHERE name = ANY (%(cursors)s) ORDER BY name FOR UPDATE
"""

# A time that Python cannot hold counts as very old or as very far.
FIRST_CHECK: Final = (
    "greatest('epoch', least('9999-01-01', coalesce(s.{time}, 'epoch') + %(delay)s))"
)
# Keys of a range are left to the worker that takes it.
_CURSORS: Final = f"""
WITH cursor AS MATERIALIZED (
    SELECT name, position FROM verification_cursors WHERE name IN ('signals', 'sweep')
), added AS MATERIALIZED (
    SELECT s.id, s.state, s.{{time}} FROM signals s
    WHERE s.id > (SELECT position FROM cursor WHERE name = 'signals') - %(overlap)s
        AND (%(is_new)s OR s.id <= (SELECT position FROM cursor WHERE name = 'signals'))
    ORDER BY s.id LIMIT %(chunk)s
), swept AS MATERIALIZED (
    SELECT s.id, s.state, s.{{time}} FROM signals s
    WHERE s.id > (SELECT position FROM cursor WHERE name = 'sweep')
        AND s.id <= (SELECT position FROM cursor WHERE name = 'signals')
    ORDER BY s.id LIMIT %(swept)s
), moved AS (
    UPDATE verification_cursors c
    SET position = CASE c.name
        WHEN 'signals' THEN greatest(c.position, (SELECT max(id) FROM added))
        ELSE (SELECT CASE WHEN count(*) = %(swept)s THEN max(id) ELSE {BEFORE_ALL} END FROM swept)
    END
    WHERE c.name = 'signals' OR c.name = 'sweep' AND %(swept)s > 0
), unknown AS MATERIALIZED (
    SELECT s.id, {FIRST_CHECK} AS first_check, v.status
    FROM (SELECT * FROM added UNION SELECT * FROM swept) s
    LEFT JOIN LATERAL (
        SELECT v.signal_id, v.status FROM signal_verifications v WHERE v.signal_id = s.id LIMIT 1
    ) v ON true
    WHERE s.state = 'candidate' AND (v.signal_id IS NULL OR v.status = 'settled')
        AND coalesce((
            SELECT r.high < s.id FROM verification_ranges r WHERE r.low <= s.id ORDER BY r.low DESC LIMIT 1
        ), true)
)"""  # noqa: S608 - constants of this module, as below
# DO NOTHING passes over a signal that was enrolled meanwhile by its number; DO UPDATE would wait until the
# batch is written that has it.
_ENROLLED: Final = f"""
reopened AS (
    UPDATE signal_verifications v
    SET status = 'waiting', next_check_at = settled.first_check, run = NULL
    FROM (
        SELECT v.signal_id, unknown.first_check
        FROM unknown
        JOIN signal_verifications v ON v.signal_id = unknown.id AND v.status = 'settled'
        WHERE unknown.status = 'settled'
        ORDER BY unknown.id
        FOR UPDATE OF v SKIP LOCKED
    ) settled
    WHERE v.signal_id = settled.signal_id
), enrolled AS (
    INSERT INTO signal_verifications
        (signal_id, status, next_check_at, outcome, decision, note, error, updated_at)
    SELECT id, 'waiting', first_check, 'skipped', '', '', '', {NOW}
    FROM unknown
    WHERE status IS NULL
    ORDER BY id
    ON CONFLICT (signal_id) DO NOTHING
)"""  # noqa: S608
_READ: Final = (
    "SELECT (SELECT count(*) FROM added), (SELECT min(id) FROM swept), (SELECT max(id) FROM swept)"
)
_ENROL: Final = f"{_CURSORS}, {_ENROLLED} {_READ}"
_LIST: Final = f"{_CURSORS} {_READ}, (SELECT array_agg(id ORDER BY id) FROM unknown)"  # noqa: S608
_ENROL_NAMED: Final = f"""
WITH unknown AS MATERIALIZED (
    SELECT s.id, {FIRST_CHECK} AS first_check, v.status
    FROM signals s
    LEFT JOIN signal_verifications v ON v.signal_id = s.id
    WHERE s.id = ANY (%(ids)s) AND s.state = 'candidate' AND (v.signal_id IS NULL OR v.status = 'settled')
), {_ENROLLED}
SELECT
"""  # noqa: S608

# A range begins after the one before it, so that keys that come late between them belong to one too.
_CUT: Final = """
WITH added AS MATERIALIZED (
    SELECT s.id, (row_number() OVER (ORDER BY s.id) - 1) / %(size)s AS range
    FROM (
        SELECT s.id FROM signals s
        WHERE s.id > (SELECT position FROM verification_cursors WHERE name = 'signals')
        ORDER BY s.id LIMIT %(chunk)s
    ) s
), moved AS (
    UPDATE verification_cursors SET position = (SELECT max(id) FROM added)
    WHERE name = 'signals' AND EXISTS (SELECT FROM added)
), cut AS (
    INSERT INTO verification_ranges (low, high)
    SELECT coalesce(lag(max(id)) OVER (ORDER BY range) + 1, min(id)), max(id) FROM added GROUP BY range
)
SELECT count(*) FROM added
"""

# The check of a signal comes forward to the end of the TTL after the last one, if there is newer
# evidence by then, or any that counts where there was none; to the time from which the evidence counts, if
# that is later. A signal that another session holds is left to the sweep.
_WORTH_A_CHECK: Final = f"coalesce(v.as_of + interval '1 microsecond', {NOW} - %(max_age)s)"
_WOKEN: Final = f"""
WITH cursor AS MATERIALIZED (
    SELECT position FROM verification_cursors WHERE name = 'features'
), added AS MATERIALIZED (
    SELECT f.id, f.chain, {ADDRESS_KEY} AS address, f.as_of_ts, f.window_minutes
    FROM onchain_features f
    WHERE f.id > (SELECT position FROM cursor) - %(overlap)s
    ORDER BY f.id LIMIT %(chunk)s
), moved AS (
    UPDATE verification_cursors c
    SET position = greatest(c.position, (SELECT max(id) FROM added))
    WHERE c.name = 'features'
), spelling AS MATERIALIZED (
    SELECT * FROM unnest(%(names)s::text[], %(chains)s::text[]) AS spelling(name, chain)
), newer AS (
    SELECT v.signal_id, added.as_of_ts
    FROM added
    JOIN spelling ON spelling.name = added.chain
    CROSS JOIN LATERAL (
        SELECT v.signal_id, v.chain, v.as_of FROM signal_verifications v
        WHERE v.address = added.address AND v.status = 'waiting' AND v.address > ''
        OFFSET 0
    ) v
    WHERE v.chain = spelling.chain AND added.window_minutes = %(window)s AND isfinite(added.as_of_ts)
        AND added.as_of_ts >= {_WORTH_A_CHECK}
    UNION ALL
    SELECT v.signal_id, newest.as_of_ts
    FROM signal_verifications v
    JOIN spelling ON spelling.chain = v.chain
    CROSS JOIN LATERAL (
        SELECT f.as_of_ts
        FROM onchain_features f
        WHERE f.chain = spelling.name AND {ADDRESS_KEY} = v.address
            AND f.window_minutes = %(window)s AND f.as_of_ts <= {NOW} + %(skew)s
        ORDER BY f.as_of_ts DESC, f.id DESC
        LIMIT 1
    ) newest
    WHERE v.signal_id BETWEEN %(low)s AND %(high)s AND v.status = 'waiting'
        AND newest.as_of_ts >= {_WORTH_A_CHECK}
), earliest AS MATERIALIZED (
    SELECT signal_id, min(as_of_ts) AS as_of_ts FROM newer GROUP BY signal_id
), woken AS MATERIALIZED (
    SELECT v.signal_id, greatest(v.updated_at + %(ttl)s, earliest.as_of_ts - %(skew)s) AS due
    FROM signal_verifications v
    JOIN earliest ON earliest.signal_id = v.signal_id
    WHERE v.signal_id = ANY (ARRAY(SELECT signal_id FROM earliest))
        AND v.next_check_at > greatest(v.updated_at + %(ttl)s, earliest.as_of_ts - %(skew)s)
    FOR NO KEY UPDATE OF v SKIP LOCKED
)"""  # noqa: S608
_BRING_FORWARD: Final = """
UPDATE signal_verifications v
SET next_check_at = woken.due
FROM woken
WHERE v.signal_id = ANY (ARRAY(SELECT signal_id FROM woken)) AND v.signal_id = woken.signal_id
"""
_WAKE: Final = f"{_WOKEN}, changed AS ({_BRING_FORWARD}) SELECT count(*) FROM added"  # noqa: S608
_LIST_WOKEN: Final = f"""
{_WOKEN}
SELECT (SELECT count(*) FROM added), array_agg(signal_id), array_agg(due::text) FROM woken
"""  # noqa: S608
_WAKE_NAMED: Final = f"""
WITH woken AS MATERIALIZED (
    SELECT v.signal_id, each.due
    FROM unnest(%(ids)s::bigint[], %(due)s::timestamptz[]) AS each(signal_id, due)
    JOIN signal_verifications v ON v.signal_id = each.signal_id AND v.next_check_at > each.due
    FOR NO KEY UPDATE OF v SKIP LOCKED
) {_BRING_FORWARD}
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Intake:
    """What an intake left: whether more signals are new, and those that the database refused to take in."""

    has_more: bool
    refused: Sequence[RefusedRow[int]]


def take_in(run: Run, *, sweep: bool = True, range_size: int | None = None) -> Intake:
    """Enrol new signals and wake those with newer evidence.

    With `sweep`, the next signals of the sweep are looked at too. All new evidence is read, and at most
    CHUNK new signals. With `range_size`, these are cut into ranges of so many instead of enrolled.
    """
    spellings = run.evidence.spellings(run.connection)
    pairs = [(name, chain) for chain, names in spellings.items() for name in names]
    sizes = {"chunk": CHUNK, "overlap": OVERLAP}
    swept = {"swept": SWEPT if sweep else 0, "is_new": range_size is None}
    (added, low, high), refused = _enrol({**sizes, **swept}, run)
    if range_size:
        added = _move(run, _CUT, ["signals"], {**sizes, "size": range_size})[0]
    parameters = {
        **sizes,
        "names": [name for name, _ in pairs],
        "chains": [chain for _, chain in pairs],
        "window": DECIDING_WINDOW,
        "skew": MAX_CLOCK_SKEW,
        "max_age": MAX_ROW_AGE,
    }
    seen = CHUNK
    while seen == CHUNK:
        seen, unwoken = _wake({**parameters, "low": low, "high": high}, run)
        refused += unwoken
        low = high = None
    return Intake(added == CHUNK, refused)


def _enrol(
    sizes: Mapping[str, int], run: Run
) -> tuple[tuple[int, int | None, int | None], list[RefusedRow[int]]]:
    """Enrol what is new, without the signals that the database refuses; return the row of _READ."""
    cursors = ["signals", "sweep"]
    try:
        return _move(run, _ENROL, cursors, sizes), []
    except DatabaseError as error:
        if not is_row_error(error):
            raise
    *read, ids = _move(run, _LIST, cursors, sizes)
    return (read[0], read[1], read[2]), enrol(run, ids or ())


def _wake(parameters: Mapping[str, Any], run: Run) -> tuple[int, list[RefusedRow[int]]]:
    """Wake signals, without those that the database refuses; return how many measurements were read."""
    cursors = ["features"]
    try:
        return _move(run, _WAKE, cursors, parameters)[0], []
    except DatabaseError as error:
        if not is_row_error(error):
            raise
    seen, ids, times = _move(run, _LIST_WOKEN, cursors, parameters)
    due = dict(zip(ids or (), times or (), strict=True))

    def wake_named(some: Sequence[int]) -> list[int]:
        with run.atomic():
            run.execute(_WAKE_NAMED, {"ids": list(some), "due": [due[number] for number in some]})
        return []

    return seen, bisect_writes(list(due), wake_named)[1]


def enrol(run: Run, ids: Sequence[int]) -> list[RefusedRow[int]]:
    """Enrol the candidates of these numbers; return those that the database refuses."""

    def write(some: Sequence[int]) -> list[int]:
        with run.atomic():
            run.execute(_ENROL_NAMED, {"ids": list(some)})
        return []

    return bisect_writes(ids, write)[1]


def _move(run: Run, sql: str, cursors: Sequence[str], parameters: Mapping[str, Any]) -> Any:
    """Send the statement that moves these cursors, which nobody else moves meanwhile; return its row."""
    with run.atomic():
        return run.execute(f"{_LOCK};\n{sql}", {**parameters, "cursors": list(cursors)})[0]
