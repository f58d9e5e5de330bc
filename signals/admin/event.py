"""The page of events."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.cells import (
    count_column,
    key_column,
    list_column,
    plain_column,
    tag_column,
    time_column,
    token_of_event,
)
from signals.admin.filters import (
    choice_filter,
    moment_filter,
    of_text,
    open_filter,
)
from signals.admin.lists.orders import Condition, Order
from signals.admin.lists.views import View
from signals.admin.pages.belongings import event_sections
from signals.admin.pages.viewer import Viewer
from signals.admin.recheck import check_again
from signals.models import Event, Signal

REFINED: Final[dict[Any, tuple[str, str]]] = {True: ("✓", "Yes"), False: ("✗", "Failed")}


def _ask_refined(value: str) -> Condition:
    rows = Q(refine_ok=value == "1")
    return Condition(rows, "last", (rows,))


@admin.register(Event)
class EventAdmin(PipelineAdmin):
    editable = ("type", "symbol", "token_ca")
    list_display = (
        key_column("event_key", "Event"),
        token_of_event,
        plain_column("type", "Type", most=24),
        plain_column("summary", "Summary", most=90),
        list_column("score", "Score", lambda row: f"{row.score:,.2f}"),
        count_column("heat_10m", "Heat 10 min"),
        tag_column("refine_ok", "Refined", REFINED),
        time_column("last_ts", "Last post", order="last"),
    )
    list_filter = (
        open_filter("type", "Type", of_text("last", "type")),
        choice_filter("refine_ok", "Refined", [("1", "Yes"), ("0", "No")], _ask_refined),
        moment_filter((("last", "Last post", "last_ts"),)),
    )
    orders = (Order("last", "last post", "last_ts", twin=True),)
    views = (
        View("Last hour", {"from": "-1h"}),
        View("Refinement failed", {"refine_ok": "0"}),
    )
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
