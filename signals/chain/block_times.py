"""Finding the blocks at which windows begin, by the times in headers."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from signals.chain.answers import Block

_FIRST_STEP: Final = 100
"""Blocks from the newest one to the first that is looked at, which shows how long a block takes."""


class BlockTimes:
    """Finds the first block after a moment, up to a known newest block, by few headers.

    `read` returns the block of a number. Times grow with numbers, as the protocol has it.
    """

    def __init__(self, read: Callable[[int], Block], newest: Block) -> None:
        self._read, self._newest = read, newest
        self._known = {newest.number: newest}

    def first_after(self, moment: datetime) -> int:
        """Return the number of the first block whose time is later than the moment.

        The newest block must be one. If all blocks are later, the number is 0.
        """
        high = min(
            (each for each in self._known.values() if each.time > moment),
            key=lambda each: each.number,
        )
        earlier = [each for each in self._known.values() if each.time <= moment]
        low = max(earlier, key=lambda each: each.number, default=None)
        step = _FIRST_STEP
        while low is None:
            if high.number == 0:
                return 0
            found = self._block(max(0, high.number - step))
            if found.time <= moment:
                low = found
            else:
                step, high = self._step(found, moment, step), found
        return self._between(low, high, moment)

    def _step(self, found: Block, moment: datetime, last: int) -> int:
        """Return how many blocks before `found` the moment is, by how long blocks took since then."""
        blocks = self._newest.number - found.number
        seconds = (self._newest.time - found.time).total_seconds()
        if seconds <= 0:
            return 2 * last
        wanted = (found.time - moment).total_seconds() * blocks / seconds
        return int(wanted * 1.05) + 1

    def _between(self, low: Block, high: Block, moment: datetime) -> int:
        """Return the first block after the moment, which is behind `low` and at most `high`.

        Every second look is in the middle, so that no course of times makes it long.
        """
        by_time = True
        while high.number - low.number > 1:
            blocks = high.number - low.number
            seconds = (high.time - low.time).total_seconds()
            place = blocks // 2
            if by_time and seconds > 0:
                place = round((moment - low.time).total_seconds() * blocks / seconds)
            by_time = not by_time
            found = self._block(low.number + min(max(place, 1), blocks - 1))
            low, high = (found, high) if found.time <= moment else (low, found)
        return high.number

    def _block(self, number: int) -> Block:
        if number not in self._known:
            self._known[number] = self._read(number)
        return self._known[number]
