"""What the row of a page belongs to, each as a link for those who may view it."""

from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from signals.admin.chain_aliases import chain_aliases
from signals.admin.pages.related import signals_of
from signals.admin.pages.values import growth_shown, state_shown
from signals.admin.pages.viewer import Viewer, linked
from signals.admin.token import token_url_for
from signals.choices import SignalEventType
from signals.models import (
    Event,
    OnchainFeature,
    Signal,
    SignalEvent,
    SignalVerification,
    VerificationRules,
    VerificationRun,
)
from signals.texts import shortened
from signals.verification.tokens import Token, fold_address, fold_chain, resolve

_MOST_OF_REASON: Final = 500  # characters
SIGNALS_OF_EVENT: Final = 20
"""Newest signals that the page of an event shows."""


def event_sections(event: Event, viewer: Viewer) -> dict[str, Any]:
    """Return what an event's page shows of its token and its signals."""
    token = resolve(event.pk, event.token_ca, chain_aliases())
    context: dict[str, Any] = {"belongs": [("Token", _token(token, viewer))]}
    if viewer.may_view(Signal):
        signals = signals_of([event.pk], SIGNALS_OF_EVENT)
        context |= {"signals": signals, "signals_shown": SIGNALS_OF_EVENT}
    return context


def verdict_sections(row: SignalEvent, viewer: Viewer) -> dict[str, Any]:
    """Return the heading of a row of signal_events, and what it belongs to."""
    known = row.metadata if isinstance(row.metadata, dict) else {}
    chain, address = known.get("chain"), known.get("address")
    token = Token(str(chain), str(address)) if chain and address else None
    state = format_html("{} → {}", state_shown(row.previous_state), state_shown(row.new_state))
    if row.type != SignalEventType.ONCHAIN_VERIFY:
        return {
            "title": f"{row.type.capitalize()} {row.pk}",
            "belongs": _of_person(row, state, viewer),
        }
    return {
        "title": f"Verdict {row.pk}: {row.decision}",
        "belongs": [
            ("State", state),
            *_of_job(row.signal_id, row.run, row.rules_sha256, viewer),
            ("Token", _token(token, viewer)),
        ],
    }


def verification_sections(row: SignalVerification, viewer: Viewer) -> dict[str, Any]:
    """Return the heading of the job's record of a signal, and what it belongs to."""
    kept = VerificationRules.objects.filter(pk=row.rules_id or 0)
    rules = kept.values_list("sha256", flat=True).first()
    token = Token(row.chain, row.address) if row.address else None
    return {
        "title": f"Verification of signal {row.signal_id}: {row.status}",
        "belongs": [
            *_of_job(row.signal_id, row.run, rules or "", viewer),
            ("Token", _token(token, viewer)),
        ],
    }


def measurement_sections(row: OnchainFeature, viewer: Viewer) -> dict[str, Any]:
    """Return the heading of a measurement, its token, and its growth in the unit of the rules."""
    token = Token(fold_chain(row.chain, chain_aliases()), fold_address(row.address))
    growth = row.growth_ratio
    if growth is not None and row.calc_version == 1:
        growth += 1
    is_known = growth is not None and row.calc_version in (1, 2)
    return {
        "title": f"Measurement {row.pk} over {row.window_minutes} minutes",
        "belongs": [
            ("Token", _token(token, viewer)),
            (
                "Growth",
                growth_shown(growth) if is_known else "Not known",
            ),
        ],
    }


def _of_person(row: SignalEvent, state: SafeString, viewer: Viewer) -> list[tuple[str, Any]]:
    """Return who did what, why and to which signal."""
    return [
        ("State", state),
        ("By", shortened(getattr(row, "person", "") or "Not known", 60)),
        ("Signal", _signal(row.signal_id, viewer)),
        ("Why", shortened(getattr(row, "reason", "") or "No reason was given", _MOST_OF_REASON)),
    ]


def _of_job(signal: int, run: Any, sha256: str, viewer: Viewer) -> list[tuple[str, Any]]:
    """Return the signal, the run and the rules of a row of the job, whose rows may be gone."""
    has_run = run is not None and VerificationRun.objects.filter(pk=run).exists()
    rules = VerificationRules.objects.filter(sha256=sha256).values_list("pk", flat=True).first()
    return [
        ("Signal", _signal(signal, viewer)),
        ("Run", viewer.link(VerificationRun, run if has_run else None, run or "None")),
        ("Rules", viewer.link(VerificationRules, rules, sha256[:12] or "None")),
    ]


def _signal(number: int, viewer: Viewer) -> Any:
    text = f"Signal {number}"
    if viewer.may_view(Signal) and not Signal.objects.filter(pk=number).exists():
        return f"{text}, which was deleted"
    return viewer.link(Signal, number, text)


def _token(token: Token | None, viewer: Viewer) -> Any:
    if token is None:
        return "Not known"
    text = f"{shortened(token.address, 200)} on {shortened(token.chain, 50)}"
    return linked(token_url_for(viewer, token), text)
