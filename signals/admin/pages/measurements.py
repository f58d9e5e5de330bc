"""The measurements of a token over time, read by a bounded number of probes of ix_onf_token."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from signals.choices import WINDOW_MINUTES
from signals.verification.features import ADDRESS_KEY, DECIDING_WINDOW, MAX_CLOCK_SKEW

NEWEST_OF_WINDOW: Final = 10
"""Newest measurements of each window that the page of a token lists."""


@dataclass(frozen=True, slots=True)
class Period:
    """A period up to now, in slots of which each shows its newest measurement."""

    title: str
    slot: timedelta
    slots: int

    @property
    def length(self) -> timedelta:
        return self.slot * self.slots


PERIODS: Final = (
    Period("Last 24 hours", timedelta(minutes=10), 144),
    Period("Last 7 days", timedelta(hours=1), 168),
)

_COLUMNS: Final = """
    f.id, f.as_of_ts, f.window_minutes, f.addr_active, f.tx_count, f.top10_share, f.self_loop_ratio,
    f.calc_version,
    CASE f.calc_version WHEN 1 THEN f.growth_ratio + 1 WHEN 2 THEN f.growth_ratio END AS growth
"""  # one unit for growth, whatever the collector's version: current / previous
_OF_TOKEN: Final = f"""
    FROM onchain_features f
    WHERE f.chain = spelling.chain AND {ADDRESS_KEY} = %(address)s
"""
_OF_PERIOD: Final = f"""
SELECT newest.*
FROM pg_catalog.generate_series(0, %(slots)s - 1) AS slot(number)
CROSS JOIN LATERAL (
    SELECT found.*
    FROM pg_catalog.unnest(%(chains)s::text[]) AS spelling(chain)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} {_OF_TOKEN} AND f.window_minutes = %(window)s
            AND f.as_of_ts > %(start)s + slot.number * %(slot)s
            AND f.as_of_ts <= %(start)s + (slot.number + 1) * %(slot)s
        ORDER BY f.as_of_ts DESC, f.id DESC
        LIMIT 1
    ) found
    ORDER BY found.as_of_ts DESC, found.id DESC
    LIMIT 1
) newest
ORDER BY newest.as_of_ts
"""  # noqa: S608 - names of columns, and constants
_NEWEST: Final = f"""
SELECT found.*
FROM pg_catalog.unnest(%(chains)s::text[]) AS spelling(chain)
CROSS JOIN pg_catalog.unnest(%(windows)s::integer[]) AS wanted(minutes)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} {_OF_TOKEN} AND f.window_minutes = wanted.minutes
    ORDER BY f.as_of_ts DESC, f.id DESC
    LIMIT %(most)s
) found
ORDER BY found.as_of_ts DESC, found.id DESC
LIMIT %(most)s
"""  # noqa: S608 - the same


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement of a token; `growth` is current / previous, None if the version is not known."""

    pk: int
    as_of: datetime
    window_minutes: int
    addr_active: int | None
    tx_count: int | None
    top10_share: Decimal | None
    self_loop_ratio: Decimal | None
    calc_version: int
    growth: Decimal | None


def measurements_of(
    spellings: list[str], address: str, period: Period, now: datetime
) -> list[Measurement]:
    """Return the newest measurement of each slot of the period, over 60 minutes, the oldest first."""
    return _read(
        _OF_PERIOD,
        {
            "chains": spellings,
            "address": address,
            "window": DECIDING_WINDOW,
            "start": now + MAX_CLOCK_SKEW - period.length,
            "slot": period.slot,
            "slots": period.slots,
        },
    )


def newest_measurements(spellings: list[str], address: str) -> list[Measurement]:
    """Return the newest measurements over any window, the newest first."""
    parameters = {"windows": list(WINDOW_MINUTES), "most": NEWEST_OF_WINDOW}
    return _read(_NEWEST, {"chains": spellings, "address": address, **parameters})


def _read(statement: str, parameters: dict[str, Any]) -> list[Measurement]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [Measurement(*row) for row in cursor.fetchall()]
