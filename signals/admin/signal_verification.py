"""The page of signal verifications, which are the job's records of the signals that it checked."""

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from signals.admin.base import PipelineAdmin
from signals.admin.cells import (
    OUTCOMES,
    STATUSES,
    decision_column,
    list_column,
    margin_column,
    next_check_column,
    tag,
    tag_column,
    time_column,
    token_of_record,
)
from signals.admin.filters import moment_filter
from signals.admin.lists.verification import (
    verification_filters,
    verification_orders,
    verification_times,
)
from signals.admin.lists.views import View
from signals.admin.pages.belongings import verification_sections
from signals.admin.pages.viewer import Viewer
from signals.models import SignalVerification
from signals.texts import shortened

_FILTERS: Final = verification_filters("")


def _outcome(row: SignalVerification) -> str:
    """Return how the last check ended, with its error below."""
    shown = tag("outcome", row.outcome, OUTCOMES)
    if not row.error:
        return shown
    return format_html('{}<span class="more">{}</span>', shown, shortened(row.error, 80))


@admin.register(SignalVerification)
class SignalVerificationAdmin(PipelineAdmin):
    """The only page whose rows can be deleted: without its row, the job checks a dead signal again."""

    list_display = (
        list_column("number", "Signal", lambda row: row.signal_id),
        *(token_of_record, tag_column("status", "Status", STATUSES)),
        *(list_column("outcome", "Last check", _outcome), decision_column(), margin_column),
        time_column("as_of", "Evidence", order="evidence", short=True),
        next_check_column,
        time_column("updated_at", "Checked", order="verdict"),
    )
    list_filter = (
        *(_FILTERS["status"], _FILTERS["decision"], _FILTERS["note"], _FILTERS["evidence_age"]),
        *(_FILTERS["rules"], _FILTERS["margin"], moment_filter(verification_times(""))),
        *(_FILTERS["due"], _FILTERS["overdue"]),
    )
    orders = verification_orders("")
    views = (
        View("Overdue", {"overdue": "1"}),
        View("Dead", {"status": "dead"}),
        View("Checked in the last hour", {"time": "verdict", "from": "-1h"}),
    )
    ordering = (
        "status",
        "-updated_at",
    )  # of searches: ix_signal_verif_status has it, the dead first
    search_fields = ("signal__id",)
    search_help_text = (
        "Event key or its beginning, token address, symbol, topic or number of the signal"
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("signal", "status", "outcome", "decision", "margin", "note", "next_check_at"),
                    *("checks", "attempts", "error", "updated_at", "withheld"),
                )
            },
        ),
        (
            "Last check",
            {
                "fields": ("chain", "address", "as_of", "rules", "run", "leased_until"),
            },
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return verification_sections(row, Viewer(request.user))
