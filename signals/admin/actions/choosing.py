"""Freezing the signals that an action is about."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet

from signals.action_models import SignalAction
from signals.admin.actions.kinds import Kind
from signals.choices import ActionStatus
from signals.models import Signal

MAX_CHOSEN: Final = 1_000_000
"""Signals that one action changes at most."""
CHUNK: Final = 50_000
"""Signals that one statement freezes."""
KEPT: Final = 2
"""Actions of a person that wait for being confirmed; older ones are removed."""

# LATERAL with LIMIT keeps the planner at looking each signal up, where it would read whole tables.
_FREEZE: Final = """
WITH chosen AS MATERIALIZED (
    {chosen}
), described AS MATERIALIZED (
    SELECT s.id, s.state, coalesce(v.status = 'dead', false) AS is_dead
    FROM chosen
    CROSS JOIN LATERAL (SELECT s.id, s.state FROM signals s WHERE s.id = chosen.id LIMIT 1) s
    LEFT JOIN LATERAL (
        SELECT v.status FROM signal_verifications v WHERE v.signal_id = chosen.id LIMIT 1
    ) v ON true
), frozen AS (
    INSERT INTO signal_action_rows (action_id, signal_id, state)
    SELECT %s, id, state FROM described WHERE {condition}
)
SELECT state, is_dead, count(*), max(id), count(*) FILTER (WHERE {condition})
FROM described
GROUP BY state, is_dead
"""
_REMOVE_ROWS: Final = """
DELETE FROM signal_action_rows r
USING (
    SELECT signal_id FROM signal_action_rows WHERE action_id = %(action)s LIMIT %(size)s
) part
WHERE r.action_id = %(action)s AND r.signal_id = part.signal_id
"""


class TooMany(Exception):
    """More signals were chosen than one action may change."""


def choose(
    kind: Kind, user: Any, rows: QuerySet[Signal], selection: str, asked: int | None = None
) -> SignalAction | None:
    """Freeze the signals for an action of the kind, and return it; None if there is none that it is about.

    `selection` says how they were chosen, and `asked` how many, if they were named one by one. Raise TooMany
    if they are more than MAX_CHOSEN. A statement takes CHUNK signals; one that is stopped leaves nothing.
    """
    _remove_abandoned(str(user.pk))
    action = SignalAction(
        id=uuid4(),
        kind=kind.type.value,
        person_key=str(user.pk),
        person=user.get_username(),
        selection=selection,
        states=dict.fromkeys(("candidate", "verified", "downgraded", "dead", "others"), 0),
    )
    found = 0
    with transaction.atomic():
        action.save(force_insert=True)
        last = None
        while part := _freeze(action, kind, rows, last):
            for state, is_dead, count, _, frozen in part:
                found += count
                action.number += frozen
                action.states[state] += frozen
                action.states["dead"] += frozen * is_dead
                action.states["others"] += count - frozen
            if action.number > MAX_CHOSEN:
                raise TooMany
            if sum(row[2] for row in part) < CHUNK:
                break
            last = max(row[3] for row in part)
        if asked is not None:
            action.states["gone"] = asked - found
        if not action.number:
            transaction.set_rollback(True)
            return None
        action.save(update_fields=["number", "states"])
    return action


def _freeze(
    action: SignalAction, kind: Kind, rows: QuerySet[Signal], last: int | None
) -> Sequence[Any]:
    """Freeze the next signals, in the order of their numbers; return the counts of each state."""
    rows = rows.order_by("pk") if last is None else rows.order_by("pk").filter(pk__gt=last)
    try:
        chosen, parameters = rows.values("id")[:CHUNK].query.get_compiler(using="default").as_sql()
    except EmptyResultSet:
        return []
    sql = _FREEZE.format(chosen=chosen, condition=kind.condition)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, action.pk])
        return list(cursor.fetchall())


def remove_rows(action: SignalAction) -> None:
    """Take all signals off the action that it has not changed yet."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_REMOVE_ROWS, {"action": action.pk, "size": CHUNK})
            if cursor.rowcount < CHUNK:
                return


def _remove_abandoned(person_key: str) -> None:
    """Remove the oldest actions that the person never confirmed, and keep the newest ones."""
    chosen = SignalAction.objects.filter(person_key=person_key, status=ActionStatus.CHOSEN)
    for action in chosen.order_by("-created_at")[KEPT : KEPT + 10]:
        remove_rows(action)
        action.delete()
