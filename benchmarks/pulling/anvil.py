"""A real node, anvil, with contracts that emit the logs they are sent, and blocks at chosen times."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from signals.chain.answers import TRANSFER

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = f"@foundry-rs/anvil-{sys.platform}-{platform.machine()}".replace("x86_64", "amd64")
INSTALLED = ROOT / ".anvil/node_modules" / PACKAGE / "bin/anvil"
START = 1_700_000_000
GAS = 30_000_000
"""Of a transaction; a log takes about four thousand."""
DEADLINE = 60
"""Seconds until a node answers."""
SENDER = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
"""The first of anvil's accounts, whose transactions it signs itself."""


def find_anvil() -> str | None:
    """Return the program as .ci/run installs it, that of ANVIL, or one on the PATH; None if there is none."""
    if INSTALLED.exists():
        return str(INSTALLED)
    return os.environ.get("ANVIL") or shutil.which("anvil")


def emitter(*, is_nft: bool = False, has_data: bool = True) -> str:
    """Return the code of a contract that emits a log for each 96 bytes that it is sent: three words.

    An ERC-20 log has three topics, signature, sender and receiver, and the third word is its data; an NFT's
    has the third word as its fourth topic.
    """
    data = "604001355f52" if has_data else "50"
    fourth = "8060400135" if is_nft else ""
    # for (i = 0; i < calldatasize; i += 96) log(signature, calldata[i], calldata[i + 32], …)
    body = (
        f"5b80{data}{fourth}"
        + ("8160200135" + "8235" if is_nft else "8060200135" + "8135")
        + f"7f{TRANSFER[2:]}"
        + ("60205f" if has_data else "5f5f")
        + ("a4" if is_nft else "a3")
        + "60600160015600"
    )
    return "0x5f5b36811060095700" + body


def word(value: int | str) -> str:
    """Return a number or an address as 32 bytes, without 0x."""
    return f"{int(value, 16) if isinstance(value, str) else value:064x}"


class Anvil:
    """A running node; blocks are mined when it is told to."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.process = f"http://127.0.0.1:{port}", process

    def ask(self, method: str, *params: Any) -> Any:
        """Return the result of a request."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = Request(  # noqa: S310 - the node of this machine
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urlopen(request) as response:  # noqa: S310 - the same
            answer = json.load(response)
        if "result" not in answer:
            raise RuntimeError(str(answer))
        return answer["result"]

    def is_up(self) -> bool:
        try:
            return bool(self.ask("eth_chainId"))
        except (URLError, ConnectionError):
            return False

    def deploy(self, address: str, code: str) -> None:
        self.ask("anvil_setCode", address, code)

    def emit(self, contract: str, moves: Sequence[tuple[str, str, int]]) -> None:
        """Send one transaction whose logs have these senders, receivers and values, or numbers of NFTs."""
        data = "0x" + "".join(word(each) for move in moves for each in move)
        call = {
            "from": SENDER,
            "to": contract,
            "data": data,
            "gas": hex(GAS),
            "gasPrice": hex(10**10),
        }
        self.ask("eth_sendTransaction", call)

    def mine(self, seconds: int) -> None:
        """Mine a block with all that was sent, so many seconds after the one before it."""
        self.ask("evm_increaseTime", hex(seconds))
        self.ask("evm_mine")

    def blocks(self) -> list[dict[str, Any]]:
        newest = int(self.ask("eth_blockNumber"), 16)
        return [self.ask("eth_getBlockByNumber", hex(n), False) for n in range(newest + 1)]


@contextmanager
def running_anvil() -> Iterator[Anvil]:
    """Yield a new node."""
    program = find_anvil()
    if program is None:
        raise RuntimeError(
            f"there is no anvil (npm install --prefix .anvil {PACKAGE}, or ANVIL=/path/to/anvil)"
        )
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    words = ["--port", str(port), "--no-mining", "--silent", "--timestamp", str(START)]
    with subprocess.Popen(  # noqa: S603 - the node
        [program, *words, "--chain-id", "1", "--gas-limit", str(20 * GAS)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        node = Anvil(port, process)
        try:
            end = time.monotonic() + DEADLINE
            while not node.is_up():
                if time.monotonic() > end:
                    raise RuntimeError(f"anvil does not answer within {DEADLINE} s")
                time.sleep(0.01)
            yield node
        finally:
            process.kill()
