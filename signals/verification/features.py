"""What was measured of tokens, looked up for a whole batch in one statement."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification.tokens import Token
from signals.verification.verdict import Feature, Features

WINDOW: Final = 60
"""Minutes; the window that decides."""
FRESH: Final = timedelta(minutes=90)
AHEAD: Final = timedelta(minutes=2)
SPAN: Final = timedelta(days=7)
"""How far back a percentile counts; an older row is taken for none."""
ENOUGH: Final = 200
"""Rows; a percentile among fewer says nothing."""

# The mid-rank percentile of x among n rows is (rows below x + half of the rows equal to x) / n.
_NEWEST: Final = """
WITH newest AS (
    SELECT DISTINCT ON (token.n) token.n, f.*
    FROM unnest(%(chains)s::text[], %(addresses)s::text[], %(folded)s::boolean[])
        WITH ORDINALITY AS token(chain, address, folded, n)
    JOIN onchain_features f ON f.chain = token.chain AND lower(f.address) = lower(token.address)
        AND (token.folded OR f.address = token.address)
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
    CASE WHEN ranked.total >= %(enough)s THEN (below + equal / 2.0) / total END,
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

    def stale(self, now: datetime) -> bool:
        """Whether it is too old to decide by."""
        return self.as_of < now - FRESH


def read_newest(
    connection: BaseDatabaseWrapper, tokens: Collection[Token], now: datetime
) -> Mapping[Token, Evidence]:
    """The newest measurement of each token over the deciding window, in one statement.

    Rows more than AHEAD in the future or SPAN in the past do not count; a token without any is left
    out.
    """
    asked = list(dict.fromkeys(tokens))
    with connection.cursor() as cursor:
        cursor.execute(
            _NEWEST,
            {
                "chains": [token.chain for token in asked],
                "addresses": [token.address for token in asked],
                "folded": [token.folded for token in asked],
                "window": WINDOW,
                "since": now - SPAN,
                "until": now + AHEAD,
                "enough": ENOUGH,
            },
        )
        rows = cursor.fetchall()
    return {
        asked[n - 1]: Evidence(
            as_of,
            version,
            {
                Feature.ACTIVE_ADDR_PCTL: _float(percentile),
                Feature.GROWTH_RATIO: growth_ratio(version, _float(growth)),
                Feature.TOP10_SHARE: _float(top10),
                Feature.SELF_LOOP_RATIO: _float(loops),
            },
        )
        for n, as_of, version, percentile, growth, top10, loops in rows
    }


def growth_ratio(calc_version: int, stored: float | None) -> float | None:
    """cur / prev, which version 2 stores; version 1 stores (cur - prev) / prev, others are unknown."""
    if stored is None or calc_version not in (1, 2):
        return None
    return stored + 1 if calc_version == 1 else stored


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
