"""What a signal's page says on top, and the sections below: what it is, where it stands and why."""

from collections.abc import Mapping
from datetime import MAXYEAR, datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from signals.admin.cells import margin_text
from signals.admin.chain_aliases import chain_aliases
from signals.admin.explained import explained
from signals.admin.far_times import FarTime
from signals.admin.pages.related import SHOWN, events_of, signals_of
from signals.admin.pages.timeline import ON_A_PAGE, Place, Timeline, read_timeline
from signals.admin.pages.values import age_of, brief_address, state_shown, time_shown
from signals.admin.pages.viewer import Viewer, linked
from signals.admin.token import measured_courses, token_url_for
from signals.choices import Decision, SignalState, VerificationStatus
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from signals.texts import shortened
from signals.verification.tokens import Token, resolve

_MOST_OF_REASON: Final = 160  # characters, such that what follows is seen without scrolling


def signal_sections(signal: Signal, viewer: Viewer, hidden: tuple[str, ...]) -> dict[str, Any]:
    """Return what the sections of a signal's page show, as far as the account may view it."""
    now = timezone.now()
    aliases = chain_aliases()
    event = signal.event if viewer.may_view(Event) else None
    token = resolve(event.pk, event.token_ca, aliases) if event else None
    check = _check_of(signal, viewer)
    timeline = read_timeline(signal, viewer, ON_A_PAGE, Place(), hidden)
    why = explained(signal.pk, viewer) if viewer.may_view(SignalEvent) else {}
    return {
        "facts": [
            ("Token", _token_shown(event, token, viewer)),
            ("Arrived", time_shown(signal.created_at, now)),
            ("Last verdict", _last_verdict(why, check, now)),
            ("Next check", _next_check(signal, check, viewer, now)),
        ],
        "state": state_shown(signal.state),
        "by_hand": _by_hand(signal, timeline),
        "timeline": timeline,
        **why,
        **_measured(token, aliases, viewer),
        **_related(signal, event, token, aliases, viewer),
    }


def _by_hand(signal: Signal, timeline: Timeline) -> str:
    """Return who set the state by hand and why; nothing if the last verdict gave it."""
    moves = (
        entry
        for entry in timeline.entries
        if entry.event and any(change.before != change.after for change in entry.changes)
    )
    last = next(moves, None)
    if last is None or last.is_verdict or last.changes[0].after != signal.state:
        return ""
    why = shortened(last.why, _MOST_OF_REASON) or "no reason was given"
    return f"Set by hand by {last.who}: {why}."


def _check_of(signal: Signal, viewer: Viewer) -> SignalVerification | None:
    if not viewer.may_view(SignalVerification):
        return None
    return SignalVerification.objects.filter(pk=signal.pk).first()


def _token_shown(event: Event | None, token: Token | None, viewer: Viewer) -> SafeString | str:
    if event is None:
        return "Not shown" if not viewer.may_view(Event) else "None: the signal has no event"
    symbol = shortened(event.symbol or "", 30)
    if token is None:
        link = viewer.link(Event, event.pk, symbol or "its event")
        return format_html("{}: the address cannot be told", link)
    link = linked(token_url_for(viewer, token), brief_address(token.address))
    return format_html("{} on {}<br>{}", symbol or "A token", shortened(token.chain, 50), link)


def _last_verdict(
    why: Mapping[str, Any], check: SignalVerification | None, now: datetime
) -> SafeString | str:
    verdict = why.get("verdict")
    if verdict is None:
        return "See the timeline" if why.get("is_unknown") else "None yet" if why else "Not shown"
    margin = getattr(check, "margin", None)
    return format_html(
        "{}{}<br>{}",
        Decision(verdict.decision).label,
        "" if margin is None else f" ({margin_text(margin)} to its threshold)",
        time_shown(verdict.created_at, now),
    )


def _next_check(
    signal: Signal, check: SignalVerification | None, viewer: Viewer, now: datetime
) -> SafeString | str:
    if not viewer.may_view(SignalVerification):
        return "Not shown"
    if check is None and signal.state != SignalState.CANDIDATE:
        return "None: only candidates are checked"
    if check is None:
        return "By the next run that it is due for"
    said = _when(check, now)
    checks = f"{check.checks} check{'' if check.checks == 1 else 's'} so far"
    return format_html("{}<br>{}", said, viewer.link(SignalVerification, signal.pk, checks))


def _when(check: SignalVerification, now: datetime) -> SafeString | str:
    due = check.next_check_at
    if check.leased_until and check.leased_until > now:
        return "A run is at it now"
    if check.status == VerificationStatus.DEAD:
        return f"None: dead after {check.attempts} failed checks"
    if check.status == VerificationStatus.SETTLED or due is None:
        return "None: the verdict has changed the state"
    if due.year == MAXYEAR and not isinstance(due, FarTime):
        return "As soon as there is newer evidence, or other rules"
    if due <= now and not isinstance(due, FarTime):
        return f"Due since {age_of(due, now).removesuffix(' ago')}"
    return time_shown(due, now)


def _measured(token: Token | None, aliases: Mapping[str, str], viewer: Viewer) -> dict[str, Any]:
    if token is None or not viewer.may_view(OnchainFeature):
        return {}
    return {"courses": measured_courses(token, aliases)[1]}


def _related(
    signal: Signal,
    event: Event | None,
    token: Token | None,
    aliases: Mapping[str, str],
    viewer: Viewer,
) -> dict[str, Any]:
    """Return the event, and the other signals of it or of its token."""
    if event is None:
        return {}
    events = events_of(token, aliases, viewer) if token else []
    keys = {event.pk, *(each.key for each in events)}
    return {
        "event": event,
        "event_url": viewer.url(Event, event.pk),
        "token_url": token_url_for(viewer, token),
        "siblings": signals_of(keys, SHOWN, besides=signal.pk),
    }
