"""The page of signals."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest
from django.urls import path

from signals.admin.actions.pages import ActionsAdmin
from signals.admin.columns import age_column, number_column, token_link_column
from signals.admin.filters import age_filter, recent_values_filter
from signals.admin.pages.summary import signal_sections
from signals.admin.pages.viewer import Viewer
from signals.admin.recheck import check_again
from signals.admin.token import token_view
from signals.choices import SignalState
from signals.fields import GoplusRisk
from signals.models import Event, Signal


@admin.register(Signal)
class SignalAdmin(ActionsAdmin):
    editable = ("event", "market_type", "advice_tag")
    list_display = (
        *("id", token_link_column, "state", age_column("created_at"), "goplus_risk"),
        *("market_type", "advice_tag", "confidence", number_column("onchain_confidence")),
    )
    list_filter = (
        "state",
        "goplus_risk",
        recent_values_filter("market_type"),
        age_filter("created_at", state__in=SignalState.values),  # for idx_signals_state_created_at
    )
    list_select_related = ("event",)
    ordering = ("-id",)
    sortable_by = ("id",)
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

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse a value that goplus_risk_enum does not have; PostgreSQL would raise an error for it."""
        if lookup == "goplus_risk__exact" and value not in GoplusRisk.values:
            raise IncorrectLookupParameters
        return super().lookup_allowed(lookup, value, request)

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
