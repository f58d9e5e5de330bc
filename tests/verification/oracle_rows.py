"""Hostile signals and measurements, drawn from a seed, and how they come into the database."""

import string
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.db import connection

from tests.verification.oracle import DAY, DELAY, MINUTE, TIMEOUT, Given, Measurement, Time

INFINITY = float("inf")
SPELLINGS = {
    "ethereum": ("ethereum", "Ethereum", "ETH", "eth", "mainnet", "MainNet"),
    "bsc": ("bsc", "BSC", "bnb", "BNB"),
    "polygon": ("polygon", "matic", "Polygon-POS", "polygon_pos", "POLYGON-pos"),
    "arbitrum": ("arbitrum", "arb", "Arbitrum-One", "arbitrum_one"),
    "base": ("base", "Base"),
    "optimism": ("optimism",),
    "solana": ("solana", "Solana", "sol"),
    "my_chain": ("my_chain", "My-Chain", "MY_CHAIN", "my-chain", "mine", "Mine"),
    "other9": ("other9", "OTHER9"),
}
CHAINS = tuple(SPELLINGS)
WEIGHTS = (30, 15, 8, 6, 5, 3, 20, 8, 5)
BORDERS = (("rows_199", 198), ("rows_200", 188), ("rows_200", 189))
"""Tokens of chains with 199 and 200 values; the percentile of the last one is 0.95 exactly."""

GOOD = {
    "upgrade": (("2.5", "2.0", "2", "3.1", "2.00000000000000000001"), ("0.1", "0"), ("0.01", "0")),
    "downgrade": (("1.5", "0.0"), ("0.9", "0.70", "0.7", "1"), ("0.5", "0.20", "0.2", "1.0")),
    "hold": (("1.5", "1.0353", "0"), ("0.1", "0.4", "0.70"), ("0.01", "0.1", "0.2")),
}
NOT_NUMBERS = (None, None, "NaN", "Infinity", "-Infinity")
BAD_SHARES = (
    *("0.69999999999999999999", "0.7000000000000000000000000000000001", "0.19999999999999999999"),
    *("0.20000000000000000000000001", "1.0000000000000000000000001", "-0.0000000000000000000001"),
    *("0.3999999999999999999999999", "2", "-1", "0." + "0" * 300 + "1", "1" + "0" * 400),
)
BAD_GROWTHS = (
    *("1.99999999999999999999", "1.9999999999999999999999999999999999", "1.0353", "1.03529999999"),
    *("-0.00000000000000000001", "-1", "1" + "0" * 1000, "2." + "0" * 500 + "1", "2.0"),
)
BAD_GROWTHS_OF_VERSION_1 = (
    *("1", "1.0", "0.99999999999999999999", "0.0353", "0.03529999999999999999999999", "-1"),
    *("-1.00000000000000000001", "-0.99999999999999999999999999999999", "1" + "0" * 1000),
)
AGES = (
    *(DELAY, DELAY - 1, DELAY + 1, 0, -DAY, TIMEOUT, TIMEOUT + 1, TIMEOUT - 1),
    *(10 * MINUTE, 60 * MINUTE, 3 * DAY, 4000 * DAY, INFINITY, -INFINITY),
)
EVIDENCE_AGES = (
    *(90 * MINUTE, 90 * MINUTE + 1, 90 * MINUTE - 1, -2 * MINUTE, -2 * MINUTE - 1, 0, -1),
    *(3 * DAY, 7 * DAY, 7 * DAY + 1, 30 * DAY, -DAY, -50 * MINUTE, INFINITY, -INFINITY),
)


