"""The orders and the filters by the job's record of a signal, for the lists of both."""

from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from signals.admin.filters import (
    RowsFilter,
    age_filter,
    choice_filter,
    flag_filter,
    in_streams,
    of_order,
    range_filter,
    rules_filter,
)
from signals.admin.front_page.figures import OVERDUE
from signals.admin.lists.orders import Condition, Order
from signals.choices import Decision, Note, VerificationStatus

_ENDED: Final = (VerificationStatus.SETTLED.value, VerificationStatus.DEAD.value)


def verification_orders(path: str, needs: str = "") -> tuple[Order, ...]:
    """Return the orders by the record's columns, to which the path leads: "verification__" or nothing."""
    statuses = tuple(Q(**{f"{path}status": status}) for status in VerificationStatus.values)
    waiting = (Q(**{f"{path}status": VerificationStatus.WAITING.value}),)
    return (
        Order("verdict", "last check", f"{path}updated_at", statuses, needs=needs),
        Order("evidence", "time of the evidence", f"{path}as_of", needs=needs),
        Order("margin", "margin", f"{path}margin", needs=needs, is_time=False),
        Order(
            *("next_check", "next check", f"{path}next_check_at", waiting),
            descending=False,
            needs=needs,
        ),
    )


def verification_times(path: str) -> tuple[tuple[str, str, str], ...]:
    """Return the times that a filter offers: name, title and column."""
    return (
        ("verdict", "Last check", f"{path}updated_at"),
        ("evidence", "Evidence", f"{path}as_of"),
    )


def verification_filters(path: str, needs: str = "") -> dict[str, type[RowsFilter]]:
    """Return the filters by the record's columns, by name."""
    decision, note, status = (f"{path}{name}" for name in ("decision", "note", "status"))

    def ask_decision(value: str) -> Condition:
        notes = [Q(**{note: each}) for each in ("", *Note.values)]
        return in_streams(Q(**{decision: value}), "verdict", notes)

    def ask_note(value: str) -> Condition:
        decisions = [Q(**{decision: each}) for each in Decision.values]
        return in_streams(Q(**{note: value}), "verdict", decisions)

    ask_status = of_order("verdict", status)

    def ask_due(since: timedelta) -> Condition:
        latest = timezone.now() - since
        due = Q(**{f"{path}next_check_at__lte": latest, status: VerificationStatus.WAITING.value})
        return Condition(due, "next_check", bounds=(("lte", latest),))

    def ask_rules(value: int) -> Condition:
        waiting = Q(**{status: VerificationStatus.WAITING.value, f"{path}checks__gt": 0})
        ended = Q(**{f"{status}__in": _ENDED})
        return in_streams(Q(**{f"{path}rules": value}), "verdict", [waiting, ended])

    return {
        "decision": choice_filter("decision", "Decision", Decision.choices, ask_decision, needs),
        "note": choice_filter("note", "Note", Note.choices, ask_note, needs),
        "status": choice_filter("status", "Status", VerificationStatus.choices, ask_status, needs),
        "dead": flag_filter("dead", "Dead", lambda: ask_status(VerificationStatus.DEAD), needs),
        "due": flag_filter("due", "Due", lambda: ask_due(timedelta()), needs),
        "overdue": flag_filter("overdue", "Overdue", lambda: ask_due(OVERDUE), needs),
        "margin": range_filter("margin", "Margin", f"{path}margin", is_percent=True, needs=needs),
        "evidence_age": age_filter(
            "evidence_age", "Age of evidence", f"{path}as_of", "evidence", needs
        ),
        "rules": rules_filter(ask_rules, needs),
    }
