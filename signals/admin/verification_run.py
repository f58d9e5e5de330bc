"""The page of the runs of the job."""

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from signals.admin.base import PipelineAdmin
from signals.admin.columns import EMPTY_VALUE, age_column, json_column, short_text_column
from signals.admin.filters import recent_values_filter
from signals.models import VerificationRules, VerificationRun

COUNTS = ("scanned", "updated", "errors")
"""The counts of a run that the list shows."""


def count_column(name: str) -> Any:
    """Return a column that shows one of the counts of a run."""

    def show(run: VerificationRun) -> str:
        counts = run.counts if isinstance(run.counts, dict) else {}
        return str(counts.get(name, EMPTY_VALUE))

    show.__name__ = name
    return admin.display(show, description=name)


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


number_column: Any = admin.display(_short_number, description="run")
duration_column: Any = admin.display(_duration, description="took")
rules_column: Any = admin.display(_rules_link, description="rules")
verdicts_column: Any = admin.display(_verdicts_link, description="verdicts")


@admin.register(VerificationRun)
class VerificationRunAdmin(PipelineAdmin):
    list_display = (
        *(
            number_column,
            age_column("started_at"),
            "outcome",
            short_text_column("host"),
            duration_column,
        ),
        *(*map(count_column, COUNTS), "mode", short_text_column("error")),
    )
    list_filter = ("outcome", recent_values_filter("mode"))
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
