"""The page of the texts of rules files, each kept since a run first used it."""

from typing import Any

from django.contrib import admin

from signals.admin.base import PipelineAdmin
from signals.admin.cells import list_column, plain_column, time_column
from signals.admin.columns import text_column
from signals.admin.lists.orders import Order
from signals.models import VerificationRules, VerificationRun


def _in_force(rules: VerificationRules) -> bool:
    """Return whether the run with the newest sign of life used these rules."""
    newest = VerificationRun.objects.order_by("-heartbeat_at").values_list("rules_sha256").first()
    return newest == (rules.sha256,)


in_force_column: Any = admin.display(_in_force, description="in force", boolean=True)


@admin.register(VerificationRules)
class VerificationRulesAdmin(PipelineAdmin):
    list_display = (
        list_column("number", "Rules", lambda row: row.pk, order="number"),
        plain_column("sha256", "SHA-256 of the file", most=64),
        time_column("created_at", "First used"),
    )
    orders = (Order("number", "first use", "pk", is_time=False),)
    ordering = ("-id",)
    search_fields = ("sha256",)
    search_help_text = "SHA-256 of the file"
    fieldsets = (
        (None, {"fields": ("id", in_force_column, "sha256", "created_at", text_column("text"))}),
    )
