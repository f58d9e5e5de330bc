"""The page of the runs of the job."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from signals.admin.base import PipelineAdmin
from signals.admin.cells import list_column, plain_column, tag_column, time_column
from signals.admin.columns import EMPTY_VALUE, json_column
from signals.admin.filters import choice_filter, moment_filter, of_order
from signals.admin.lists.orders import Order
from signals.choices import RunOutcome
from signals.models import VerificationRules, VerificationRun
from signals.texts import shortened

COUNTS = ("scanned", "updated", "errors")
"""The counts of a run that the list shows."""


OUTCOMES = {
    RunOutcome.RUNNING.value: ("○", "Running"),
    RunOutcome.FINISHED.value: ("✓", "Finished"),
    RunOutcome.INTERRUPTED.value: ("·", "Interrupted"),
    RunOutcome.STOPPED.value: ("▲", "Stopped"),
    RunOutcome.FAILED.value: ("✗", "Failed"),
}
"""The outcomes of a run, each as an icon and a word."""


def _count_of(name: str) -> Callable[[VerificationRun], str]:
    """Return a function for one of the counts of a run."""

    def show(run: VerificationRun) -> str:
        counts = run.counts if isinstance(run.counts, dict) else {}
        count = counts.get(name, EMPTY_VALUE)
        return f"{count:,}" if isinstance(count, int) else shortened(str(count), 20)

    return show


def _short_number(run: VerificationRun) -> str:
    """Return the beginning of the number, which is enough to tell runs apart."""
    return str(run.pk)[:8]


def _duration(run: VerificationRun) -> str:
    """Return how long the run took, or how long it has been at work by its last sign of life."""
    seconds = ((run.finished_at or run.heartbeat_at) - run.started_at).total_seconds()
    return f"{seconds:,.1f} s"


def _rules_link(run: VerificationRun) -> str:
    """Return a link to the text of the rules that the run used."""
    rules = VerificationRules.objects.filter(sha256=run.rules_sha256).values_list("pk").first()
    if rules is None:
        return run.rules_sha256 or EMPTY_VALUE
    href = reverse("admin:signals_verificationrules_change", args=rules)
    return format_html('<a href="{}"><code>{}</code></a>', href, run.rules_sha256[:12])


def _verdicts_link(run: VerificationRun) -> str:
    """Return a link to the verdicts of the run."""
    href = f"{reverse('admin:signals_signalevent_changelist')}?{urlencode({'q': str(run.pk)})}"
    return format_html('<a href="{}">The verdicts of this run</a>', href)


duration_column: Any = admin.display(_duration, description="took")
rules_column: Any = admin.display(_rules_link, description="rules")
verdicts_column: Any = admin.display(_verdicts_link, description="verdicts")


@admin.register(VerificationRun)
class VerificationRunAdmin(PipelineAdmin):
    list_display = (
        list_column("number", "Run", _short_number),
        time_column("started_at", "Started"),
        *(tag_column("outcome", "Outcome", OUTCOMES), plain_column("host", "Host", most=30)),
        list_column("duration", "Took", _duration),
        *(list_column(name, name.capitalize(), _count_of(name)) for name in COUNTS),
        *(plain_column("mode", "Rules are"), plain_column("error", "Error", most=80)),
        time_column("heartbeat_at", "Last sign of life", order="sign_of_life"),
    )
    list_filter = (
        choice_filter("outcome", "Outcome", RunOutcome.choices, of_order("", "outcome")),
        choice_filter("mode", "Rules are", [("on", "On"), ("off", "Off")], of_order("", "mode")),
        moment_filter((("sign_of_life", "Last sign of life", "heartbeat_at"),)),
    )
    orders = (Order("sign_of_life", "last sign of life", "heartbeat_at"),)
    ordering = ("-heartbeat_at",)
    search_fields = ("id",)
    search_help_text = "Number of the run"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("id", "outcome", "error", "started_at", "heartbeat_at", "finished_at"),
                    *(
                        duration_column,
                        "mode",
                        rules_column,
                        verdicts_column,
                        json_column("counts"),
                    ),
                )
            },
        ),
        ("Process", {"fields": ("host", "pid")}),
    )
