"""Cells of the lists: columns with a heading of their own, made for narrow tables.

`list_order` of a column is the order that its heading leads to, `needs` the model that a person must be
allowed to view. Nothing is told by colour alone.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from signals.admin.chain_aliases import chain_aliases
from signals.admin.columns import EMPTY_VALUE, without_middle
from signals.admin.far_times import FarTime
from signals.admin.pages.token_urls import token_url
from signals.choices import Decision, Note, SignalState, VerificationStatus
from signals.explorers import explorer_url
from signals.fields import GoplusRisk
from signals.models import Event, OnchainFeature, Signal
from signals.texts import printable, shortened
from signals.verification.tokens import resolve

VERIFICATION: Final = "view_signalverification"
EVENT: Final = "view_event"

_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))
_NEVER: Final = 9998  # the year of a next check that only newer evidence brings forward
_RECENT: Final = timedelta(days=300)  # younger times are shown without their year
_BAR: Final = 30  # pixels of a margin of 100 %
_MOST: Final = Decimal("9.995")  # margins from here on are shown as more than 999 %

_COPY: Final = SafeString(
    '<svg width="14" height="14" viewBox="0 0 14 14" fill="none" stroke="currentColor" aria-hidden="true">'
    '<rect x="4.5" y="4.5" width="8" height="8" rx="1"/><path d="M2.5 9.5h-1v-8h8v1"/></svg>'
)

STATES: Final = {
    SignalState.CANDIDATE.value: ("○", "Candidate"),
    SignalState.VERIFIED.value: ("✓", "Verified"),
    SignalState.DOWNGRADED.value: ("▼", "Downgraded"),
}
RISKS: Final = {
    GoplusRisk.RED.value: ("▲", "Red"),
    GoplusRisk.YELLOW.value: ("◆", "Yellow"),
    GoplusRisk.GREEN.value: ("✓", "Green"),
    GoplusRisk.UNKNOWN.value: ("?", "Unknown"),
    GoplusRisk.GRAY.value: ("·", "Gray"),
}
STATUSES: Final = {
    VerificationStatus.WAITING.value: ("○", "Waiting"),
    VerificationStatus.SETTLED.value: ("✓", "Settled"),
    VerificationStatus.DEAD.value: ("✗", "Dead"),
}
DECISIONS: Final = {
    Decision.UPGRADE.value: ("▲", "Upgrade"),
    Decision.DOWNGRADE.value: ("▼", "Downgrade"),
    Decision.HOLD.value: ("=", "Hold"),
    Decision.INSUFFICIENT.value: ("?", "Insufficient"),
}
OUTCOMES: Final = {
    "evaluated": ("✓", "Evaluated"),
    "skipped": ("·", "Skipped"),
    "failed": ("✗", "Failed"),
}


def list_column(
    name: str, heading: str, show: Callable[[Any], Any], order: str = "", needs: str = ""
) -> Any:
    """Return the column of that name and heading."""

    def cell(row: Any) -> Any:
        return show(row)

    cell.__name__ = name
    cell.list_order = order  # type: ignore[attr-defined]
    cell.needs = needs  # type: ignore[attr-defined]
    return admin.display(cell, description=heading)


def tag(kind: str, value: Any, known: dict[Any, tuple[str, str]]) -> str:
    """Return a value of a closed set as an icon and a word."""
    if value is None or value == "":
        return EMPTY_VALUE
    if value not in known:
        return shortened(str(value), 40)
    return format_html(
        '<span class="tag {}-{}"><span aria-hidden="true">{}</span> {}</span>',
        *(kind, value, *known[value]),
    )


def tag_column(
    name: str,
    heading: str,
    known: dict[Any, tuple[str, str]],
    order: str = "",
) -> Any:
    """Return a column that shows a value of a closed set as an icon and a word."""
    return list_column(name, heading, lambda row: tag(name, getattr(row, name), known), order)


def plain_column(name: str, heading: str, *, most: int = 40, needs: str = "") -> Any:
    """Return a column that shows a value as a short text."""

    def show(row: Any) -> str:
        value = getattr(row, name)
        return EMPTY_VALUE if value in (None, "") else shortened(str(value), most)

    return list_column(name, heading, show, needs=needs)


def count_column(name: str, heading: str) -> Any:
    """Return a column that shows a whole number with its thousands apart."""

    def show(row: Any) -> str:
        value = getattr(row, name)
        return EMPTY_VALUE if value is None else f"{value:,}"

    return list_column(name, heading, show)


def percent(value: Decimal | None) -> str:
    """Return a share as a percentage: 70.5 %."""
    if value is None:
        return EMPTY_VALUE
    return f"{value * 100:,.1f} %" if value.is_finite() else str(value)


def times(value: Decimal | None) -> str:
    """Return a ratio with the sign of a multiplication."""
    if value is None:
        return EMPTY_VALUE
    return f"\u00d7 {value:,.2f}" if value.is_finite() else str(value)


def key_column(name: str, heading: str, needs: str = "") -> Any:
    """Return a column that shows a key without its middle, and all of it as a tooltip."""

    def show(row: Any) -> str:
        value = getattr(row, name)
        if not value:
            return EMPTY_VALUE
        title, text = shortened(value, 500), without_middle(printable(value[:1_000]), 12, 8)
        return format_html('<span class="key" title="{}">{}</span>', title, text)

    return list_column(name, heading, show, needs=needs)


def link_column(name: str, heading: str, model: type[Any], attribute: str, needs: str = "") -> Any:
    """Return a column that shows a number as a link to the page of that row of the model."""

    def show(row: Any) -> SafeString:
        number = getattr(row, attribute)
        return format_html('<a href="{}">{}</a>', page_of(model, number), number)

    return list_column(name, heading, show, needs=needs)


def page_of(model: type[Any], pk: Any) -> str:
    """Return the address of the row's page."""
    opts = model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(pk)])


