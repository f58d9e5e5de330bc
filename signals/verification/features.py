"""Reading the evidence: the newest measurements of tokens, for a whole batch in one statement."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification.tokens import Token
from signals.verification.verdict import Feature, Features

DECIDING_WINDOW: Final = 60
"""Minutes; only measurements over this window are read."""
MAX_EVIDENCE_AGE: Final = timedelta(minutes=90)
"""Older evidence is stale."""
MAX_CLOCK_SKEW: Final = timedelta(minutes=2)
"""Rows further in the future are not read."""
MAX_ROW_AGE: Final = timedelta(days=7)
"""Older rows are not read, neither as evidence nor for a percentile."""
MIN_PERCENTILE_ROWS: Final = 200
"""A percentile among fewer rows is missing."""

# The mid-rank percentile of x among n rows is (rows below x + half of the rows equal to x) / n.
_NEWEST: Final = """
WITH newest AS (
    SELECT DISTINCT ON (token.n) token.n, f.*
    FROM unnest(%(chains)s::text[], %(addresses)s::text[], %(ignores_case)s::boolean[])
        WITH ORDINALITY AS token(chain, address, ignores_case, n)
    JOIN onchain_features f ON f.chain = token.chain AND lower(f.address) = lower(token.address)
        AND (token.ignores_case OR f.address = token.address)
    WHERE f.window_minutes = %(window)s AND f.as_of_ts BETWEEN %(since)s AND %(until)s
    ORDER BY token.n, f.as_of_ts DESC, f.id DESC
), counted AS (
    SELECT chain, addr_active, count(*) AS equal
    FROM onchain_features
    WHERE chain = ANY (%(chains)s) AND window_minutes = %(window)s
        AND as_of_ts BETWEEN %(since)s AND %(until)s AND addr_active IS NOT NULL
    GROUP BY chain, addr_active
), ranked AS (
    SELECT chain, addr_active, equal,
        sum(equal) OVER (PARTITION BY chain ORDER BY addr_active) - equal AS below,
        sum(equal) OVER (PARTITION BY chain) AS total
    FROM counted
)
SELECT newest.n, newest.as_of_ts, newest.calc_version,
    CASE WHEN ranked.total >= %(min_rows)s THEN (below + equal / 2.0) / total END,
    newest.growth_ratio, newest.top10_share, newest.self_loop_ratio
FROM newest
LEFT JOIN ranked ON ranked.chain = newest.chain AND ranked.addr_active = newest.addr_active
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest measurement of a token."""

    as_of: datetime
    calc_version: int
    features: Features

    def is_stale(self, now: datetime) -> bool:
        """Return whether the measurement is too old for a decision."""
        return self.as_of < now - MAX_EVIDENCE_AGE


def read_newest_evidence(
    connection: BaseDatabaseWrapper, tokens: Collection[Token], now: datetime
) -> Mapping[Token, Evidence]:
    """Return the newest measurement of each token over the deciding window.

    Rows more than MAX_CLOCK_SKEW in the future or MAX_ROW_AGE in the past are not read. A token
    without a row is left out.
    """
    wanted = list(dict.fromkeys(tokens))
    with connection.cursor() as cursor:
        cursor.execute(
            _NEWEST,
            {
                "chains": [token.chain for token in wanted],
                "addresses": [token.address for token in wanted],
                "ignores_case": [token.ignores_case for token in wanted],
                "window": DECIDING_WINDOW,
                "since": now - MAX_ROW_AGE,
                "until": now + MAX_CLOCK_SKEW,
                "min_rows": MIN_PERCENTILE_ROWS,
            },
        )
        rows = cursor.fetchall()
    return {
        wanted[n - 1]: Evidence(
            as_of,
            version,
            {
                Feature.ACTIVE_ADDR_PCTL: _float(percentile),
                Feature.GROWTH_RATIO: growth_quotient(version, _float(growth)),
                Feature.TOP10_SHARE: _float(top10),
                Feature.SELF_LOOP_RATIO: _float(loops),
            },
        )
        for n, as_of, version, percentile, growth, top10, loops in rows
    }


def growth_quotient(calc_version: int, stored: float | None) -> float | None:
    """Return the growth as current / previous.

    Version 2 stores that quotient, version 1 stores (current - previous) / previous. Return None for any
    other version, and if nothing is stored.
    """
    if stored is None or calc_version not in (1, 2):
        return None
    return stored + 1 if calc_version == 1 else stored


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
