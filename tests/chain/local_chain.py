"""A chain in memory, and a node of it on the loopback interface, which may misbehave as it is told."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from typing import Any, Self

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
START = 1_700_000_000
"""The time of block 0."""
ZERO, DEAD = "0x" + 40 * "0", "0x000000000000000000000000000000000000dead"


def account(name: object) -> str:
    """Return the address of a name."""
    return "0x" + sha256(f"account {name}".encode()).hexdigest()[:40]


def word(value: int | str) -> str:
    """Return a number or an address as 32 bytes."""
    number = int(value, 16) if isinstance(value, str) else value
    return f"0x{number:064x}"


@dataclass(frozen=True, slots=True)
class Log:
    """A log to be mined; `tx` is the number of its transaction in the block."""

    address: str
    topics: tuple[str, ...]
    data: str
    tx: int = 0


def transfer(token: str, sender: str, receiver: str, value: int, tx: int = 0) -> Log:
    """Return the log of an ERC-20 transfer."""
    return Log(token, (TRANSFER, word(sender), word(receiver)), word(value), tx)


def nft(token: str, sender: str, receiver: str, number: int) -> Log:
    """Return the log of an NFT's transfer, which has a fourth topic and no data."""
    return Log(token, (TRANSFER, word(sender), word(receiver), word(number)), "0x")


@dataclass(frozen=True, slots=True)
class MinedBlock:
    number: int
    hash: str
    time: int
    logs: tuple[Log, ...]

    def header(self) -> dict[str, str]:
        return {"number": hex(self.number), "hash": self.hash, "timestamp": hex(self.time)}

    def as_json(self) -> Iterator[dict[str, Any]]:
        for index, log in enumerate(self.logs):
            yield {
                "address": log.address,
                "topics": list(log.topics),
                "data": log.data,
                "blockNumber": hex(self.number),
                "blockHash": self.hash,
                "logIndex": hex(index),
                "transactionIndex": hex(log.tx),
                "transactionHash": self.hash,
                "removed": False,
            }


@dataclass
class LocalChain:
    """Blocks of `seconds` each; `contracts` are the addresses that have code."""

    chain_id: int = 1
    seconds: int = 12
    blocks: list[MinedBlock] = field(default_factory=list)
    contracts: set[str] = field(default_factory=set)
    forks: int = 0

    def __post_init__(self) -> None:
        if not self.blocks:
            self.mine()

    def mine(self, *logs: Log, seconds: int | None = None) -> None:
        """Add a block with these logs."""
        number = len(self.blocks)
        time = self.blocks[-1].time + (seconds or self.seconds) if self.blocks else START
        parent = self.blocks[-1].hash if self.blocks else ""
        text = f"{self.chain_id} {self.forks} {number} {parent} {logs}"
        self.blocks.append(MinedBlock(number, "0x" + sha256(text.encode()).hexdigest(), time, logs))

    def mine_empty(self, number: int) -> None:
        for _ in range(number):
            self.mine()

    def drop(self, depth: int) -> list[MinedBlock]:
        """Take the newest blocks away, as a reorg does; what is mined next has other hashes."""
        dropped = self.blocks[-depth:]
        del self.blocks[-depth:]
        self.forks += 1
        return dropped

    def logs(self, address: str) -> list[tuple[MinedBlock, Log]]:
        """Return all logs of a contract with their blocks."""
        return [(b, log) for b in self.blocks for log in b.logs if log.address == address]

    def answer(self, method: str, params: Sequence[Any]) -> Any:
        """Return the result of a request."""
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_getBlockByNumber":
            number = len(self.blocks) - 1 if params[0] == "latest" else int(params[0], 16)
            return self.blocks[number].header() if number < len(self.blocks) else None
        if method == "eth_getCode":
            return "0x6001" if params[0] in self.contracts else "0x"
        assert method == "eth_getLogs", method
        (query,) = params
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        return [
            log
            for block in self.blocks[first : last + 1]
            for log in block.as_json()
            if log["address"] in query["address"] and log["topics"][:1] == query["topics"]
        ]


Misbehaviour = Callable[[str, Sequence[Any]], tuple[int, bytes] | None]
"""Returns an HTTP status and a body in place of the honest answer to a request, or None."""


def honest(_method: str, _params: Sequence[Any]) -> None:
    """Replace no answer."""


class LocalNode(ThreadingHTTPServer):
    """A node; `asked` are the methods of the requests so far, `misbehave` may replace an answer."""

    daemon_threads = True

    def __init__(self, chain: LocalChain) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.chain = chain
        self.asked: list[str] = []
        self.misbehave: Misbehaviour = honest

    @property
    def url(self) -> str:
        """The address, with a key in it that nobody may see."""
        return f"http://127.0.0.1:{self.server_port}/v3/{KEY}"

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Return HTTP status and body for a request or a batch of them."""
        request = json.loads(body)
        requests = request if isinstance(request, list) else [request]
        answers = []
        for each in requests:
            self.asked.append(each["method"])
            replaced = self.misbehave(each["method"], each["params"])
            if replaced is not None:
                return replaced
            result = self.chain.answer(each["method"], each["params"])
            answers.append({"jsonrpc": "2.0", "id": each["id"], "result": result})
        return 200, json.dumps(answers if isinstance(request, list) else answers[0]).encode()

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


KEY = "s3cr3tkey0f4n0de"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one segment for an answer
    server: LocalNode

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.answer(body)
        self.send_response(200 if status == HALF else status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        # Half of an answer: the connection ends before what was promised.
        half = answer[: len(answer) // 2] if status == HALF else answer
        self.wfile.write(half)
        if status == HALF:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


HALF = 200_000
"""The status by which a misbehaviour asks for half of its body, sent as HTTP 200."""


@contextmanager
def serving(chain: LocalChain) -> Iterator[LocalNode]:
    """Yield a node of the chain."""
    with LocalNode(chain) as node:
        yield node


def random_trade(dice: Random, chain: LocalChain, tokens: Sequence[str], blocks: int) -> None:
    """Mine blocks of transfers that a market has: trades with a pool, gifts, wash trading, burns, dust."""
    people = [account(f"person {number}") for number in range(60)]
    washers = [account(f"washer {number}") for number in range(4)]
    pool = account("pool")
    chain.contracts.add(pool)
    for _ in range(blocks):
        logs = []
        for tx in range(dice.randint(0, 4)):
            token, one, other = dice.choice(tokens), *dice.sample(people, 2)
            value = dice.choice((0, 1, dice.randint(1, 10**6), dice.randint(1, 10**30)))
            washer, second = dice.sample(washers, 2)
            logs += dice.choice(
                (
                    [transfer(token, ZERO, one, value, tx)],
                    [transfer(token, one, other, value, tx)],
                    [
                        transfer(token, pool, one, value, tx),
                        transfer(token, one, pool, value // 2, tx),
                    ],
                    [
                        transfer(token, washer, second, value, tx),
                        transfer(token, second, washer, value, tx),
                    ],
                    [transfer(token, washer, washer, value, tx)],
                    [transfer(token, one, dice.choice((ZERO, DEAD)), value, tx)],
                    [nft(token, one, other, value)],
                )
            )
        chain.mine(*logs)
