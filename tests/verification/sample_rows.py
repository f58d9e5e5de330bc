"""Signals and measurements for the tests, around one fixed time."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from signals.models import Event, OnchainFeature, Signal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "0x" + "ab" * 20
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
AS_OF = NOW - 5 * MINUTE
"""The time of the measurements of make_features()."""

_numbers = itertools.count(1)


def make_signal(
    *,
    age: timedelta | None = 10 * MINUTE,
    token_ca: str | None = ADDRESS,
    event_key: str | None = None,
    now: datetime = NOW,
    **fields: Any,
) -> Signal:
    """Create a candidate of that age; None makes its created_at NULL, which the column must allow."""
    event = Event.objects.create(
        event_key=event_key or f"event-{next(_numbers)}",
        token_ca=token_ca,
        start_ts=now,
        last_ts=now,
    )
    signal = Signal.objects.create(event=event, **fields)
    created_at = None if age is None else now - age
    Signal.objects.filter(pk=signal.pk).update(created_at=created_at)
    return signal


def make_features(
    *, age: timedelta = 5 * MINUTE, now: datetime = NOW, **fields: Any
) -> OnchainFeature:
    """Create a measurement, of calc_version 2, that the shipped rules hold if no field is changed."""
    values = {
        "chain": "ethereum",
        "address": ADDRESS,
        "window_minutes": 60,
        "addr_active": 1000,
        "growth_ratio": Decimal("1.5"),
        "top10_share": Decimal("0.1"),
        "self_loop_ratio": Decimal("0.01"),
        "calc_version": 2,
        **fields,
    }
    return OnchainFeature.objects.create(as_of_ts=now - age, **values)


def make_population(
    rows: int = 199, *, chain: str = "ethereum", age: timedelta = 60 * MINUTE, now: datetime = NOW
) -> None:
    """Create measurements of other tokens, whose addr_active are 0, 1, 2, …"""
    OnchainFeature.objects.bulk_create(
        OnchainFeature(
            chain=chain,
            address=f"0x{next(_numbers):040x}",
            as_of_ts=now - age,
            window_minutes=60,
            addr_active=n,
            calc_version=2,
        )
        for n in range(rows)
    )


def make_upgradable(**fields: Any) -> OnchainFeature:
    """Create a measurement, and its population, that the shipped rules upgrade."""
    make_population(now=fields.get("now", NOW))
    return make_features(growth_ratio=Decimal("2.5"), **fields)


def make_downgradable(**fields: Any) -> OnchainFeature:
    """Create a measurement, and its population, that the shipped rules downgrade."""
    make_population(now=fields.get("now", NOW))
    return make_features(top10_share=Decimal("0.9"), self_loop_ratio=Decimal("0.5"), **fields)
