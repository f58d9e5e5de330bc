"""Reading the evidence: the newest measurements of tokens, for a whole batch in one statement."""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from threading import Lock
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification.arrays import as_array, as_text_array
from signals.verification.readable import readable
from signals.verification.tokens import Token, fold_chain
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
PERCENTILE_DECIMALS: Final = 28
_UNITS: Final = 10**PERCENTILE_DECIMALS

ADDRESS_KEY: Final = (
    "CASE WHEN f.address ~ '^0[xX][0-9a-fA-F]{40}$' THEN lower(f.address) ELSE f.address END"
)
"""SQL for the address of a feature f as it is compared: the expression in the index ix_onf_token."""


def newest_measurement(chain: str, address: str) -> str:
    """Return SQL for the newest measurement at an address of a chain, which are SQL too.

    It is one probe of ix_onf_token. Version 1 of the collector stored (current - previous) / previous.
    """
    return f"""
        SELECT f.as_of_ts, f.id, f.calc_version, f.addr_active,
            CASE f.calc_version WHEN 1 THEN f.growth_ratio + 1 WHEN 2 THEN f.growth_ratio END AS growth_ratio,
            f.top10_share, f.self_loop_ratio
        FROM onchain_features f
        WHERE f.chain = {chain} AND {ADDRESS_KEY} = {address}
            AND f.window_minutes = %(window)s AND f.as_of_ts BETWEEN %(since)s AND %(until)s
        ORDER BY f.as_of_ts DESC, f.id DESC
        LIMIT 1
    """  # noqa: S608 - names of columns, and constants of this module


_NEWEST: Final = f"""
SELECT wanted.n, newest.*
FROM unnest(%(numbers)s::integer[], %(chains)s::text[], %(addresses)s::text[])
    AS wanted(n, chain, address)
CROSS JOIN LATERAL ({newest_measurement("wanted.chain", "wanted.address")}) newest
"""  # noqa: S608 - the same

# All spellings of chains, each found by one probe of an index that begins with the chain.
_SPELLINGS: Final = f"""
WITH RECURSIVE spelling AS (
    SELECT min(chain) AS chain FROM onchain_features
    UNION ALL
    SELECT (SELECT min(f.chain) FROM onchain_features f WHERE f.chain > spelling.chain)
    FROM spelling WHERE spelling.chain IS NOT NULL
)
SELECT {readable("chain")} FROM spelling WHERE chain IS NOT NULL
"""  # noqa: S608 - the same

_POPULATION: Final = """
SELECT f.chain, f.addr_active, count(*)
FROM onchain_features f
WHERE f.chain = ANY (%(chains)s) AND f.window_minutes = %(window)s
    AND f.as_of_ts BETWEEN %(since)s AND %(until)s
GROUP BY f.chain, f.addr_active
HAVING f.addr_active IS NOT NULL
"""


def times_of_measurements(now: datetime) -> dict[str, datetime]:
    """Return the parameters for the first and the last time of the measurements that are read."""
    return {"since": now - MAX_ROW_AGE, "until": now + MAX_CLOCK_SKEW}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest measurement of a token."""

    as_of: datetime
    calc_version: int
    features: Features

    def is_stale(self, now: datetime) -> bool:
        """Return whether the measurement is too old for a decision."""
        return self.as_of < now - MAX_EVIDENCE_AGE


class Population:
    """The values of addr_active on one chain, from which percentiles are taken."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._values = array("q", sorted(counts))
        self._below = array("q", accumulate((counts[n] for n in self._values), initial=0))

    def percentile(self, value: int | None) -> Decimal | None:
        """Return (rows below the value + half of the rows equal to it) / rows; None if it is missing.

        The result is rounded half up to PERCENTILE_DECIMALS.
        """
        rows = self._below[-1]
        if value is None or rows < MIN_PERCENTILE_ROWS:
            return None
        place = bisect_left(self._values, value)
        is_known = place < len(self._values) and self._values[place] == value
        rank = self._below[place] + self._below[place + is_known]
        units = (rank * _UNITS + rows) // (2 * rows)
        return Decimal(units).scaleb(-PERCENTILE_DECIMALS).normalize()

    @cached_property
    def arrays(self) -> tuple[str, str] | None:
        """The values, and the rows below each and below infinity, as PostgreSQL's arrays.

        None if there are too few rows for a percentile.
        """
        if self._below[-1] < MIN_PERCENTILE_ROWS:
            return None
        return as_array(self._values), as_array(self._below)


