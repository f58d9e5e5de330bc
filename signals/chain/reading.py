"""Reading the Transfer logs of some tokens, in ranges of blocks whose size follows the node's answers."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from signals.chain.answers import Block, Transfer
from signals.chain.errors import BadAnswer, ChainMoved, RangeTooLarge, TokenRefused
from signals.chain.nodes import Nodes
from signals.chain.storing import BlockRange, Cursor

FIRST_SPAN: Final = 20
"""Blocks of the first range; few, for nobody knows yet how many logs they have."""
LONGEST_SPAN: Final = 1_000_000
WANTED_LOGS: Final = 10_000
"""Logs of an answer, about; it bounds the memory of a pass."""
GROWTH: Final = 2
CAREFUL_GROWTH: Final = 1.1
"""The growth near a size that a node has refused."""
PARTED: Final = 4
"""How often an answer of other nodes, or of a chain that moves, is asked for again."""


class Span:
    """The number of blocks to ask for next: it grows while answers are small, and shrinks when refused."""

    def __init__(self, size: int = FIRST_SPAN) -> None:
        self.size = size
        self._refused: int | None = None

    def grow(self, blocks: int, logs: int) -> None:
        """Follow an answer of so many blocks and logs towards WANTED_LOGS, at most GROWTH times as many."""
        if blocks < self.size and logs <= WANTED_LOGS:
            return  # a short range at the end of what was to be read says nothing
        growth = min(float(GROWTH), WANTED_LOGS / logs) if logs else float(GROWTH)
        if growth > 1 and self._refused and self.size * growth >= self._refused:
            growth = min(growth, CAREFUL_GROWTH)
        self.size = min(LONGEST_SPAN, max(1, int(self.size * growth) + (growth > 1)))

    def shrink(self, refused: int) -> None:
        """Follow a refusal of so many blocks."""
        self._refused = refused
        self.size = max(1, refused // 2)


@dataclass(frozen=True, slots=True)
class _Question:
    """Tokens and the blocks from `first` to `last`; `before_hash` is that of the block before, or empty."""

    tokens: tuple[Cursor, ...]
    first: int
    last: int
    before_hash: str


def read_ranges(
    nodes: Nodes, span: Span, cursors: Sequence[Cursor], stop: int, target: Block
) -> Generator[BlockRange, None, None]:
    """Yield the ranges from the cursors, which stand at one block, up to the block `stop`.

    While the caller stores one range, the next one is read. Each range continues the chain of the one
    before it, and that of `target`: raise ChainMoved if a hash says otherwise, and TokenRefused if one block
    of one token is too large for the nodes.
    """
    reader = _Reader(nodes, span, tuple(cursors), stop, target)
    first, before_hash = cursors[0].block + 1, cursors[0].hash
    with ThreadPoolExecutor(1, thread_name_prefix="pull_features") as pool:
        coming: Future[BlockRange] | None = None
        try:
            while first <= stop:
                found = (coming or pool.submit(reader.read, first, before_hash)).result()
                coming, first, before_hash = None, found.last.number + 1, found.last.hash
                if first <= stop:
                    coming = pool.submit(reader.read, first, before_hash)
                yield found
        finally:
            if coming is not None:
                coming.cancel()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one range after the other."""

    nodes: Nodes
    span: Span
    tokens: tuple[Cursor, ...]
    stop: int
    target: Block

    def read(self, first: int, before_hash: str) -> BlockRange:
        """Read a range that begins at `first`, as long as the span allows."""
        while True:
            last = min(self.stop, first + self.span.size - 1)
            question = _Question(self.tokens, first, last, before_hash)
            try:
                found = self._read_range(question)
            except RangeTooLarge:
                if last > first:
                    self.span.shrink(last - first + 1)
                    continue
                found = self._read_parts(question)
            self.span.grow(last - first + 1, found.logs)
            return found

    def _read_parts(self, question: _Question) -> BlockRange:
        """Read one block, of which a node refuses the logs of all tokens at once, for half of them each."""
        tokens = question.tokens
        try:
            return self._read_range(question)
        except RangeTooLarge as error:
            if len(tokens) == 1:
                said = f"block {question.first} alone is too large: {error}"
                raise TokenRefused(tokens[0].id, said) from None
        middle = len(tokens) // 2
        one, other = (
            self._read_parts(replace(question, tokens=half))
            for half in (tokens[:middle], tokens[middle:])
        )
        if one.last != other.last:
            raise ChainMoved(f"block {question.last} was replaced while it was read")
        transfers = [*one.transfers, *other.transfers]
        return BlockRange(question.first, one.last, transfers, one.logs + other.logs)

    def _read_range(self, question: _Question) -> BlockRange:
        """Return the logs of the question, of one node and one chain.

        The last block has the same hash before and after the logs are read, so all blocks below it were
        the same meanwhile; and below it is the block at which the cursors stand.
        """
        nodes = self.nodes
        for _ in range(PARTED):
            place = nodes.place
            end = self._block(question.last)
            if end.number == self.target.number and end.hash != self.target.hash:
                raise ChainMoved(f"block {end.number} was replaced while it was read")
            if question.before_hash and question.first > 0:
                before = self._block(question.first - 1)
                if before.hash != question.before_hash:
                    raise ChainMoved(f"block {before.number} was replaced while it was read")
            addresses = [token.address for token in question.tokens]
            transfers, logs = nodes.read_transfers(addresses, question.first, question.last)
            again = self._block(question.last)
            if nodes.place != place:
                continue  # another node took over meanwhile, and may be behind
            if again != end:
                raise ChainMoved(f"block {end.number} was replaced while it was read")
            _check_hash(transfers, end)
            return BlockRange(question.first, end, transfers, logs)
        raise BadAnswer("the nodes fail in turns, so no range was answered by one of them")

    def _block(self, number: int) -> Block:
        found = self.nodes.read_block(number)
        if found is None:
            raise ChainMoved(f"block {number} is no longer there")
        return found


def _check_hash(transfers: Sequence[Transfer], end: Block) -> None:
    """Raise ChainMoved if a log of the last block has another hash of it than its header."""
    for transfer in transfers:
        if transfer.block == end.number and transfer.hash != end.hash:
            raise ChainMoved(f"block {end.number} has another hash in its logs than in its header")
