"""The page of a token: what was measured of it, its events, its signals and what happened to them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from signals.admin.chain_aliases import chain_aliases as current_aliases
from signals.admin.pages.measurements import (
    PERIODS,
    Measurement,
    measurements_of,
    newest_measurements,
)
from signals.admin.pages.related import SHOWN, SIGNALS_READ, events_of, signals_of, verdicts_of
from signals.admin.pages.sparklines import PLOTTED, sparkline
from signals.admin.pages.token_urls import (
    MOST_ADDRESS,
    MOST_CHAIN,
    can_be_token,
    token_url,
    unquoted,
)
from signals.admin.pages.values import brief_address
from signals.admin.pages.viewer import Viewer
from signals.explorers import explorer_url
from signals.models import Event, OnchainFeature, Signal, SignalEvent
from signals.texts import shortened
from signals.verification.features import EvidenceReader
from signals.verification.tokens import Token, fold_address, fold_chain

__all__ = ["may_open", "measured_courses", "token_url", "token_url_for", "token_view"]

VERDICTS_SINCE: Final = timedelta(days=7)
VERDICTS_SHOWN: Final = 30
_SHOWN_TO: Final = (OnchainFeature, Event, Signal, SignalEvent)


def token_url_for(viewer: Viewer, token: Token | None) -> str:
    """Return the address of the token's page if the account may open it; else nothing."""
    return token_url(token.chain, token.address) if token and may_open(viewer) else ""


def may_open(viewer: Viewer) -> bool:
    """Return whether the account may see any section of a token's page."""
    return any(map(viewer.may_view, _SHOWN_TO))


def token_view(request: HttpRequest, chain: str, address: str) -> HttpResponse:
    """Return the page of a token: its chain by any of its names, an EVM address in any case."""
    viewer = Viewer(request.user)
    if not may_open(viewer):
        raise PermissionDenied
    aliases = current_aliases()
    token = Token(fold_chain(unquoted(chain), aliases), fold_address(unquoted(address)))
    if not can_be_token(token.chain, token.address):
        raise Http404
    context = {
        **admin.site.each_context(request),
        "title": f"Token {brief_address(token.address)} on {shortened(token.chain, 50)}",
        "chain": shortened(token.chain, MOST_CHAIN),
        "address": shortened(token.address, MOST_ADDRESS),
        "explorer_url": explorer_url(token.chain, token.address),
        **_measured(token, aliases, viewer),
        **_happened(token, aliases, viewer),
    }
    return TemplateResponse(request, "admin/signals/pages/token.html", context)


def measured_courses(
    token: Token, aliases: Mapping[str, str]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of the token's chain in onchain_features, and the sparklines of its features."""
    spellings = list(EvidenceReader(aliases).spellings(connection).get(token.chain, ()))
    now = timezone.now()
    read = [(period, measurements_of(spellings, token.address, period, now)) for period in PERIODS]
    return spellings, [
        {
            "name": feature.name,
            "sparklines": [sparkline(feature, rows, period, now) for period, rows in read],
        }
        for feature in PLOTTED
    ]


def _measured(token: Token, aliases: Mapping[str, str], viewer: Viewer) -> dict[str, Any]:
    if not viewer.may_view(OnchainFeature):
        return {}
    spellings, courses = measured_courses(token, aliases)
    return {
        "courses": courses,
        "measurements": [
            _row(each, viewer) for each in newest_measurements(spellings, token.address)
        ],
        "shows_measurements": True,
    }


def _row(measurement: Measurement, viewer: Viewer) -> dict[str, Any]:
    url = viewer.url(OnchainFeature, measurement.pk)
    return {"measurement": measurement, "url": url}


def _happened(token: Token, aliases: Mapping[str, str], viewer: Viewer) -> dict[str, Any]:
    """Return the events, and what is found by way of them."""
    if not viewer.may_view(Event):
        return {}
    events = events_of(token, aliases, viewer)
    context: dict[str, Any] = {"events": events[:SHOWN], "shows_events": True}
    if not (viewer.may_view(Signal) or viewer.may_view(SignalEvent)):
        return context
    signals = signals_of([each.key for each in events], SIGNALS_READ)
    if viewer.may_view(Signal):
        context |= {"signals": signals[:SHOWN], "shows_signals": True}
    if viewer.may_view(SignalEvent):
        since = timezone.now() - VERDICTS_SINCE
        verdicts = verdicts_of(signals, since, VERDICTS_SHOWN, viewer)
        context |= {"verdicts": verdicts, "shows_verdicts": True}
    return context