class Rows:
    """Signals of all kinds, and what was measured of their tokens and of others.

    Measurements are as old as told at `moment`, in microseconds; a second draw is of a later moment.
    """

    def __init__(self, seed: int, signals: int) -> None:
        self._dice = Random(seed)  # noqa: S311 - no secret
        self._seen: set[tuple[Any, ...]] = set()
        self._last_id = 0
        self._tokens: list[tuple[str, str]] = []
        self.signals = [
            Given(n, f"{chain}:{border_address(value)}", None, -10 * MINUTE)
            for n, (chain, value) in enumerate(BORDERS, 1)
        ]
        for n in range(len(BORDERS) + 1, signals + 1):
            self.signals.append(self._signal(n))

    def measurements(self, moment: int, share: float) -> list[Measurement]:
        """Return measurements of that share of the tokens, and at the first draw of all populations."""
        rows: list[Measurement | None] = []
        if not self._last_id:
            rows += self._populations()
        for chain, address in self._tokens:
            if self._dice.random() < share:
                rows += self._of_token(chain, address, moment)
        self._dice.shuffle(rows)
        found = []
        for row in filter(None, rows):
            key = (row.chain, row.address, row.as_of, row.window)
            if key not in self._seen:
                self._seen.add(key)
                self._last_id += 1
                found.append(replace(row, id=self._last_id))
        return found

    def _one(self, *values: Any) -> Any:
        return self._dice.choice(values)

    def _often(self, share: float) -> bool:
        return self._dice.random() < share

    def _address(self, chain: str) -> str:
        """Return a new address of the chain's form, in mixed case; at times one of a wrong form."""
        if self._often(0.03):
            return str(
                self._one("0x" + "a" * 39, "0x" + "a" * 41, "0x" + "g" * 40, "short", "T" * 45)
                + str(self._dice.randrange(10**6)) * self._often(0.5)
            )
        if chain == "solana" or (chain in ("my_chain", "other9") and self._often(0.5)):
            letters = sorted(set(string.ascii_letters + string.digits) - set("0OIl"))
            return "".join(self._dice.choices(letters, k=self._one(32, 43, 44)))
        return self._evm()

    def _evm(self) -> str:
        digits = f"{self._dice.getrandbits(160):040x}"
        return self._one("0x", "0x", "0x", "0X") + self._mixed(digits)

    def _mixed(self, text: str) -> str:
        way = self._dice.randrange(4)
        if way == 0:
            return text.upper()
        return "".join(map(self._either_case, text)) if way == 1 else text

    def _either_case(self, letter: str) -> str:
        return letter.swapcase() if self._dice.getrandbits(1) else letter

    def _spelled(self, chain: str) -> str:
        return str(self._one(*SPELLINGS[chain]))

    def _signal(self, number: int) -> Given:
        (chain,) = self._dice.choices(CHAINS, WEIGHTS)
        address = self._address(chain)
        key, token_ca = self._named(chain, address, number)
        if number > 100 and self._often(0.03):
            twin = self.signals[self._dice.randrange(50)]
            key, token_ca = twin.event_key, twin.token_ca
        self._tokens.append((chain, address))
        state = self._one(*["candidate"] * 18, "verified", "downgraded")
        as_of: Time | None = None
        if self._often(0.15):
            as_of = -self._one(5 * MINUTE, DAY, -DAY, 0, 90 * MINUTE, INFINITY, -INFINITY)
        return Given(
            number,
            key,
            token_ca,
            -self._one(*AGES) if self._often(0.6) else -10 * MINUTE,
            state,
            as_of,
            self._one("0.123", "1.000", "0.500", None) if as_of is not None else None,
            is_orphan=self._often(0.01),
        )

    def _named(self, chain: str, address: str, number: int) -> tuple[str, str | None]:
        """Return an event_key, of that number, and a token_ca that name the token, or seem to."""
        absent = self._one(None, None, "", " ", "\t\n")
        tail = f":{number}" + self._one("", ":more", ": with spaces", "::")
        plain = f"pump-{number}"
        other_chain = self._one(*CHAINS)
        other = self._address(other_chain)
        self._tokens.append((other_chain, other))
        key = f"{self._spelled(chain)}:{address}{tail}"
        of_chain = f"{self._spelled(chain)}:{self._address(chain)}{tail}"
        of_other = f"{self._spelled(other_chain)}:{other}{tail}"
        full = f"{self._spelled(chain)}:{address}"
        if self._often(0.2):
            return self._one(
                *((plain, absent), (f":{address}:{number}", absent), (plain, f":{address}")),
                *((f"9x:{address}:{number}", absent), (f"{chain}::{number}", absent)),
                *((f"{chain}: {address}:{number}", absent), (plain, f"{chain}:")),
                *((of_chain, f"{address} {address}"), (plain, address), (of_other, address)),
                *(
                    (key, f"\u00a0{address}\u2003"),
                    (of_chain, f"\u200b{address}"),
                    (key, f"{address}é"),
                ),
                *(
                    (f"{chain}\u00a0:{address}:{number}", absent),
                    (f"{chain}\uff1a{address}:{number}", absent),
                ),
            )
        return self._one(
            *((key, absent), (f"{self._spelled(chain)}:{address}", absent), (f" {key}", absent)),
            *((key, address), (of_chain, address), (of_other, address), (plain, address)),
            *((of_other, full), (plain, full), (plain, f" {full}\n"), (of_chain, f"\t{address} ")),
        )

    def _of_token(self, chain: str, address: str, moment: int) -> Iterator[Measurement | None]:
        """Yield one measurement or several of the token, and traps beside them."""
        for _ in range(self._one(1, 1, 1, 2, 3)):
            age = (
                self._one(*EVIDENCE_AGES) if self._often(0.4) else self._dice.randrange(80) * MINUTE
            )
            yield self._measured(chain, address, moment - age)
        if self._often(0.3):
            yield self._measured(self._one(*CHAINS), address, moment - MINUTE)
        if self._often(0.3):
            yield self._measured(chain, address.swapcase().replace("0X", "0x"), moment - MINUTE)
        if self._often(0.3):
            yield self._measured(chain, address, moment, window=self._one(30, 180))
        if self._often(0.05):
            spelled = self._one(f" {chain}", f"{chain} ", f"{chain}x", "")
            yield self._measured(chain, address, moment - MINUTE, spelled=spelled)

    def _measured(
        self, chain: str, address: str, as_of: Time, *, window: int = 60, spelled: str | None = None
    ) -> Measurement:
        version = self._one(2, 2, 2, 2, 1, 1, 1, 3, 0, -1) if self._often(0.5) else 2
        kind = self._one(*GOOD)
        growth, top10, loops = map(self._dice.choice, GOOD[kind])
        if version == 1:
            growth = self._one("1.5", "1", "0.5", "1.0")
        if self._often(0.15):
            growth = self._one(*NOT_NUMBERS, *BAD_GROWTHS)
            if version == 1:
                growth = self._one(*NOT_NUMBERS, *BAD_GROWTHS_OF_VERSION_1)
        if self._often(0.1):
            top10 = self._one(*NOT_NUMBERS, *BAD_SHARES)
        if self._often(0.1):
            loops = self._one(*NOT_NUMBERS, *BAD_SHARES)
        active = (
            self._dice.randrange(900, 1000) if kind == "upgrade" else self._dice.randrange(1000)
        )
        if self._often(0.05):
            active = self._one(None, -1, 0, 2**31 - 1, -(2**31), 950)
        name = self._spelled(chain) if spelled is None else spelled
        folded = address.lower() if self._often(0.3) and address[:2] in ("0x", "0X") else address
        if self._often(0.2) and address[:2] == "0x":
            folded = "0x" + self._mixed(address[2:].lower())
        return Measurement(0, name, folded, as_of, window, active, growth, top10, loops, version)

    def _populations(self) -> Iterator[Measurement]:
        """Yield the measurements that percentiles are taken among, some of which do not count."""
        for chain in CHAINS:
            for n in range(50 if chain == "other9" else 300):
                address = self._evm() if chain != "solana" else self._address("solana")
                age = self._one(0, DAY, 6 * DAY, -MINUTE)
                yield Measurement(
                    0, self._spelled(chain), address, -age, 60, 3 * n, "1", "0", "0", 2
                )
            for age in (7 * DAY + 1, -2 * MINUTE - 1, 30 * DAY, INFINITY, -INFINITY):
                yield Measurement(
                    0, self._spelled(chain), self._evm(), -age, 60, 5, "1", "0", "0", 2
                )
        for value in range(199):
            for chain in ("rows_199", "rows_200"):
                address = border_address(value)
                yield Measurement(0, chain, address, -MINUTE, 60, value, "2", "0", "0", 2)
        yield Measurement(0, "rows_200", self._evm(), -MINUTE, 60, 189, "2", "0", "0", 2)


