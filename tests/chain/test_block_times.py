"""The first block of a window is found by few headers, however blocks are spread over time."""

from bisect import bisect_right
from datetime import UTC, datetime
from itertools import accumulate
from random import Random

import pytest

from signals.chain.answers import Block
from signals.chain.block_times import BlockTimes


def block(number: int, seconds: int) -> Block:
    return Block(number, f"0x{number:064x}", datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize("seed", range(8))
def test_the_first_block_after_a_moment_is_found(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - no secret
    steps = dice.choice(([12], [0, 0, 1], [2] * 50 + [90_000], [1, 3_600]))
    number = dice.choice((1, 2, 500, 20_000))
    times = list(accumulate(dice.choice(steps) for _ in range(number)))
    asked: list[int] = []

    def read(number: int) -> Block:
        asked.append(number)
        return block(number, times[number])

    found = BlockTimes(read, block(number - 1, times[-1]))
    for moment in (-1, *sorted(dice.randrange(times[-1] + 1) for _ in range(20))):
        if moment < times[-1]:
            wanted = bisect_right(times, moment)
            assert found.first_after(datetime.fromtimestamp(moment, UTC)) == wanted
    assert len(asked) == len(set(asked)) < 20 * 34


def test_blocks_of_one_length_take_a_few_headers() -> None:
    """Twenty million blocks of 12 s, and the five moments that three windows need."""
    asked: list[int] = []

    def read(number: int) -> Block:
        asked.append(number)
        return block(number, 12 * number)

    newest = 20_000_000
    found = BlockTimes(read, block(newest, 12 * newest))
    for minutes in (30, 60, 120, 180, 360):
        moment = datetime.fromtimestamp(12 * newest - 60 * minutes, UTC)
        assert found.first_after(moment) == newest - 5 * minutes + 1
    assert len(asked) <= 30
