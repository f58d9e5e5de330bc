"""Rows for the tests, around one fixed time."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "0x" + "ab" * 20
MINUTE = timedelta(minutes=1)

_numbers = itertools.count(1)


def make_signal(
    *,
    age: timedelta | None = 10 * MINUTE,
    token_ca: str | None = ADDRESS,
    event_key: str | None = None,
    now: datetime = NOW,
    **fields: Any,
) -> Signal:
    """A candidate of that age; without an age its created_at is NULL, which the column must allow."""
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
    """A measurement that the shipped rules hold, unless `fields` say otherwise; it is calc_version 2."""
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
    """Measurements of other tokens, whose addr_active are 0, 1, 2, …"""
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
    """A measurement, and its population, that the shipped rules upgrade."""
    make_population(now=fields.get("now", NOW))
    return make_features(growth_ratio=Decimal("2.5"), **fields)


def make_downgradable(**fields: Any) -> OnchainFeature:
    """A measurement, and its population, that the shipped rules downgrade."""
    make_population(now=fields.get("now", NOW))
    return make_features(top10_share=Decimal("0.9"), self_loop_ratio=Decimal("0.5"), **fields)


def stored(signal: Signal) -> tuple[str, datetime | None, Decimal | None]:
    """What the job may change of a signal: state, onchain_asof_ts, onchain_confidence."""
    return Signal.objects.values_list("state", "onchain_asof_ts", "onchain_confidence").get(
        pk=signal.pk
    )


def verdicts(signal: Signal) -> list[tuple[str, str]]:
    """Decision and note of the signal's events, oldest first."""
    return list(
        SignalEvent.objects.filter(signal=signal).order_by("pk").values_list("decision", "note")
    )


def memory(signal: Signal) -> SignalVerification:
    """What the job remembers of the signal."""
    return SignalVerification.objects.get(pk=signal.pk)


def execute(*statements: str) -> None:
    """Runs SQL, as a hand at psql would."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending forbids ALTER TABLE
        for statement in statements:
            cursor.execute(statement)


def contents(tables: Iterable[str]) -> list[Any]:
    """Every row of the tables with its version and place, and where every sequence stands."""
    found: list[Any] = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT '{table}', ctid::text, xmin::text, t::text FROM {table} t")
            found += sorted(cursor.fetchall())
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        return [*found, *cursor.fetchall()]
