"""The page of on-chain features."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.columns import number_column, short_key_column
from signals.admin.filters import WindowFilter, recent_values_filter
from signals.admin.pages.belongings import measurement_sections
from signals.admin.pages.viewer import Viewer
from signals.models import OnchainFeature


@admin.register(OnchainFeature)
class OnchainFeatureAdmin(PipelineAdmin):
    list_display = (
        *("id", "chain", short_key_column("address"), "window_minutes", "as_of_ts"),
        *("addr_active", "tx_count", number_column("growth_ratio"), number_column("top10_share")),
        *(number_column("self_loop_ratio"), "calc_version"),
    )
    list_filter = (recent_values_filter("chain"), WindowFilter)
    ordering = ("-id",)
    sortable_by = ("id",)
    search_fields = ("chain", "address")
    search_help_text = "Token address, chain:address or number"
    fieldsets = (
        (None, {"fields": ("id", "chain", "address", "window_minutes", "as_of_ts")}),
        (
            "Measured",
            {
                "fields": (
                    *("addr_active", "tx_count", "growth_ratio", "top10_share", "self_loop_ratio"),
                    *("calc_version", "created_at"),
                )
            },
        ),
    )

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return measurement_sections(row, Viewer(request.user))
