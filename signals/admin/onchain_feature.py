"""The page of on-chain features."""

from dataclasses import replace
from typing import Any, Final

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from signals.admin.base import PipelineAdmin
from signals.admin.cells import (
    count_column,
    list_column,
    percent,
    time_column,
    times,
    token_of_record,
)
from signals.admin.filters import (
    choice_filter,
    in_streams,
    moment_filter,
    open_filter,
)
from signals.admin.lists.orders import Condition, Order
from signals.admin.lists.values import first_values
from signals.admin.lists.views import View
from signals.admin.pages.belongings import measurement_sections
from signals.admin.pages.viewer import Viewer
from signals.choices import WINDOW_MINUTES
from signals.models import OnchainFeature

MAX_CHAINS: Final = 20
"""Chains up to which the list can be ordered by time: an index has that order for each chain and window."""

_GROWTH_AS_RATIO: Final = 2
"""The calc_version from which on growth is now / before; that of version 1 is (now - before) / before."""
_WINDOW_OPTIONS: Final = [(minutes, f"{minutes} min") for minutes in WINDOW_MINUTES]
_WINDOWS: Final = [Q(window_minutes=minutes) for minutes in WINDOW_MINUTES]


def _chains() -> list[Q] | None:
    """Return the chains that there are, or None if there are too many."""
    found = first_values(OnchainFeature, "chain", MAX_CHAINS + 1)
    return [Q(chain=chain) for chain in found] if len(found) <= MAX_CHAINS else None


def _ask_chain(value: str) -> Condition:
    return in_streams(Q(chain=value), "measured", _WINDOWS)


def _ask_window(value: str) -> Condition:
    return in_streams(Q(window_minutes=int(value)), "measured", _chains() or [Q()])


def _growth(row: OnchainFeature) -> str:
    if row.growth_ratio is None:
        return times(None)
    is_ratio = row.calc_version >= _GROWTH_AS_RATIO
    return times(row.growth_ratio if is_ratio else row.growth_ratio + 1)


def _share_column(name: str, heading: str) -> Any:
    return list_column(name, heading, lambda row: percent(getattr(row, name)))


@admin.register(OnchainFeature)
class OnchainFeatureAdmin(PipelineAdmin):
    list_display = (
        list_column("number", "Number", lambda row: row.pk, order="number"),
        token_of_record,
        list_column("window", "Window", lambda row: f"{row.window_minutes} min"),
        *(count_column("addr_active", "Active addresses"), count_column("tx_count", "Transfers")),
        list_column("growth", "Growth", _growth),
        *(_share_column("top10_share", "Top 10"), _share_column("self_loop_ratio", "Self-loops")),
        time_column("as_of_ts", "Measured", order="measured"),
    )
    list_filter = (
        open_filter("chain", "Chain", _ask_chain, is_text=False),
        choice_filter("window", "Window", _WINDOW_OPTIONS, _ask_window),
        moment_filter((("measured", "Measured", "as_of_ts"),)),
    )
    orders = (
        Order("number", "arrival", "pk", is_time=False),
        Order("measured", "time of measurement", "as_of_ts"),
    )
    views = (View("Measured in the last hour", {"from": "-1h"}),)
    ordering = ("-id",)
    search_fields = ("chain", "address")
    search_help_text = "Token address, chain:address or number"
    fieldsets = (
        (None, {"fields": ("id", "chain", "address", "window_minutes", "as_of_ts")}),
        (
            "Measured",
            {
                "fields": (
                    *("addr_active", "tx_count", "growth_ratio", "top10_share", "self_loop_ratio"),
                    *("calc_version", "from_block", "to_block", "block_hash", "created_at"),
                )
            },
        ),
    )

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return measurement_sections(row, Viewer(request.user))

    def get_orders(self, request: HttpRequest) -> list[Order]:
        """Return the orders; by time there is one index for each chain and window."""
        found = super().get_orders(request)
        chains = _chains()
        if chains is None:
            return [each for each in found if each.key == "pk"]
        streams = tuple(chain & window for chain in chains for window in _WINDOWS)
        return [
            each if each.key == "pk" or not streams else replace(each, streams=streams)
            for each in found
        ]
