"""The page of signal events, which are the verdicts on signals."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html

from signals.admin.base import PipelineAdmin
from signals.admin.cells import (
    STATES,
    key_column,
    link_column,
    list_column,
    plain_column,
    tag,
    time_column,
    with_note,
)
from signals.admin.filters import choice_filter, in_streams, moment_filter, of_order
from signals.admin.lists.orders import Condition, Order
from signals.admin.lists.views import View
from signals.admin.pages.belongings import verdict_sections
from signals.admin.pages.viewer import Viewer
from signals.choices import Decision, Note, SignalEventType, SignalState
from signals.models import Event, Signal, SignalEvent
from signals.texts import shortened

KINDS = [
    (kind, "Verdict" if kind == SignalEventType.ONCHAIN_VERIFY else label)
    for kind, label in SignalEventType.choices
]
"""The kinds of rows: the verdicts of the job, and what people did."""


def _ask_decision(value: str) -> Condition:
    notes = [Q(note=each) for each in ("", *Note.values)]
    return in_streams(Q(decision=value), "time", notes)


def _ask_note(value: str) -> Condition:
    decisions = [Q(decision=each) for each in Decision.values]
    return in_streams(Q(note=value), "time", decisions)


def _ask_state(value: str) -> Condition:
    return _ask_rare("new_state", value, SignalState.CANDIDATE)


def _ask_type(value: str) -> Condition:
    return _ask_rare("type", value, SignalEventType.ONCHAIN_VERIFY)


def _ask_rare(column: str, value: str, common: str) -> Condition:
    """Return the condition for a value; the index leaves out the one that nearly all rows have."""
    return of_order("" if value == common else "time", column)(value)


def _kind(row: SignalEvent) -> str:
    kind = dict(KINDS).get(row.type) or shortened(row.type, 40)
    if not row.person:
        return kind
    return format_html('{}<span class="more">by {}</span>', kind, shortened(row.person, 40))


def _change(row: SignalEvent) -> str:
    shown = tag("state", row.new_state, STATES)
    if row.previous_state == row.new_state:
        return shown
    before = STATES.get(row.previous_state, ("", row.previous_state))[1].lower()
    return format_html('{}<span class="more">was {}</span>', shown, before)


@admin.register(SignalEvent)
class SignalEventAdmin(PipelineAdmin):
    list_display = (
        list_column("number", "Verdict", lambda row: row.pk),
        link_column("signal", "Signal", Signal, "signal_id", needs="view_signal"),
        key_column("event_key", "Event", needs="view_event"),
        list_column("decision", "Decision", lambda row: with_note(row.decision, row.note)),
        list_column("change", "State", _change),
        plain_column("confidence", "Confidence"),
        list_column("type", "Kind", _kind),
        time_column("created_at", "Time", order="time"),
    )
    list_filter = (
        choice_filter("decision", "Decision", Decision.choices, _ask_decision),
        choice_filter("note", "Note", Note.choices, _ask_note),
        choice_filter("new_state", "New state", SignalState.choices, _ask_state),
        choice_filter("type", "Kind", KINDS, _ask_type),
        moment_filter((("time", "Time", "created_at"),)),
    )
    orders = (Order("time", "time", "created_at", twin=True),)
    views = (
        View("Last hour", {"from": "-1h"}),
        View("Upgrades today", {"decision": "upgrade", "from": "today"}),
        View("Downgrades today", {"decision": "downgrade", "from": "today"}),
        View("Set by hand", {"type": "override"}),
    )
    ordering = ("-id",)
    search_fields = ("signal__id", "run")
    search_help_text = (
        "Event key or its beginning, token address, symbol, topic, number of the signal, or run"
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("id", "signal", "event_key", "type", "created_at", "decision"),
                    *("confidence", "note", "previous_state", "new_state", "person", "reason"),
                )
            },
        ),
        (
            "Evidence",
            {"fields": ("features", "metadata", "rules_sha256", "run")},
        ),
    )

    def hidden_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return () if Viewer(request.user).may_view(Event) else ("event_key",)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return verdict_sections(row, Viewer(request.user))
