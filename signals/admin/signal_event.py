"""The page of signal events, which are the verdicts on signals."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.columns import age_column, signal_link_column
from signals.admin.filters import age_filter
from signals.admin.pages.belongings import verdict_sections
from signals.admin.pages.viewer import Viewer
from signals.models import Event, SignalEvent


@admin.register(SignalEvent)
class SignalEventAdmin(PipelineAdmin):
    list_display = (
        *("id", signal_link_column, "decision", "confidence", "previous_state", "new_state"),
        *("note", age_column("created_at")),
    )
    list_filter = ("decision", "new_state", "note", age_filter("created_at"))
    ordering = ("-id",)
    sortable_by = ("id",)
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
