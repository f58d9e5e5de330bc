"""What happened to a row: the verdicts on a signal, and what people did, the newest first.

Verdicts and actions stand in signal_events, changes of fields in Django's log of the admin. Each is read by
its number, downwards from where the last page ended, so that a page costs the same however many there are.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from heapq import merge
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import F, Model, QuerySet
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left

from signals.admin.pages.changes import Change, logged
from signals.admin.pages.headings import headings
from signals.admin.pages.values import brief_number
from signals.admin.pages.viewer import Viewer
from signals.choices import Note, SignalEventType
from signals.models import Signal, SignalEvent, VerificationRules, VerificationRun
from signals.texts import shortened
from signals.verification.verdict import Feature

ON_A_PAGE: Final = 10
"""Entries that a signal's page shows; its history has the others."""
IN_A_HISTORY: Final = 50
"""Entries of one page of a history."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_MOST: Final = 500  # characters of a reason
_LAST_NUMBER: Final = 2**63 - 1

# The rows of a signal and a type are a range of ix_signal_events_signal.
_NEWEST: Final = """
SELECT found.id
FROM pg_catalog.unnest(%(signals)s::bigint[]) AS wanted(id)
CROSS JOIN pg_catalog.unnest(%(types)s::text[]) AS kind(name)
CROSS JOIN LATERAL (
    SELECT e.id, e.created_at
    FROM signal_events e
    WHERE e.signal_id = wanted.id AND e.type = kind.name AND e.id < %(before)s
    ORDER BY e.id DESC
    LIMIT %(most)s
) found
WHERE found.created_at >= %(since)s
ORDER BY found.id DESC
LIMIT %(most)s
"""
_JOB: Final = "The job"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a timeline: the numbers of the last entries before it, None at its newest end."""

    event: int | None = None
    log: int | None = None

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> "Place":
        """Return the place that an address names; what is no number is as if it were not there."""
        texts = {name: parameters.get(name, "") for name in ("event", "log")}
        return cls(**{name: int(text) for name, text in texts.items() if _NUMBER.fullmatch(text)})

    @property
    def query(self) -> str:
        values = {"event": self.event, "log": self.log}
        return urlencode({name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: when, who, what, from and to, why, by which rules and run."""

    at: datetime
    event: int | None
    log: int | None
    signal: int | None
    who: str
    what: str
    url: str
    changes: tuple[Change, ...]
    why: str
    is_verdict: bool = False
    rules: str = ""
    rules_url: str = ""
    run: str = ""
    run_url: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Some entries of a timeline, the newest first; `rest` is the place of the next, None at its end."""

    entries: tuple[Entry, ...]
    rest: Place | None


def read_timeline(
    row: Model, viewer: Viewer, most: int, place: Place, hidden: tuple[str, ...] = ()
) -> Timeline:
    """Return at most so many entries from the place on, as far as the account may view them.

    hidden: the names of fields whose values the account may not see.
    """
    events: list[Entry] = []
    shows_events = isinstance(row, Signal) and viewer.may_view(SignalEvent)
    if shows_events:
        numbers = newest_numbers([row.pk], most + 1, before=place.event)
        events = events_shown(event_values(numbers), viewer)
    logs = [
        _log_entry(each, type(row), hidden)
        for each in _logs_of(row, most + 1, place, without_actions=shows_events)
    ]
    both = merge(events, logs, key=lambda each: each.at, reverse=True)
    entries = tuple(islice(both, most))
    if len(events) + len(logs) <= most:
        return Timeline(entries, None)
    return Timeline(
        entries,
        Place(
            min((each.event for each in entries if each.event is not None), default=place.event),
            min((each.log for each in entries if each.log is not None), default=place.log),
        ),
    )


def newest_numbers(
    signals: Collection[int],
    most: int,
    *,
    since: datetime | None = None,
    before: int | None = None,
) -> list[int]:
    """Return the numbers of the newest rows of signal_events on the signals, the newest first.

    since: no older rows; before: only rows of a lower number.
    """
    parameters: dict[str, Any] = {
        "signals": list(signals),
        "types": SignalEventType.values,
        "before": _LAST_NUMBER if before is None else before,
        "since": since or datetime.min.replace(tzinfo=UTC),
        "most": most,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, parameters)
        return [number for (number,) in cursor.fetchall()]


def event_values(numbers: Collection[int]) -> Any:
    """Return these rows, the newest first, as dictionaries with the parts of their JSON that are shown."""
    fields = SignalEvent._meta.concrete_fields
    plain = [each.attname for each in fields if each.get_internal_type() != "JSONField"]
    features = {each.value: Left(KeyTextTransform(each.value, "features"), 40) for each in Feature}
    return (
        SignalEvent.objects.filter(pk__in=numbers)
        .annotate(**features, named=KeyTransform("named", F("metadata")))
        .values(*plain, *features, "named")
        .order_by("-id")
    )


def events_shown(rows: Iterable[Mapping[str, Any]], viewer: Viewer) -> list[Entry]:
    """Return the entries of rows of event_values(), in their order."""
    rows = list(rows)
    rules = rules_urls({row["rules_sha256"] for row in rows}, viewer)
    runs = _run_urls({row["run"] for row in rows}, viewer)
    return [_event_entry(row, viewer, rules, runs) for row in rows]


def _logs_of(row: Model, most: int, place: Place, *, without_actions: bool) -> QuerySet[LogEntry]:
    """Return the newest entries on the row; what an action did stands in signal_events as well."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk)
    )
    if without_actions:
        entries = entries.exclude(change_message__contains='"action":')
    if place.log is not None:
        entries = entries.filter(pk__lt=place.log)
    return entries.select_related("user").order_by("-id")[:most]


def _event_entry(
    row: Mapping[str, Any], viewer: Viewer, rules: Mapping[str, str], runs: Mapping[Any, str]
) -> Entry:
    is_verdict = row["type"] == SignalEventType.ONCHAIN_VERIFY
    sha256 = row["rules_sha256"]
    return Entry(
        at=row["created_at"],
        event=row["id"],
        log=None,
        signal=row["signal_id"],
        who=_JOB if is_verdict else shortened(row.get("person") or "Somebody", 60),
        what=f"Verdict: {row['decision']}" if is_verdict else _label(row["type"]),
        url=viewer.url(SignalEvent, row["id"]),
        changes=(Change("State", row["previous_state"], row["new_state"]),),
        why=_why(row) if is_verdict else shortened(row.get("reason") or "", _MOST),
        is_verdict=is_verdict,
        rules=sha256[:12],
        rules_url=rules.get(sha256, ""),
        run=str(row["run"])[:8],
        run_url=runs.get(row["run"], ""),
    )


def _label(kind: str) -> str:
    return dict(SignalEventType.choices).get(kind, kind).capitalize()


def _why(row: Mapping[str, Any]) -> str:
    """Return the note of the verdict, or else the features that it was given by."""
    if row["note"]:
        named = row["named"] if isinstance(row["named"], list) else []
        words = dict(Note.choices).get(row["note"], row["note"])
        return shortened(": ".join(filter(None, (words, ", ".join(map(str, named))))), _MOST)
    known = [(each.value, row[each.value]) for each in Feature if row[each.value] is not None]
    return ", ".join(f"{name} {_brief(value)}" for name, value in known)


def _brief(value: str) -> str:
    """Return a stored number with a few digits, and what is none as it is."""
    try:
        return brief_number(Decimal(value))
    except InvalidOperation:
        return shortened(value, 40)


def _log_entry(entry: LogEntry, model: type[Model], hidden: tuple[str, ...]) -> Entry:
    known = logged(entry, headings(model), hidden)
    return Entry(
        at=entry.action_time,
        event=None,
        log=entry.pk,
        signal=None,
        who=shortened(entry.user.get_username(), 60),
        what=known.message or "Change",
        url="",
        changes=known.changes,
        why=known.reason,
    )


def rules_urls(hashes: set[str], viewer: Viewer) -> dict[str, str]:
    """Return the addresses of the kept rules, by their SHA-256, as far as the account may view them."""
    if not viewer.has_pages(VerificationRules):
        return {}
    kept = VerificationRules.objects.filter(sha256__in=hashes).values_list("sha256", "pk")
    return {sha256: viewer.url(VerificationRules, pk) for sha256, pk in kept}


def _run_urls(runs: set[Any], viewer: Viewer) -> dict[Any, str]:
    if not viewer.has_pages(VerificationRun):
        return {}
    kept = VerificationRun.objects.filter(pk__in=runs).values_list("pk", flat=True)
    return {pk: viewer.url(VerificationRun, pk) for pk in kept}
