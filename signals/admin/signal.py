"""The page of signals."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.columns import age_column, json_column, number_column, token_link_column
from signals.admin.filters import age_filter, recent_values_filter
from signals.admin.inlines import VerdictInline, VerificationInline
from signals.choices import SignalState
from signals.fields import GoplusRisk
from signals.models import Signal


@admin.register(Signal)
class SignalAdmin(PipelineAdmin):
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
    inlines = (VerificationInline, VerdictInline)
    fieldsets = (
        (None, {"fields": ("id", "event", "market_type", "advice_tag", "confidence")}),
        (
            "Verification",
            {"fields": ("state", "onchain_asof_ts", number_column("onchain_confidence"))},
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
                "fields": ("source_level", "heat_slope", json_column("features_snapshot")),
            },
        ),
    )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse a value that goplus_risk_enum does not have; PostgreSQL would raise an error for it."""
        if lookup.startswith("goplus_risk"):
            return lookup == "goplus_risk__exact" and value in GoplusRisk.values
        return super().lookup_allowed(lookup, value, request)
