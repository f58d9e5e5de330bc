"""The page of signals."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import path

from signals.admin.actions.pages import ActionsAdmin
from signals.admin.cells import (
    RISKS,
    STATES,
    VERIFICATION,
    decision_column,
    list_column,
    margin_column,
    next_check_column,
    tag_column,
    time_column,
    token_of_signal,
)
from signals.admin.filters import (
    choice_filter,
    moment_filter,
    of_order,
    of_text,
    open_filter,
    range_filter,
)
from signals.admin.lists.orders import Order
from signals.admin.lists.verification import (
    verification_filters,
    verification_orders,
    verification_times,
)
from signals.admin.lists.views import View
from signals.admin.pages.summary import signal_sections
from signals.admin.pages.viewer import Viewer
from signals.admin.recheck import check_again
from signals.admin.token import token_view
from signals.choices import SignalState
from signals.fields import GoplusRisk
from signals.models import Event, Signal

_OF_RECORD: Final = verification_filters("verification__", VERIFICATION)
_ARRIVAL: Final = ("arrival", "Arrival", "created_at")


@admin.register(Signal)
class SignalAdmin(ActionsAdmin):
    editable = ("event", "market_type", "advice_tag")
    list_display = (
        list_column("number", "Signal", lambda row: row.pk),
        token_of_signal,
        tag_column("state", "State", STATES),
        *(margin_column, decision_column("verdict")),
        time_column(
            *("verification__as_of", "Evidence"), order="evidence", needs=VERIFICATION, short=True
        ),
        next_check_column,
        tag_column("goplus_risk", "Risk", RISKS),
        time_column("created_at", "Arrived", order="arrival"),
    )
    list_filter = (
        choice_filter("state", "State", SignalState.choices, of_order("arrival", "state")),
        *(_OF_RECORD["decision"], _OF_RECORD["note"], _OF_RECORD["evidence_age"]),
        choice_filter(
            *("goplus_risk", "GoPlus risk", GoplusRisk.choices),
            of_order("arrival", "goplus_risk"),
        ),
        open_filter("market_type", "Market", of_text("arrival", "market_type")),
        open_filter("source_level", "Source level", of_text("arrival", "source_level")),
        *(_OF_RECORD["rules"], _OF_RECORD["margin"]),
        range_filter("confidence", "Confidence", "onchain_confidence"),
        moment_filter((_ARRIVAL, *verification_times("verification__")), VERIFICATION),
        *(_OF_RECORD["due"], _OF_RECORD["overdue"], _OF_RECORD["dead"]),
    )
    orders = (
        Order("arrival", "arrival", "created_at", tuple(Q(state=s) for s in SignalState.values)),
        *verification_orders("verification__", VERIFICATION),
        Order("confidence", "confidence", "onchain_confidence", is_time=False),
    )
    views = (
        View("Verified in the last hour", {"state": "verified", "time": "verdict", "from": "-1h"}),
        View("Stuck", {"overdue": "1"}),
        View("Dead", {"dead": "1"}),
        View("Downgraded today", {"state": "downgraded", "time": "verdict", "from": "today"}),
    )
    list_select_related = ("event", "verification")
    ordering = ("-id",)
    search_fields = ("id", "topic_id", "event__event_key", "event__symbol", "event__token_ca")
    search_help_text = "Event key or its beginning, token address, symbol, topic or number"
    autocomplete_fields = ("event",)
    fieldsets = (
        (None, {"fields": ("id", "event", "market_type", "advice_tag", "confidence")}),
        (
            "Verification",
            {"fields": ("state", "onchain_asof_ts", "onchain_confidence")},
        ),
        ("Times", {"fields": ("ts", "created_at", "updated_at")}),
        (
            "Token",
            {
                "fields": (
                    *("goplus_risk", "goplus_tax", "buy_tax", "sell_tax", "honeypot"),
                    *("lp_lock_days", "dex_liquidity", "dex_volume_1h"),
                )
            },
        ),
        (
            "Topic",
            {
                "classes": ("collapse",),
                "fields": (
                    *("topic_id", "topic_entities", "topic_keywords", "topic_slope_10m"),
                    *("topic_slope_30m", "topic_mention_count", "topic_confidence"),
                    *("topic_merge_mode", "topic_sources", "topic_evidence_links"),
                ),
            },
        ),
        (
            "Source",
            {
                "classes": ("collapse",),
                "fields": ("source_level", "heat_slope", "features_snapshot"),
            },
        ),
    )

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return the filters; who may not view verifications filters by the time of arrival alone."""
        found = super().get_list_filter(request)
        if request.user.has_perm(f"signals.{VERIFICATION}"):
            return found
        return [*found, moment_filter((_ARRIVAL,))]

    def get_urls(self) -> list[Any]:
        """Return the addresses of the pages of signals, and those of tokens."""
        view = self.admin_site.admin_view(token_view)
        return [
            path("token/<str:chain>/<str:address>/", view, name="signals_token"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        sections = signal_sections(row, Viewer(request.user), self.hidden_fields(request))
        offered = {"signal_actions": self.actions_of_signal(request, row.pk)}
        return super().page_context(request, row) | sections | offered

    def hidden_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return () if Viewer(request.user).may_view(Event) else ("event",)

    def changeable(self, request: HttpRequest, obj: Any) -> tuple[str, ...]:
        """Return the same without the event of a signal that has a verdict, which is about its token.

        Who may not view events does not choose one either: what is refused would tell which there are.
        """
        is_kept = obj is not None and obj.state != SignalState.CANDIDATE
        kept = {"event"} if is_kept else set(self.hidden_fields(request))
        return tuple(name for name in super().changeable(request, obj) if name not in kept)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the changes; a candidate of another event is checked by the next run."""
        super().save_model(request, obj, form, change)
        if "event" in form.changed_data:
            check_again(Signal.objects.filter(pk=obj.pk))
