"""The windows over which features are measured, and the SQL of the transfers between wallets in them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.answers import Block
from signals.chain.block_times import BlockTimes
from signals.choices import WINDOW_MINUTES

ZERO_ADDRESS: Final = bytes(20)
BURN_ADDRESSES: Final = frozenset(
    bytes.fromhex(address)
    for address in (
        "000000000000000000000000000000000000dead",
        "dead000000000000000042069420694206942069",
        "0000000000000000000000000000000000000001",
        "deaddeaddeaddeaddeaddeaddeaddeaddeaddead",
    )
)
"""Addresses to which tokens are sent to be out of the world; nobody has their keys."""
REORG_BLOCKS: Final = 128
"""Blocks before the longest window whose transfers are kept, too."""

# OFFSET keeps the planner at one probe of an index for each account; it may know the tables from when they
# were small, and would join them row by row.
WALLET_TRANSFERS: Final = """
SELECT t.token_id, t.block, t.sender, t.receiver, t.value
FROM chain_transfers t
WHERE t.token_id = ANY (%(ids)s) AND t.block BETWEEN %(widest)s AND %(last)s AND t.value > 0
    AND t.sender <> ALL (%(others)s::bytea[]) AND t.receiver <> ALL (%(others)s::bytea[])
    AND NOT EXISTS (
        SELECT FROM chain_accounts a
        WHERE a.chain = %(chain)s AND a.address = t.sender AND a.is_contract
        OFFSET 0
    )
    AND NOT EXISTS (
        SELECT FROM chain_accounts a
        WHERE a.chain = %(chain)s AND a.address = t.receiver AND a.is_contract
        OFFSET 0
    )
"""
"""SQL for the transfers of value, in the longest window, of which no side is known to be no wallet."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window of so many minutes: it begins with the block `start`, the one before it with `before`."""

    minutes: int
    start: int
    before: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Where a chain is measured: up to and including the block `last`, over these windows.

    `others` are the addresses that are neither wallets nor holders: zero, burn addresses and known pools.
    """

    chain: str
    last: Block
    windows: tuple[Window, ...]
    others: tuple[bytes, ...]

    @property
    def keep(self) -> int:
        """The block from which on transfers are kept."""
        return max(0, min(window.before for window in self.windows) - REORG_BLOCKS)

    def parameters(self, ids: Iterable[int]) -> dict[str, Any]:
        """Return the parameters of the statements that measure these tokens."""
        return {
            "ids": list(ids),
            "chain": self.chain,
            "last": self.last.number,
            "hash": self.last.hash,
            "as_of": self.last.time,
            "minutes": [window.minutes for window in self.windows],
            "starts": [window.start for window in self.windows],
            "befores": [window.before for window in self.windows],
            "widest": min(window.start for window in self.windows),
            "earliest": min(window.before for window in self.windows),
            "burned": [ZERO_ADDRESS, *BURN_ADDRESSES],
            "others": list(self.others),
        }


def find_windows(chain: str, last: Block, times: BlockTimes, pools: Iterable[str] = ()) -> Measured:
    """Return the windows that end with the block `last`.

    A window of n minutes has the blocks whose time is later than that of `last` minus n minutes; the window
    before it those of the n minutes before. `pools` are addresses with 0x.
    """
    windows = []
    for minutes in WINDOW_MINUTES:
        length = timedelta(minutes=minutes)
        start, before = (times.first_after(last.time - n * length) for n in (1, 2))
        windows.append(Window(minutes, start, before))
    known_pools = sorted(bytes.fromhex(pool[2:]) for pool in pools)
    return Measured(
        chain, last, tuple(windows), (ZERO_ADDRESS, *sorted(BURN_ADDRESSES), *known_pools)
    )


@contextmanager
def without_jit(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    """Yield a cursor in a transaction whose statements are not compiled (JIT).

    The planner may know the tables from when they were empty or small, and would spend more on that than
    the statements take. The setting ends with the transaction; within the caller's it stays.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = off")
        yield cursor
