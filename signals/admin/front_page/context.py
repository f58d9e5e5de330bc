"""What the front page shows to a person, and where each of its numbers leads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timesince import timesince

from signals.admin.chain_aliases import chain_aliases
from signals.admin.front_page.chart import chart_of
from signals.admin.front_page.figures import (
    HOURS,
    MAX_COUNTED,
    Figures,
    Hour,
    read_figures,
    read_hours,
    read_runs,
)
from signals.admin.timeouts import is_stopped
from signals.choices import Decision, RunOutcome, SignalEventType
from signals.models import VerificationRun
from signals.operations.drift import cached_reading
from signals.texts import shortened
from signals.verification.features import MAX_EVIDENCE_AGE

BEHIND: Final = MAX_EVIDENCE_AGE.total_seconds()
"""Seconds after which the newest measurement of a chain is stale for every signal of it."""
HOUR: Final = timedelta(hours=1)
SILENT: Final = 10 * 60
"""Seconds without a heartbeat after which a run that has not ended counts as dead."""

RUN_COUNTS: Final = MappingProxyType(
    {"Checked": "scanned", "Changed": "updated", "Errors": "errors"}
)
"""The counts of a run that are shown, by the heading of their column."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the page, with the address of the rows that it counts.

    `is_alarming` marks one that somebody should look at.
    """

    name: str
    value: str
    href: str
    help: str
    is_alarming: bool = False


def front_page(user: Any) -> dict[str, Any]:
    """Return the template's context; a part that the person may not view is left out."""
    try:
        with transaction.atomic():  # the rest of the page may be in the same transaction
            return _parts(user)
    except OperationalError as error:
        if not is_stopped(error):
            raise
        return {"is_stopped": True}


def _parts(user: Any) -> dict[str, Any]:
    may = user.has_perm
    figures = read_figures(
        connections[DEFAULT_DB_ALIAS],
        chain_aliases(),
        backlog=may("signals.view_signalverification"),
        errors=may("signals.view_verificationrun"),
        newest=may("signals.view_onchainfeature"),
    )
    parts: dict[str, Any] = {"at": figures.at, "numbers": _numbers(figures), "hours": HOURS}
    if figures.newest is not None:
        parts["chains"] = [_chain(*each, figures.at) for each in figures.newest]
    if may("signals.view_signalevent"):
        hours = read_hours(connections[DEFAULT_DB_ALIAS])
        parts |= {"chart": chart_of(hours), "decisions": Decision, "most_counted": MAX_COUNTED}
        parts["rows"] = [(bar, _of_hour(bar.hour)) for bar in reversed(parts["chart"].bars)]
    if may("signals.view_verificationrun"):
        runs = read_runs()
        parts["run_counts"] = RUN_COUNTS
        parts["runs"] = [_run(run, figures.at) for run in runs]
        if may("signals.view_verificationrules") and runs and runs[0].rules:  # type: ignore[attr-defined] # annotated
            parts["rules_href"] = _page("verificationrules", runs[0].rules)  # type: ignore[attr-defined]
    if may("convergent_migrations.view_schema"):
        parts["schema"] = _schema()
    return parts


def _numbers(figures: Figures) -> list[Number]:
    numbers = []
    if figures.due is not None and figures.overdue is not None and figures.dead is not None:
        oldest = figures.oldest
        wait = timesince(oldest, figures.at, depth=1) if oldest else "none"
        numbers += [
            Number(
                *("Due", _counted(figures.due), _verifications(due="1")),
                "signals whose check is due",
            ),
            Number(
                *("Oldest wait", wait, _verifications(status="waiting", order="next_check")),
                "of the signal that is due the longest",
                is_alarming=figures.overdue > 0,
            ),
            Number(
                *("Overdue", _counted(figures.overdue), _verifications(overdue="1")),
                "due for more than 15 minutes",
                is_alarming=figures.overdue > 0,
            ),
            Number(
                *("Dead", _counted(figures.dead), _verifications(status="dead")),
                "failed too often; left alone until somebody revives them",
                is_alarming=figures.dead > 0,
            ),
        ]
    if figures.errors is not None:
        href = reverse("admin:signals_verificationrun_changelist")
        help_text = f"checks that failed in the last {HOURS} hours"
        is_alarming = figures.errors > 0
        numbers.append(Number("Errors", f"{figures.errors:,}", href, help_text, is_alarming))
    return numbers


def _counted(number: int) -> str:
    return f"{number:,}" if number <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"


def _verifications(**filters: str) -> str:
    return f"{reverse('admin:signals_signalverification_changelist')}?{urlencode(filters)}"


def _of_hour(hour: Hour) -> str:
    """Return the address of the verdicts of the hour."""
    first, last = (f"{each:%Y-%m-%d %H:%M}" for each in (hour.start, hour.start + HOUR))
    query = {"type": SignalEventType.ONCHAIN_VERIFY.value, "from": first, "to": last}
    return f"{reverse('admin:signals_signalevent_changelist')}?{urlencode(query)}"


def _chain(name: str, newest: datetime, at: datetime) -> dict[str, Any]:
    lag = (at - newest).total_seconds()
    age = timesince(newest, at, depth=1) if lag > 0 else "0 minutes"
    href = f"{reverse('admin:signals_onchainfeature_changelist')}?{urlencode({'chain': name})}"
    return {
        "name": shortened(name, 60),
        "href": href,
        "newest": newest,
        "age": age,
        "is_behind": lag > BEHIND,
    }


def _run(run: VerificationRun, at: datetime) -> dict[str, Any]:
    """Return a run with its duration so far, and whether it shows no sign of life any more."""
    counts = run.counts if isinstance(run.counts, dict) else {}
    is_running = run.outcome == RunOutcome.RUNNING
    silence = (at - run.heartbeat_at).total_seconds()
    return {
        "run": run,
        "href": _page("verificationrun", run.pk),
        "seconds": ((run.finished_at or run.heartbeat_at) - run.started_at).total_seconds(),
        "age": timesince(run.started_at, at, depth=1),
        "host": shortened(run.host, 40),
        "counts": [(label, _shown(counts.get(name, 0))) for label, name in RUN_COUNTS.items()],
        "is_silent": is_running and silence > SILENT,
    }


def _shown(count: Any) -> str:
    return f"{count:,}" if isinstance(count, int) else shortened(str(count), 20)


def _page(model: str, pk: Any) -> str:
    return reverse(f"admin:signals_{model}_change", args=[pk])


def _schema() -> dict[str, Any]:
    """Return the state of the schema by the last reading of the database."""
    reading, failure = cached_reading.last(connections[DEFAULT_DB_ALIAS])
    components = reading.survey["components"] if reading else ()
    return {
        "href": reverse("admin:convergent_migrations_schema_changelist"),
        "reading": reading,
        "failure": failure,
        "findings": sum(bool(each["finding"]) for each in components),
    }
