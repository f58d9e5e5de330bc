"""Filling a node with transfers of some tokens among many holders."""

from collections.abc import Iterator
from random import Random

from benchmarks.pulling.anvil import Anvil, emitter

TOKENS = tuple(f"0x{0xA0000 + number:040x}" for number in range(8))
LOGS_OF_A_BLOCK = 1_000
SECONDS = 60
"""From a block to the next; windows have the blocks of the last six hours."""


def fill(node: Anvil, logs: int) -> None:
    """Mine so many logs, a tenth of them with a new holder, and enough blocks to confirm them."""
    dice = Random(logs)  # noqa: S311 - no secret
    holders = max(100, logs // 10)
    for token in TOKENS:
        node.deploy(token, emitter())
    for number in range(logs // LOGS_OF_A_BLOCK):
        node.emit(TOKENS[number % len(TOKENS)], list(moves(dice, holders)))
        node.mine(SECONDS)
    for _ in range(12):
        node.mine(SECONDS)


def moves(dice: Random, holders: int) -> Iterator[tuple[str, str, int]]:
    """Yield sender, receiver and value of a block's transfers."""
    for _ in range(LOGS_OF_A_BLOCK):
        sender, receiver = (f"0x{0xB0000000 + dice.randrange(holders):040x}" for _ in range(2))
        yield sender, receiver, dice.randrange(10**24)
