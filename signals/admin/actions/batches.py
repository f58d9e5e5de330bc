"""Carrying out an action in batches.

A batch is one transaction: it takes signals off the action's list, changes them, and records each in
signal_events and in Django's log. So a batch that ends early leaves nothing, and no signal is changed twice.

A signal is locked before its state is read. The job takes a signal whose row it can lock, and writes only if
the signal still is a candidate that it has claimed (signals.verification.writing); a batch takes the claim
away. So neither loses what the other wrote.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from uuid import UUID

from django.contrib.admin.models import CHANGE
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from signals.action_models import SignalAction
from signals.admin.actions.kinds import RECHECK
from signals.choices import ActionStatus, RunOutcome, SignalEventType, SignalState
from signals.models import Signal
from signals.verification.candidates import Selection
from signals.verification.errors import ConfigurationError
from signals.verification.evaluation import describe_error
from signals.verification.health import revive
from signals.verification.job import Options, run_job

BATCH: Final = 2_000
"""Signals that one transaction changes."""
SECONDS: Final = 1.0
"""How long one request begins new batches."""
ATTEMPTS: Final = 8
"""How often a batch is tried whose signals others have locked."""
CHECKED_AT_ONCE: Final = 100
"""Signals that are verified again in the request, if they are not more; else the workers check them."""

logger = logging.getLogger(__name__)

# A batch that waits for a lock gives up before PostgreSQL looks for a deadlock, which might end the job's
# statement in its place. As the job does, it looks each signal up, whatever the planner knows of the tables.
_MANNERS: Final = """
SET LOCAL lock_timeout = '400ms'; SET LOCAL enable_seqscan = off; SET LOCAL jit = off
"""
_TAKE: Final = """
DELETE FROM signal_action_rows r
USING (
    SELECT signal_id FROM signal_action_rows
    WHERE action_id = %(action)s AND (%(after)s::bigint IS NULL OR signal_id > %(after)s)
    ORDER BY signal_id LIMIT %(size)s
) next
WHERE r.action_id = %(action)s AND r.signal_id = next.signal_id
RETURNING r.signal_id, r.state
"""
_LOCK: Final = """
SELECT id FROM signals WHERE id = ANY (%(ids)s) ORDER BY id FOR NO KEY UPDATE
"""
_NOW: Final = "pg_catalog.statement_timestamp()"
# The job checks them next; what a worker has claimed is not written any more.
_DUE: Final = f"""
memory AS (
    INSERT INTO signal_verifications AS v
        (signal_id, status, next_check_at, outcome, decision, note, error, updated_at)
    SELECT id, 'waiting', {_NOW}, 'skipped', '', '', '', {_NOW} FROM held ORDER BY id
    ON CONFLICT (signal_id) DO UPDATE
    SET status = 'waiting', next_check_at = excluded.next_check_at, attempts = 0, run = NULL,
        leased_until = NULL
)"""  # noqa: S608 - constants of this module, as below
_SETTLED: Final = """
memory AS (
    UPDATE signal_verifications v
    SET status = 'settled', next_check_at = NULL, run = NULL, leased_until = NULL
    FROM held
    WHERE v.signal_id = held.id
)"""
_AS_REVIVED: Final = "memory AS (SELECT)"
_CHANGE: Final = f"""
WITH held AS MATERIALIZED (
    SELECT s.id, s.state, s.event_key, coalesce(%(state)s, s.state) AS new_state
    FROM signals s
    WHERE s.id = ANY (%(ids)s)
), moved AS (
    UPDATE signals s SET state = held.new_state FROM held
    WHERE s.id = held.id AND held.state <> held.new_state
), {{memory}}, told AS (
    INSERT INTO signal_events (signal_id, event_key, type, previous_state, new_state, decision,
        note, features, rules_sha256, run, created_at, metadata, person, reason)
    SELECT id, coalesce(event_key, ''), %(kind)s, state, new_state, '', '', '{{{{}}}}', '', %(action)s,
        {_NOW}, '{{{{}}}}', %(person)s, %(reason)s
    FROM held
    ORDER BY id
), logged AS (
    INSERT INTO django_admin_log
        (action_time, user_id, content_type_id, object_id, object_repr, action_flag, change_message)
    SELECT {_NOW}, %(user)s, %(content_type)s, id::text, 'signal ' || id, {CHANGE},
        pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('changed',
            pg_catalog.jsonb_build_object(
                'fields', pg_catalog.jsonb_build_array(
                    CASE WHEN state <> new_state
                        THEN 'state from “' || state || '” to “' || new_state || '”'
                        ELSE %(unmoved)s END
                    || CASE WHEN %(reason)s = '' THEN '' ELSE ': ' || %(reason)s END),
                'values', pg_catalog.jsonb_build_object(
                    'state', pg_catalog.jsonb_build_array(state, new_state)),
                'reason', %(reason)s::text, 'action', %(action)s::text)))::text
    FROM held
    ORDER BY id
)
SELECT count(*) FROM held
"""  # noqa: S608
_UNMOVED: Final = {
    SignalEventType.RECHECK: "next check to now",
    SignalEventType.OVERRIDE: "state",
    SignalEventType.REVIVE: "verification from “dead” to “waiting”",
}


class Busy(Exception):
    """Other sessions have locked signals of the batch for longer than it waits."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a batch took off the list: the signals to be changed, and whether it was the last batch."""

    ids: Sequence[int]
    position: int | None
    is_last: bool


