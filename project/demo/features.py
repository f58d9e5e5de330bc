"""On-chain features for the tokens of a database, such that every verdict of the rules occurs."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from project.demo.rows import Dice, Row, write
from signals.verification.tokens import resolve

HISTORY, STALE = timedelta(days=6, hours=20), timedelta(hours=3)
# Enough rows of a chain for a percentile; a token has some six measurements a day at least.
ROWS_OF_CHAIN, ROWS_OF_TOKEN = 240, 40
# Tron's collector started yesterday: too few rows for a percentile.
YOUNG_CHAINS = ("tron",)

# What the newest measurement of a token looks like; the tokens of a chain take turns.
PROFILES = ("strong", "concentrated", "calm", "calm", "strong", "stale", "calm", "incomplete")


def fill_features(target: Any, seed: int, *, now: datetime | None = None) -> int:
    """Write a week of measurements of every token that the events name; returns how many.

    By the shipped rules some tokens are then upgraded, some downgraded, some held, and some lack
    evidence: their newest measurement is too old or incomplete, or their chain has too few for a
    percentile. `target` is a connection or a cursor, psycopg's or Django's, of a database at
    revision 010 or later; its transaction stays the caller's.
    """
    cursor = target if hasattr(target, "fetchone") else target.cursor()
    now = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
    dice = Dice(f"features {seed}")
    rows = [
        {"chain": chain, "address": address, **measurement}
        for chain, addresses in _tokens(cursor).items()
        for number, address in enumerate(addresses)
        for measurement in _week(
            dice,
            3 if chain in YOUNG_CHAINS else max(ROWS_OF_TOKEN, ROWS_OF_CHAIN // len(addresses) + 1),
            PROFILES[number % len(PROFILES)],
            now,
        )
    ]
    write(cursor, "onchain_features", "010", rows)
    return len(rows)


def _tokens(cursor: Any) -> dict[str, list[str]]:
    cursor.execute("SELECT event_key, token_ca FROM events")
    tokens = {resolve(key, address) for key, address in cursor.fetchall()}
    found: dict[str, list[str]] = defaultdict(list)
    for chain, address in sorted((token.chain, token.address) for token in tokens if token):
        found[chain].append(address)
    return found


def _week(dice: Dice, count: int, profile: str, now: datetime) -> Iterator[Row]:
    """Measurements of one token: `count` calm ones of the days before, then the newest."""
    for step in range(count):
        yield _measurement(dice, "calm", now - HISTORY + step * (HISTORY - STALE) / count, 60)
    if profile == "stale":
        return
    newest = now - timedelta(minutes=dice.randint(1, 8))
    for window in (30, 60, 180):
        yield _measurement(dice, profile, newest, window)


def _measurement(dice: Dice, profile: str, as_of: datetime, window: int) -> Row:
    active = dice.randint(2000, 9000) if profile == "strong" else dice.randint(20, 900)
    growth = dice.uniform(2.1, 6) if profile == "strong" else dice.uniform(0.6, 1.9)
    top10 = dice.uniform(0.72, 0.95) if profile == "concentrated" else dice.uniform(0.1, 0.6)
    loops = dice.uniform(0.22, 0.5) if profile == "concentrated" else dice.uniform(0, 0.15)
    version = dice.choice((1, 2))
    return {
        "as_of_ts": as_of,
        "window_minutes": window,
        "addr_active": active,
        "tx_count": active * dice.randint(2, 9),
        # Version 1 of the collector stored (current - previous) / previous.
        "growth_ratio": _numeric(growth - 1 if version == 1 else growth),
        "top10_share": None if profile == "incomplete" else _numeric(top10),
        "self_loop_ratio": _numeric(loops),
        "calc_version": version,
        "created_at": as_of,
    }


def _numeric(value: float) -> Decimal:
    return Decimal(f"{value:.4f}")
