"""`python -m benchmarks.pulling.worker WAY URL`: one reading of all logs of a node, in this process.

Prints its seconds, its logs and its peak of memory as one JSON object.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import django
import django.conf
import requests
from web3 import HTTPProvider, Web3

from benchmarks.pulling.market import TOKENS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()
django.conf.settings.DEBUG = False  # with which Django keeps the text of each statement

from signals.chain.passing import PullOptions, run_pass  # noqa: E402 - after the setup
from signals.verification.tokens import Token  # noqa: E402 - the same

BLOCKS = 10
"""Blocks of a range of the loops, which is as many logs as pull_features wants in an answer."""
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def ranges(newest: int) -> Iterator[tuple[str, str]]:
    for first in range(0, newest + 1, BLOCKS):
        yield hex(first), hex(min(newest, first + BLOCKS - 1))


def by_web3(url: str) -> int:
    """Read with web3's own get_logs."""
    node = Web3(HTTPProvider(url))
    addresses = [Web3.to_checksum_address(token) for token in TOKENS]
    logs = 0
    for first, last in ranges(int(node.eth.block_number)):
        query: Any = {"fromBlock": first, "toBlock": last}
        query |= {"address": addresses, "topics": [TRANSFER]}
        logs += len(node.eth.get_logs(query))
    return logs


def by_json(url: str) -> int:
    """Read with requests, and decode the JSON, no more."""
    session = requests.Session()

    def ask(method: str, *params: Any) -> Any:
        body: Any = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return session.post(url, json=body, timeout=60).json()["result"]

    newest = int(ask("eth_blockNumber"), 16)
    logs = 0
    for first, last in ranges(newest):
        query = {"fromBlock": first, "toBlock": last, "address": TOKENS, "topics": [TRANSFER]}
        logs += len(ask("eth_getLogs", query))
    return logs


def by_pulling(url: str) -> int:
    """Read, store and measure."""
    tokens = tuple(Token("ethereum", token) for token in TOKENS)
    (report,) = run_pass(PullOptions(urls=(url,), tokens=tokens)).chains
    if report.error or report.pulled != len(TOKENS):
        raise RuntimeError(f"{report.pulled} tokens pulled: {report.error}")
    return report.logs


WAYS: dict[str, Callable[[str], int]] = {
    "eth_getLogs by requests": by_json,
    "eth_getLogs by web3": by_web3,
    "pull_features": by_pulling,
}

if __name__ == "__main__":
    way, address = sys.argv[1:]
    start = time.monotonic()
    number = WAYS[way](address)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump({"seconds": seconds, "logs": number, "peak_mib": peak}, sys.stdout)
