"""The page of events."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.columns import age_column, short_key_column, short_text_column
from signals.admin.filters import age_filter, recent_values_filter
from signals.admin.pages.belongings import event_sections
from signals.admin.pages.viewer import Viewer
from signals.admin.recheck import check_again
from signals.models import Event, Signal


@admin.register(Event)
class EventAdmin(PipelineAdmin):
    editable = ("type", "symbol", "token_ca")
    list_display = (
        *(short_key_column("event_key"), "symbol", "type", short_text_column("summary")),
        *("score", "heat_10m", "refine_ok", age_column("last_ts")),
    )
    list_filter = ("refine_ok", recent_values_filter("type"), age_filter("last_ts"))
    ordering = ("-last_ts",)
    search_fields = ("event_key", "symbol", "topic_hash", "token_ca")
    search_help_text = "Event key or its beginning, token address, symbol or topic"
    fieldsets = (
        (None, {"fields": ("event_key", "type", "symbol", "token_ca", "summary")}),
        (
            "Heat",
            {
                "fields": (
                    *("start_ts", "last_ts", "time_bucket_start", "heat_10m", "heat_30m"),
                    *("score", "candidate_score", "last_sentiment", "last_sentiment_score"),
                )
            },
        ),
        (
            "Evidence",
            {
                "fields": (
                    *("evidence_count", "evidence", "keywords_norm"),
                    *("impacted_assets", "topic_hash", "topic_entities", "version"),
                )
            },
        ),
        (
            "Refinement",
            {
                "fields": (
                    *("refine_ok", "refine_ts", "refine_backend", "refine_latency_ms"),
                    *("refine_error", "refined_type", "refined_summary", "refined_confidence"),
                    *("refined_impacted_assets", "refined_reasons"),
                )
            },
        ),
    )

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {"title": "Event", "subtitle": str(row)} | event_sections(row, Viewer(request.user))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the changes; the candidates of a token whose address changed are checked by the next run."""
        super().save_model(request, obj, form, change)
        if "token_ca" in form.changed_data:
            check_again(Signal.objects.filter(event=obj.pk))