def border_address(value: int) -> str:
    return f"0x{value:040x}"


def is_finite(time: Time) -> bool:
    return abs(time) != INFINITY


def load(rows: Rows, measurements: Iterable[Measurement], start: datetime) -> None:
    """Write the signals and their events, if they are not there yet, and the measurements."""
    events: dict[str, Any] = {}
    for signal in rows.signals:
        events.setdefault(signal.event_key, (signal.event_key, signal.token_ca, "epoch", "epoch"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM signals)")
        if not cursor.fetchone()[0]:
            copy("events (event_key, token_ca, start_ts, last_ts)", events.values())
            copy(
                "signals (id, event_key, created_at, state, onchain_asof_ts, onchain_confidence)",
                (
                    (
                        each.id,
                        None if each.is_orphan else each.event_key,
                        as_text(each.created, start),
                        each.state,
                        as_text(each.as_of, start),
                        each.confidence,
                    )
                    for each in rows.signals
                ),
            )
        copy(
            "onchain_features (id, chain, address, as_of_ts, window_minutes, addr_active, "
            "growth_ratio, top10_share, self_loop_ratio, calc_version)",
            (
                (
                    *(each.id, each.chain, each.address, as_text(each.as_of, start), each.window),
                    *(each.active, each.growth, each.top10, each.loops, each.version),
                )
                for each in measurements
            ),
        )
        cursor.execute("ANALYZE events, signals, onchain_features")


def copy(table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as stream:
        for row in rows:
            stream.write_row(row)


def as_text(time: Time | None, start: datetime) -> str | None:
    """Return a time as PostgreSQL reads it."""
    if time is None:
        return None
    if not is_finite(time):
        return "infinity" if time > 0 else "-infinity"
    return (start + timedelta(microseconds=time)).isoformat()
