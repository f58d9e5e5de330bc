"""The pages of what pull_features has read: how far each token is, and what it saw of each chain."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html

from signals.admin.base import PipelineAdmin
from signals.admin.cells import (
    count_column,
    list_column,
    plain_column,
    time_column,
    token_of_record,
)
from signals.admin.columns import EMPTY_VALUE
from signals.admin.lists.orders import Order
from signals.chain_models import ChainCursor, ChainState
from signals.texts import shortened


def _history(cursor: ChainCursor) -> str:
    """Return whether the history of the token is read as a whole, without which the top 10 are missing."""
    return "Whole" if cursor.first_block == 0 else f"From block {cursor.first_block:,}"


def _failure(cursor: ChainCursor) -> str:
    """Return the last error, with the number of pulls that failed in a row."""
    if not cursor.error:
        return EMPTY_VALUE
    times = "once" if cursor.attempts == 1 else f"{cursor.attempts} times"
    return format_html('{}<span class="more">failed {}</span>', shortened(cursor.error, 80), times)


def _lag(state: ChainState) -> str:
    """Return how many blocks are not confirmed yet."""
    if state.head is None or state.confirmed is None:
        return EMPTY_VALUE
    return f"{state.head - state.confirmed:,}"


@admin.register(ChainCursor)
class ChainCursorAdmin(PipelineAdmin):
    list_display = (
        list_column("number", "Number", lambda row: row.pk, order="number"),
        *(token_of_record, list_column("history", "History", _history)),
        *(count_column("block", "Read to block"), time_column("block_at", "Time of the block")),
        *(count_column("transfers", "Transfers"), count_column("reorgs", "Reorgs")),
        *(list_column("failure", "Error", _failure), time_column("pulled_at", "Pulled")),
    )
    orders = (Order("number", "first pull", "pk", is_time=False),)
    ordering = ("-id",)
    search_fields = ("chain", "address")
    search_help_text = "Token address, chain:address or number"
    fieldsets = (
        (None, {"fields": ("id", "chain", "address", "wanted_at", "pulled_at", "created_at")}),
        (
            "Read",
            {
                "fields": (
                    *("first_block", "block", "hash", "block_at", "kept_from", "transfers"),
                    "reorgs",
                )
            },
        ),
        ("Work", {"fields": ("run", "leased_until", "attempts", "retry_at", "error")}),
    )


@admin.register(ChainState)
class ChainStateAdmin(PipelineAdmin):
    list_display = (
        *(plain_column("chain", "Chain"), count_column("head", "Newest block")),
        *(time_column("head_at", "Time of the block"), list_column("lag", "Unconfirmed", _lag)),
        *(count_column("logs", "Logs"), count_column("requests", "Requests")),
        *(count_column("retries", "Retries"), count_column("reorgs", "Reorgs")),
        *(plain_column("error", "Error", most=80), time_column("passed_at", "Last whole pass")),
        time_column("heartbeat_at", "Last sign of life"),
    )
    orders = (Order("chain", "name", "pk", is_time=False),)
    ordering = ("chain",)
    search_fields = ("chain",)
    search_help_text = "Name of the chain"
    fieldsets = (
        (None, {"fields": ("chain", "chain_id", "error", "heartbeat_at", "passed_at")}),
        ("Seen", {"fields": ("head", "head_at", "confirmed", "confirmed_at")}),
        ("Counted", {"fields": ("logs", "requests", "retries", "reorgs")}),
    )

    def page_context(self, request: Any, row: Any) -> dict[str, Any]:
        return {**super().page_context(request, row), "title": f"Chain {row.chain}"}
