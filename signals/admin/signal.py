"""The page of signals."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse

from signals.admin.actions.pages import ActionsAdmin
from signals.admin.columns import age_column, json_column, number_column, token_link_column
from signals.admin.explained import explained
from signals.admin.filters import age_filter, recent_values_filter
from signals.admin.inlines import VerdictInline, VerificationInline
from signals.admin.recheck import check_again
from signals.choices import SignalState
from signals.fields import GoplusRisk
from signals.models import Signal


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
        if lookup == "goplus_risk__exact" and value not in GoplusRisk.values:
            raise IncorrectLookupParameters
        return super().lookup_allowed(lookup, value, request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show also the actions, and why the last verdict is what it is to those who may view verdicts."""
        number = unquote(object_id)
        context = {
            **(extra_context or {}),
            "signal_actions": self.actions_of_signal(request, number),
        }
        if request.user.has_perm("signals.view_signalevent"):
            context |= explained(number)
        return super().change_view(request, object_id, form_url, context)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return also the event of a signal that has a verdict, because the verdict is about its token."""
        fields = super().get_readonly_fields(request, obj)
        is_settled = obj is not None and obj.state != SignalState.CANDIDATE
        return ["event", *fields] if is_settled else fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the changes; a candidate of another event is checked by the next run."""
        super().save_model(request, obj, form, change)
        if "event" in form.changed_data:
            check_again(Signal.objects.filter(pk=obj.pk))