def carry_on(action_id: UUID, user: Any) -> None:
    """Carry out batches of a confirmed action for SECONDS, at least one; finish it after the last one.

    Raise Busy if others hold the signals; what was done stays done.
    """
    end = monotonic() + SECONDS
    while True:
        ids, is_last = _try_batch(action_id, user)
        if is_last:
            _check_at_once(action_id, ids)
            return
        if monotonic() > end:
            return


def _try_batch(action_id: UUID, user: Any) -> tuple[Sequence[int], bool]:
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _do_batch(action_id, user)
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected | LockNotAvailable):
                raise
    raise Busy


def _do_batch(action_id: UUID, user: Any) -> tuple[Sequence[int], bool]:
    """Do the next batch of a confirmed action; return its signals, and whether nothing is left."""
    with connection.cursor() as cursor:
        cursor.execute(_MANNERS)
    confirmed = SignalAction.objects.select_for_update()
    action = confirmed.filter(pk=action_id, status=ActionStatus.CONFIRMED).first()
    if action is None:
        return (), True
    taken = _take(action)
    changed = _change(action, user, taken.ids)
    action.done += changed
    action.missed += len(taken.ids) - changed
    action.position = taken.position
    if taken.is_last:
        action.status = ActionStatus.FINISHED
        action.finished_at = _clock()
    action.save(update_fields=["done", "missed", "position", "status", "finished_at"])
    return taken.ids, taken.is_last


def _take(action: SignalAction) -> _Taken:
    """Take signals off the list; those that had the wanted state when they were chosen stay as they are."""
    parameters = {"action": action.pk, "after": action.position, "size": BATCH}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters)
        rows = cursor.fetchall()
    ids = sorted(signal for signal, state in rows if state != action.state)
    position = max((signal for signal, _ in rows), default=action.position)
    return _Taken(ids, position, is_last=len(rows) < BATCH)


def _change(action: SignalAction, user: Any, ids: Sequence[int]) -> int:
    """Change and record the signals; return how many, as some may be gone, or not dead any more."""
    kind = SignalEventType(action.kind)
    state = {SignalEventType.RECHECK: "candidate", SignalEventType.REVIVE: None}.get(
        kind, action.state
    )
    memory = _DUE if state == SignalState.CANDIDATE else _SETTLED
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"ids": list(ids)})
        held = [signal for (signal,) in cursor.fetchall()]
        if kind is SignalEventType.REVIVE:
            held, memory = revive(connection, held), _AS_REVIVED
        parameters = {
            "ids": held,
            "state": state,
            "kind": kind.value,
            "action": action.pk,
            "person": action.person,
            "reason": action.reason,
            "user": user.pk,
            "content_type": ContentType.objects.get_for_model(Signal).pk,
            "unmoved": _UNMOVED[kind],
        }
        cursor.execute(_CHANGE.format(memory=memory), parameters)
        return int(cursor.fetchone()[0])


def _clock() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_NOW}")
        return cursor.fetchone()[0]


def is_checked_at_once(action: SignalAction) -> bool:
    """Return whether the signals are few enough to be verified again in the request."""
    return action.kind == RECHECK.type.value and action.number <= CHECKED_AT_ONCE


def _check_at_once(action_id: UUID, ids: Sequence[int]) -> None:
    """Verify the signals of a small action again; if that fails, the workers do, as they are due."""
    action = SignalAction.objects.get(pk=action_id)
    if not ids or action.status != ActionStatus.FINISHED or not is_checked_at_once(action):
        return
    try:
        report = run_job(Options(limit=None, selection=Selection(tuple(ids))))
    except ConfigurationError as error:
        checked: dict[str, Any] = {"error": str(error)}
    except DatabaseError as error:
        checked = {"error": describe_error(error)}
    else:
        checked = {**report.counts, "mode": report.mode.value}
        if report.outcome is not RunOutcome.FINISHED:
            checked = {"error": report.error}
    SignalAction.objects.filter(pk=action_id).update(checked=checked)
