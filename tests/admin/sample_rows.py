"""Rows of each model: ordinary, empty and hostile ones."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from django.utils import timezone

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

RUN = UUID("8d9b8f2e-7f06-4ac6-9d6b-3a5f5c1f7f10")
ADDRESS = "0xAbCd000000000000000000000000000000001234"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'</pre></td>{{ 7|add:7 }}"

_numbers = count(1)


def make_event(**fields: Any) -> Event:
    values = {
        "event_key": f"ethereum:{ADDRESS}:{next(_numbers)}",
        "symbol": "PEPE",
        "type": "listing",
        "summary": "PEPE is up 40% since listing",
        "start_ts": NOW,
        "last_ts": NOW,
    }
    event = Event.objects.create(**values | fields)
    event.refresh_from_db()
    return event


def make_signal(**fields: Any) -> Signal:
    if "event" not in fields:
        fields["event"] = make_event()
    signal = Signal.objects.create(**{"market_type": "dex", "goplus_risk": "green"} | fields)
    signal.refresh_from_db()
    return signal


def make_verdict(signal: Signal, **fields: Any) -> SignalEvent:
    values = {
        "previous_state": "candidate",
        "new_state": "verified",
        "decision": "upgrade",
        "confidence": Decimal("0.800"),
        "features": {"growth_ratio": 2.5, "top10_share": None},
        "rules_sha256": "e" * 64,
        "run": RUN,
    }
    return SignalEvent.objects.create(signal=signal, **values | fields)


def make_verification(signal: Signal, **fields: Any) -> SignalVerification:
    values = {"status": "dead", "outcome": "failed", "error": "it broke", "attempts": 5}
    return SignalVerification.objects.create(signal=signal, **values | fields)


def make_feature(**fields: Any) -> OnchainFeature:
    values = {"chain": "ethereum", "address": ADDRESS, "as_of_ts": NOW, "window_minutes": 60}
    return OnchainFeature.objects.create(**values | fields)


def make_attack() -> Signal:
    """A signal whose every text, down to keys of JSON, tries to become markup."""
    event = make_event(
        event_key=f"{ATTACK}:{next(_numbers)}",
        evidence=[{ATTACK: ATTACK}],
        keywords_norm=[ATTACK],
        **dict.fromkeys(("type", "summary", "symbol", "token_ca", "topic_hash"), ATTACK),
        **dict.fromkeys(("refined_type", "refined_summary", "refine_error"), ATTACK),
        **dict.fromkeys(("refine_backend", "last_sentiment"), ATTACK),
        **{name: [ATTACK] for name in ("refined_reasons", "topic_entities", "impacted_assets")},
    )
    signal = make_signal(
        event=event,
        features_snapshot={ATTACK: [ATTACK]},
        **dict.fromkeys(("market_type", "advice_tag", "source_level"), ATTACK),
        **{name: [ATTACK] for name in ("topic_entities", "topic_keywords", "topic_sources")},
        topic_evidence_links=["javascript:alert(3)", ATTACK],
    )
    make_verdict(signal, event_key=event.pk, features={ATTACK: ATTACK}, metadata={"x": ATTACK})
    make_verification(signal, error=ATTACK)
    make_feature(chain=ATTACK, address=ATTACK)
    return signal


def make_bare_signal() -> Signal:
    """A signal with nothing but its number."""
    signal = make_signal(event=None, market_type=None, goplus_risk=None)
    Signal.objects.filter(pk=signal.pk).update(ts=None)
    return signal


def make_one_of_each(**event: Any) -> None:
    """Create one row of each model; `event` are fields of the event."""
    signal = make_signal(event=make_event(**event))
    make_verdict(signal)
    make_verification(signal)
    make_feature(as_of_ts=timezone.now())