def time_column(
    name: str, heading: str, *, order: str = "", needs: str = "", short: bool = False
) -> Any:
    """Return a column that shows how long ago a time was and, unless `short`, the time itself below."""

    def show(row: Any) -> str:
        value: Any = row
        for part in name.split("__"):
            value = getattr(value, part, None)
        return moment(value, short=short)

    return list_column(name, heading, show, order, needs)


def moment(value: datetime | None, *, short: bool = False) -> str:
    """Return the time as its age, with the time itself below, or as a tooltip only."""
    if value is None:
        return EMPTY_VALUE
    if isinstance(value, FarTime):
        return value.text
    absolute = f"{value:%Y-%m-%d %H:%M:%S} UTC"
    text: Any = ago(value)
    if not short:
        is_recent = timezone.now() - value < _RECENT
        day = f"{value:%d %b %H:%M}" if is_recent else f"{value:%d %b %Y}"
        text = format_html('{}<span class="more">{}</span>', text, day)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), absolute, text
    )


def ago(value: datetime) -> str:
    """Return how long ago a time was, or in how long it will be: 5 min ago, in 2 h."""
    seconds = int((timezone.now() - value).total_seconds())
    unit, length = next((each for each in _SECONDS if abs(seconds) >= each[1]), ("s", 1))
    number = f"{abs(seconds) // length:,} {unit}"
    return f"in {number}" if seconds < 0 else f"{number} ago"


def verification_of(row: Any) -> Any:
    """Return the job's record of a signal, or None if there is none; of a record, the record."""
    return getattr(row, "verification", None) if isinstance(row, Signal) else row


def _margin(row: Any) -> str:
    margin = getattr(verification_of(row), "margin", None)
    if margin is None:
        return EMPTY_VALUE
    return format_html("{}{}", margin_text(margin), _bar(margin))


def margin_text(margin: Decimal) -> str:
    """Return the margin as a signed percentage: +15.5 %."""
    if margin.is_nan():
        return "NaN"
    if abs(margin) >= _MOST:
        return "> +999 %" if margin > 0 else "< \u2212999 %"
    return f"{margin * 100:+.1f} %".replace("-", "\u2212")


def _bar(margin: Decimal) -> SafeString:
    """Return a bar from the threshold in the middle, to the right if the conditions hold."""
    size = 0.0 if margin.is_nan() else min(abs(float(margin)), 1.0) * _BAR
    left = _BAR - (size if margin < 0 else 0) if not margin.is_nan() else _BAR
    return format_html(
        '<svg class="margin {}" width="{}" height="10" viewBox="0 0 {} 10" aria-hidden="true">'
        '<rect x="{}" y="2" width="{}" height="6"/><path d="M{} 0v10"/></svg>',
        *("holds" if size and margin > 0 else "falls-short", 2 * _BAR, 2 * _BAR),
        *(f"{left:.1f}", f"{size:.1f}", _BAR),
    )