class EvidenceReader:
    """Reads the evidence of one run.

    The spellings of chains and the population of each chain are read once. The workers of a run share
    the reader, each with its own connection.
    """

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = aliases
        self._spellings: dict[str, list[str]] | None = None
        self._populations: dict[str, Population] = {}
        self._lock = Lock()

    def spellings(self, connection: BaseDatabaseWrapper) -> Mapping[str, list[str]]:
        """Return the names by which onchain_features knows each chain."""
        with self._lock:
            if self._spellings is None:
                found: dict[str, list[str]] = {}
                with connection.cursor() as cursor:
                    cursor.execute(_SPELLINGS)
                    for (name,) in cursor.fetchall():
                        found.setdefault(fold_chain(name, self._aliases), []).append(name)
                self._spellings = found
            return self._spellings

    def read_newest(
        self, connection: BaseDatabaseWrapper, tokens: Collection[Token], now: datetime
    ) -> Mapping[Token, Evidence]:
        """Return the newest measurement of each token over the deciding window.

        Rows more than MAX_CLOCK_SKEW in the future or MAX_ROW_AGE in the past are not read. A token
        without a row is left out.
        """
        spellings = self.spellings(connection)
        wanted = list(dict.fromkeys(tokens))
        probes = [
            (number, name, token.address)
            for number, token in enumerate(wanted)
            for name in spellings.get(token.chain, ())
        ]
        if not probes:
            return {}
        times = times_of_measurements(now)
        numbers, chains, addresses = map(list, zip(*probes, strict=True))
        parameters: dict[str, Any] = {
            "numbers": as_array(numbers),
            "chains": as_text_array(chains),
            "addresses": as_text_array(addresses),
            "window": DECIDING_WINDOW,
            **times,
        }
        newest: dict[int, Any] = {}
        with connection.cursor() as cursor:
            cursor.execute(_NEWEST, parameters)
            for number, *row in cursor.fetchall():
                newest[number] = max(newest.get(number, row), row, key=lambda each: each[:2])
        populations = self.read_populations(connection, {token.chain for token in wanted}, now)
        return {
            wanted[number]: Evidence(
                as_of,
                version,
                {
                    Feature.ACTIVE_ADDR_PCTL: populations[wanted[number].chain].percentile(active),
                    Feature.GROWTH_RATIO: growth,
                    Feature.TOP10_SHARE: top10,
                    Feature.SELF_LOOP_RATIO: loops,
                },
            )
            for number, (as_of, _, version, active, growth, top10, loops) in newest.items()
        }

    def known_populations(self) -> Mapping[str, Population]:
        """Return the populations by chain that were read so far."""
        with self._lock:
            return dict(self._populations)

    def read_populations(
        self, connection: BaseDatabaseWrapper, chains: Iterable[str], now: datetime
    ) -> Mapping[str, Population]:
        """Return the populations by chain that were read so far, those of these chains among them.

        A chain without features has none.
        """
        spellings = self.spellings(connection)
        times = times_of_measurements(now)
        with self._lock:
            known = (chain for chain in chains if chain in spellings)
            if new := [chain for chain in known if chain not in self._populations]:
                names = [name for chain in new for name in spellings[chain]]
                counts: dict[str, dict[int, int]] = {chain: {} for chain in new}
                with connection.cursor() as cursor:
                    cursor.execute(
                        _POPULATION, {"chains": names, "window": DECIDING_WINDOW, **times}
                    )
                    for name, active, count in cursor:
                        of_chain = counts[fold_chain(name, self._aliases)]
                        of_chain[active] = of_chain.get(active, 0) + count
                self._populations |= {chain: Population(counts[chain]) for chain in new}
            return self._populations
