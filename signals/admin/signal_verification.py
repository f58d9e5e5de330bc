"""The page of signal verifications, which are the job's records of the signals that it checked."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.columns import age_column, short_text_column, signal_number_column
from signals.models import SignalVerification


@admin.register(SignalVerification)
class SignalVerificationAdmin(PipelineAdmin):
    """The only page whose rows can be deleted: without its row, the job checks a dead signal again."""

    list_display = (
        *(signal_number_column, "status", "outcome", "decision", "note", "attempts"),
        *(short_text_column("error"), "next_check_at", age_column("updated_at")),
    )
    list_filter = ("status", "outcome", "decision", "note")
    ordering = ("status", "-updated_at")  # alphabetical, so the dead come first
    search_fields = ("signal__id",)
    search_help_text = (
        "Event key or its beginning, token address, symbol, topic or number of the signal"
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("signal", "status", "outcome", "decision", "note", "next_check_at"),
                    *("checks", "attempts", "error", "updated_at", "withheld", "margin"),
                )
            },
        ),
        (
            "Last check",
            {"fields": ("chain", "address", "as_of", "rules", "run", "leased_until")},
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
