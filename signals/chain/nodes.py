"""The nodes of a chain, of which one is asked until it fails; then the next one is."""

import logging
import random
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeVar

from signals.chain.answers import (
    TRANSFER,
    Block,
    Transfer,
    read_block,
    read_is_contract,
    read_quantity,
    read_transfers,
)
from signals.chain.errors import (
    BadAnswer,
    NodeError,
    NoNode,
    OtherChain,
    RangeTooLarge,
    Unanswered,
)
from signals.chain.settings import ChainSettings
from signals.verification.errors import ConfigurationError
from signals.verification.tally import Stop

if TYPE_CHECKING:
    from signals.chain.node import Node

logger = logging.getLogger("signals.chain")

ATTEMPTS: Final = 5
"""How often a question is put to one node in a row."""
FIRST_PAUSE: Final = 0.5
"""Seconds before the second attempt; each further pause is twice as long, at most LONGEST_PAUSE."""
LONGEST_PAUSE: Final = 30.0
CODES: Final = 100
"""Accounts whose code is asked for in one request."""

Answer = TypeVar("Answer")


def require_web3() -> None:
    """Raise ConfigurationError if the package web3 is not installed."""
    if find_spec("web3") is None:
        raise ConfigurationError(
            "pull_features needs the package web3 (install it: pip install 'web3>=8,<9', which is the "
            "extra evm)"
        )


class Nodes:
    """Asks the nodes of a chain: the first one, and after its failure the next.

    A question is put again after a growing pause with a jitter, for as long as the failure may pass. A node
    of another chain is never asked for logs. `requests` and `retries` count since take_counts().
    """

    def __init__(
        self, settings: ChainSettings, stop: Stop, first_pause: float = FIRST_PAUSE
    ) -> None:
        self.chain = settings.chain
        self.chain_id = settings.chain_id
        self._urls, self._stop, self._first_pause = settings.urls, stop, first_pause
        self._node: Node | None = None
        self._place = 0
        self.requests = self.retries = 0

    @property
    def place(self) -> int:
        """The number of the node that is asked now; it changes when that node fails."""
        return self._place

    def close(self) -> None:
        """End the connections."""
        if self._node:
            self._node.close()
        self._node = None

    def take_counts(self) -> tuple[int, int]:
        """Return the number of requests and of repeated ones since the last call."""
        counts = self.requests, self.retries
        self.requests = self.retries = 0
        return counts

    def read_head(self) -> Block:
        """Return the newest block."""
        head = self._ask(
            lambda node: read_block(node.ask("eth_getBlockByNumber", ["latest", False]))
        )
        if head is None:
            raise NoNode(f"{self._name()}: it has no block yet")
        return head

    def read_block(self, number: int) -> Block | None:
        """Return the block of that number, None if the node does not have it yet."""
        parameters = [hex(number), False]
        return self._ask(
            lambda node: read_block(node.ask("eth_getBlockByNumber", parameters), number)
        )

    def read_transfers(
        self, tokens: Collection[str], first: int, last: int
    ) -> tuple[list[Transfer], int]:
        """Return the ERC-20 transfers of the tokens from block `first` to `last`, and the number of logs.

        Raise RangeTooLarge if that is more than the node gives at once.
        """
        wanted = sorted(tokens)
        query = {"fromBlock": hex(first), "toBlock": hex(last), "address": wanted}
        parameters = [{**query, "topics": [TRANSFER]}]

        def ask(node: "Node") -> tuple[list[Transfer], int]:
            is_smallest = first == last and len(wanted) == 1
            most = node.max_answer if is_smallest else node.wanted_answer
            return read_transfers(node.ask("eth_getLogs", parameters, most), wanted, first, last)

        return self._ask(ask)

    def read_are_contracts(self, addresses: Sequence[str]) -> list[bool]:
        """Return of each address, 40 hexadecimal digits, whether it is a contract at the newest block."""
        found: list[bool] = []
        for start in range(0, len(addresses), CODES):
            many = [[f"0x{address}", "latest"] for address in addresses[start : start + CODES]]

            def ask(node: "Node", many: list[list[str]] = many) -> list[bool]:
                return [read_is_contract(code) for code in node.ask_many("eth_getCode", many)]

            found += self._ask(ask)
        return found

    def _ask(self, question: Callable[["Node"], Answer]) -> Answer:
        """Return the answer of the first node that gives one; raise NoNode if none does."""
        said: list[str] = []
        for _ in self._urls:
            try:
                return self._ask_one(question)
            except RangeTooLarge:
                raise
            except NodeError as error:
                if self._stop.soon.is_set():
                    raise
                said.append(f"{self._name()}: {error}")
                if len(self._urls) > 1:
                    logger.warning("%s; the next node is asked", said[-1])
                self.close()
                self._place = (self._place + 1) % len(self._urls)
        raise NoNode("; ".join(said))

    def _ask_one(self, question: Callable[["Node"], Answer]) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                node = self._open()
                self.requests += 1
                return question(node)
            except (Unanswered, BadAnswer) as error:
                if attempt == ATTEMPTS or self._stop.soon.is_set():
                    raise
                self.retries += 1
                logger.info("%s: %s; asked again", self._name(), error)
                self._wait(attempt, getattr(error, "pause", None))
        raise AssertionError

    def _wait(self, attempt: int, asked: float | None) -> None:
        """Wait before the next attempt, at least as long as the node asked to."""
        longest = min(LONGEST_PAUSE, self._first_pause * 2 ** (attempt - 1))
        pause = longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
        self._stop.soon.wait(max(pause, asked or 0))

    def _open(self) -> "Node":
        """Return the node that is asked now; raise OtherChain if it belongs to another chain."""
        from signals.chain.node import Node  # takes half a second, and needs web3

        if self._node is None:
            node = Node(self._urls[self._place])
            try:
                self.requests += 1
                found = read_quantity(node.ask("eth_chainId", []), "the chain ID")
                if self.chain_id is not None and found != self.chain_id:
                    raise OtherChain(
                        f"it belongs to the chain with ID {found}, {self.chain} has {self.chain_id} "
                        "(correct ONCHAIN_RPC_URL or --rpc-url)"
                    )
            except NodeError:
                node.close()
                raise
            self.chain_id = found
            self._node = node
        return self._node

    def _name(self) -> str:
        return f"node {self._place + 1} of {len(self._urls)} of {self.chain}"
