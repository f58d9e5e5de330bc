"""Features of a token by all of its logs, in plain Python and by the words of their definitions."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

BURNED = {
    "0x" + 40 * "0",
    "0x000000000000000000000000000000000000dead",
    "0xdead000000000000000042069420694206942069",
    "0x0000000000000000000000000000000000000001",
    "0xdeaddeaddeaddeaddeaddeaddeaddeaddeaddead",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer of the token, and the time of its block."""

    block: int
    time: int
    tx: int
    sender: str
    receiver: str
    value: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a row of onchain_features holds."""

    active: int | None
    transactions: int | None
    growth: Decimal | None
    top10: Decimal | None
    loops: Decimal | None


def read_erc20(log: Any, time: int) -> Moved | None:
    """Return the transfer in a log as a node sends it, None if it is not that of an ERC-20 token."""
    topics, data = log["topics"], log["data"]
    if len(topics) != 3 or len(data) != 2 + 64:
        return None
    return Moved(
        block=int(log["blockNumber"], 16),
        time=time,
        tx=int(log["transactionIndex"], 16),
        sender="0x" + topics[1][-40:],
        receiver="0x" + topics[2][-40:],
        value=int(data, 16),
    )


def measure(
    moves: Collection[Moved],
    as_of: int,
    minutes: int,
    contracts: Collection[str] = (),
    pools: Collection[str] = (),
) -> Measurement:
    """Return the features over the minutes that end at `as_of`, by all transfers up to then."""
    moves = [move for move in moves if move.time <= as_of]
    start = as_of - 60 * minutes
    window = [move for move in moves if move.time > start]
    before = [move for move in moves if start - 60 * minutes < move.time <= start]
    others = BURNED | set(pools)
    active = len(accounts(window) - BURNED)
    balances: dict[str, int] = defaultdict(int)
    for move in moves:
        balances[move.sender] -= move.value
        balances[move.receiver] += move.value
    held = sorted((n for who, n in balances.items() if n > 0 and who not in others), reverse=True)
    return Measurement(
        active=active,
        transactions=len({(move.block, move.tx) for move in window}),
        growth=exact(active, max(len(accounts(before) - BURNED), 1)),
        top10=exact(sum(held[:10]), sum(held)) if held else None,
        loops=loop_ratio(window, others | set(contracts)),
    )


def accounts(moves: Collection[Moved]) -> set[str]:
    return {move.sender for move in moves} | {move.receiver for move in moves}


def loop_ratio(window: Collection[Moved], no_wallets: Collection[str]) -> Decimal:
    sent: dict[tuple[str, str], int] = defaultdict(int)
    for move in window:
        if move.sender not in no_wallets and move.receiver not in no_wallets:
            sent[move.sender, move.receiver] += move.value
    looped = 0
    for (sender, receiver), value in sent.items():
        if sender == receiver:
            looped += value
        elif sender < receiver:
            looped += 2 * min(value, sent.get((receiver, sender), 0))
    total = sum(sent.values())
    return exact(looped, total) if total else Decimal(0)


def exact(part: int, whole: int) -> Decimal:
    """Return part / whole to 28 decimals, rounded half up."""
    units = Fraction(part * 10**28, whole)
    rounded = Decimal((2 * units.numerator + units.denominator) // (2 * units.denominator))
    return Context(prec=200, rounding=ROUND_HALF_UP).scaleb(rounded, -28)