def _decision(row: Any) -> str:
    record = verification_of(row)
    if record is None or not record.decision:
        return EMPTY_VALUE
    return with_note(record.decision, record.note)


def decision_column(order: str = "") -> Any:
    """Return the column of the last decision of the rules, with its note."""
    return list_column("decision", "Last decision", _decision, order, VERIFICATION)


def with_note(decision: str, note: str) -> str:
    """Return the decision, with its note below."""
    shown = tag("decision", decision, DECISIONS)
    if not note:
        return shown
    label = note.replace("_", " ").capitalize() if note in Note.values else shortened(note, 40)
    return format_html('{}<span class="more">{}</span>', shown, label)


def _next_check(row: Any) -> str:
    """Return when the job looks again, with the number of checks that failed in a row."""
    record = verification_of(row)
    if record is None:
        return "not yet known"
    shown = _when(record)
    if not record.attempts:
        return shown
    return format_html('{}<span class="more">{} failed</span>', shown, f"{record.attempts:,}")


def _when(record: Any) -> str:
    if record.status != VerificationStatus.WAITING:
        return tag("status", record.status, STATUSES)
    due = record.next_check_at
    if due is not None and due.year >= _NEVER:
        return "on new evidence"
    if due is not None and due <= timezone.now():
        return format_html('<span class="due">due</span> {}', moment(due, short=True))
    return moment(due, short=True)


def _token_of_signal(row: Signal) -> str:
    if row.event is None:
        return EMPTY_VALUE
    event = row.event
    name = (
        shortened(event.symbol, 24) if event.symbol else without_middle(printable(event.pk), 12, 8)
    )
    link = format_html('<a href="{}">{}</a>', page_of(Event, event.pk), name)
    return _token_of_event(event, link)


def _token_of_event(event: Event, first: str = "") -> str:
    """Return the event's symbol and the token that it is about."""
    first = first or shortened(event.symbol or EMPTY_VALUE, 24)
    token = resolve(event.pk, event.token_ca, chain_aliases())
    if token is None:
        return format_html('{}<span class="more">no token address</span>', first)
    return format_html("{} {}", first, _linked_token(token.chain, token.address))


def token_text(chain: str, address: str, url: str = "") -> SafeString:
    """Return chain and address, with a button that copies it and a link to an explorer.

    `url` is the address of the token's own page, for those who may open it.
    """
    code = format_html('<code title="{}">{}</code>', shortened(address, 200), _short(address))
    parts = [
        format_html('<span class="chain">{}</span>', shortened(chain, 20)),
        format_html('<a href="{}">{}</a>', url, code) if url else code,
        format_html(
            '<button type="button" class="copy" data-copy="{}" aria-label="Copy the address {}"'
            ' title="Copy the address" hidden>{}</button>',
            *(address, _short(address), _COPY),
        ),
    ]
    if explorer := explorer_url(chain, address):
        parts.append(
            format_html(
                '<a class="explorer" href="{}" target="_blank" rel="noopener noreferrer"'
                ' title="Explorer (new tab)" aria-label="{} on an explorer (new tab)">↗</a>',
                *(explorer, _short(address)),
            )
        )
    joined = format_html_join(" ", "{}", ((part,) for part in parts))
    return format_html('<span class="more token-address">{}</span>', joined)


def _short(address: str) -> str:
    return without_middle(printable(address[:200]), 6, 4)


def _linked_token(chain: str, address: str) -> SafeString:
    return token_text(chain, address, token_url(chain, address))


def _token_of_record(row: Any) -> str:
    if not row.address:
        return EMPTY_VALUE
    is_measurement = isinstance(row, OnchainFeature)  # whose reader may open the token's page
    return (_linked_token if is_measurement else token_text)(row.chain, row.address)


token_of_signal: Final = list_column("token", "Token", _token_of_signal, needs=EVENT)
"""The symbol of the signal's event with the token's chain and address."""
token_of_event: Final = list_column("token", "Token", _token_of_event)
"""The same of an event, which is the row itself."""
token_of_record: Final = list_column("token", "Token", _token_of_record)
"""The chain and the address that the row has in columns of its own."""
margin_column: Final = list_column("margin", "Margin", _margin, "margin", VERIFICATION)
"""The margin of the last verdict to the threshold that decided, as a bar and a number."""
next_check_column: Final = list_column(
    "next_check", "Next check", _next_check, "next_check", VERIFICATION
)
"""When the job looks at the signal again, or why it does not, and how many checks failed in a row."""
