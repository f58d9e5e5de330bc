"""A node that misbehaves: a clear line, nothing wrong stored, and the next pass goes on."""

import json
import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from signals.chain import node as node_module
from signals.chain_models import ChainCursor, ChainState
from tests.chain.local_chain import (
    HALF,
    KEY,
    TRANSFER,
    LocalChain,
    LocalNode,
    Log,
    Misbehaviour,
    account,
    honest,
    nft,
    random_trade,
    serving,
    transfer,
    word,
)
from tests.chain.pulls import expected, measured, pull, stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_ranges")]

TOKENS = [account(f"token {number}") for number in range(2)]


def reply(result: Any, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


def refuse(message: str, code: int = -32000, status: int = 200) -> tuple[int, bytes]:
    error = {"code": code, "message": message}
    return status, json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()


def always(method: str, answer: tuple[int, bytes]) -> Misbehaviour:
    """Return a misbehaviour of every request of the method."""
    return lambda asked, _params: answer if asked == method else None


def changed(chain: LocalChain, change: Callable[[list[Any]], Any]) -> Misbehaviour:
    """Return a misbehaviour that changes the logs of every answer that has some."""

    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        if asked != "eth_getLogs":
            return None
        logs = chain.answer(asked, params)
        return reply(change(logs)) if logs else None

    return misbehave


def with_field(name: str, value: Any) -> Callable[[list[Any]], Any]:
    """Return a change of a field of the last log."""
    return lambda logs: [*logs[:-1], {**logs[-1], name: value}]


def two_hashes(logs: list[Any]) -> list[Any]:
    return [*logs, {**logs[-1], "logIndex": "0xff", "blockHash": "0x" + 64 * "b"}]


LOGS, BLOCK = "eth_getLogs", "eth_getBlockByNumber"
GARBAGE = (200, b"<html>It works!</html>")

# What the node does, and what the line about it must have.
FAULTS: dict[str, tuple[Callable[[LocalChain], Misbehaviour], str]] = {
    "429": (lambda _: always(LOGS, (429, b"slow down")), "HTTP 429, too many requests"),
    "rate in words": (
        lambda _: always(
            LOGS, refuse("daily request count exceeded, request rate limited", -32005)
        ),
        "daily request count exceeded",
    ),
    "500": (lambda _: always(BLOCK, (500, b"oops")), "HTTP 500"),
    "401": (lambda _: always("eth_chainId", (401, b"no")), "HTTP 401"),
    "no such method": (
        lambda _: always(LOGS, refuse("the method does not exist", -32601)),
        "the method does not exist",
    ),
    "null": (lambda _: always(LOGS, reply(None)), "the logs are None"),
    "no result": (lambda _: always(LOGS, (200, b"{}")), "neither a result nor an error"),
    "garbage": (lambda _: always(LOGS, GARBAGE), "no JSON-RPC"),
    "a list": (lambda _: always(BLOCK, (200, b"[]")), "no JSON-RPC"),
    "deep": (lambda _: always(LOGS, (200, b"[" * 200_000)), "no JSON-RPC"),
    "not UTF-8": (lambda _: always(LOGS, (200, b"\xff\xfe")), "no JSON-RPC"),
    "half an answer": (
        lambda c: changed_raw(c, lambda body: (HALF, body)),
        "the connection failed",
    ),
    "half of a document": (
        lambda c: changed_raw(c, lambda body: (200, body[: len(body) // 2])),
        "no JSON-RPC",
    ),
    "a log twice": (lambda c: changed(c, lambda logs: logs + logs[-1:]), "came twice"),
    "another token": (lambda c: changed(c, with_field("address", account(9))), "was not asked for"),
    "another block": (
        lambda c: changed(c, with_field("blockNumber", "0xffff")),
        "was not asked for",
    ),
    "a huge block": (lambda c: changed(c, with_field("blockNumber", "0x" + 40 * "f")), "a log is"),
    "a number": (lambda c: changed(c, with_field("logIndex", 7)), "a log is"),
    "no data": (lambda c: changed(c, with_field("data", None)), "a log is"),
    "short address": (lambda c: changed(c, with_field("address", "0x12")), "a log is"),
    "removed": (lambda c: changed(c, with_field("removed", True)), "a log is"),
    "two hashes": (
        lambda c: changed(c, two_hashes),
        "has two hashes in one answer",
    ),
    "no time": (
        lambda _: always(BLOCK, reply({"number": "0x1", "hash": "0x" + 64 * "a"})),
        "the time of block 1 is None",
    ),
    "a far time": (
        lambda _: always(
            BLOCK,
            reply({"number": "0x1", "hash": "0x" + 64 * "a", "timestamp": "0x2540be3ff"}),
        ),
        "in the future",
    ),
    "a time without end": (
        lambda _: always(
            BLOCK,
            reply({"number": "0x1", "hash": "0x" + 64 * "a", "timestamp": "0x" + 16 * "f"}),
        ),
        "the time of block 1",
    ),
    "another chain": (lambda _: always("eth_chainId", reply("0x38")), "the chain with ID 56"),
    "no chain": (lambda _: always("eth_chainId", reply("mainnet")), "the chain ID is 'mainnet'"),
}


def changed_raw(chain: LocalChain, change: Callable[[bytes], tuple[int, bytes]]) -> Misbehaviour:
    """Return a misbehaviour that changes the bytes of every answer with logs."""

    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        return change(reply(chain.answer(asked, params))[1]) if asked == LOGS else None

    return misbehave


@pytest.fixture
def traded(chain: LocalChain, node: LocalNode) -> LocalChain:
    """Return a chain of which the first half is pulled."""
    dice = Random(5)  # noqa: S311 - no secret
    random_trade(dice, chain, TOKENS, 40)
    pull(node, TOKENS)
    random_trade(dice, chain, TOKENS, 40)
    return chain


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_said_stores_nothing_and_the_next_pass_goes_on(
    fault: str, traded: LocalChain, node: LocalNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = stored()
    make, line = FAULTS[fault]
    node.misbehave = make(traded)
    report = pull(node, TOKENS)
    assert line in report.error, report.error
    assert ChainState.objects.get().error == report.error
    assert (report.pulled, stored()) == (0, before)
    assert KEY not in report.error + caplog.text

    node.misbehave = honest
    assert pull(node, TOKENS).error == ""
    for token in TOKENS:
        assert measured(token, 60) == expected(traded, token, 60)
    assert ChainState.objects.get().error == ""


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "a far time"])
def test_the_next_node_is_asked(fault: str, traded: LocalChain, node: LocalNode) -> None:
    with serving(traded) as bad:
        bad.misbehave = FAULTS[fault][0](traded)
        report = pull(node, TOKENS, urls=(f"ethereum={bad.url}", f"eth={node.url}"))
    assert report.error == ""
    for token in TOKENS:
        assert measured(token, 60) == expected(traded, token, 60)


@pytest.mark.parametrize(
    "refusal",
    [
        refuse("query returned more than 10000 results", -32005),
        refuse("eth_getLogs is limited to a 3 block range"),
        refuse("exceed maximum block range: 3", -32701, status=400),
        refuse("Log response size exceeded.", -32602),
        refuse("etwas ist schiefgegangen"),
        (413, b""),
    ],
    ids=lambda refusal: refusal[1][:60].decode() or "413",
)
def test_ranges_shrink_to_what_the_node_allows(
    refusal: tuple[int, bytes], traded: LocalChain, node: LocalNode
) -> None:
    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        if asked != LOGS:
            return None
        return refusal if blocks(params) > 3 else None

    node.misbehave = misbehave
    report = pull(node, TOKENS)
    assert (report.error, report.pulled) == ("", 2)
    for token in TOKENS:
        assert measured(token, 60) == expected(traded, token, 60)
    assert sum(asked == LOGS for asked in node.asked) < 200


def blocks(params: Sequence[Any]) -> int:
    return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1


def test_a_node_that_refuses_many_tokens_is_asked_for_fewer(
    traded: LocalChain, node: LocalNode
) -> None:
    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        is_much = asked == LOGS and (blocks(params) > 1 or len(params[0]["address"]) > 1)
        return refuse("too many addresses") if is_much else None

    node.misbehave = misbehave
    assert pull(node, TOKENS).pulled == 2
    for token in TOKENS:
        assert measured(token, 60) == expected(traded, token, 60)


def test_a_token_that_no_node_gives_fails_alone(traded: LocalChain, node: LocalNode) -> None:
    bad, good = TOKENS

    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        is_bad = asked == LOGS and bad in params[0]["address"]
        return refuse(f"response too big for {KEY}") if is_bad else None

    node.misbehave = misbehave
    report = pull(node, TOKENS)
    assert (report.error, report.pulled, report.failed) == ("", 1, 1)
    assert measured(good, 60) == expected(traded, good, 60)
    assert failures() == {
        bad: (1, "block 29 alone is too large: eth_getLogs: response too big for …")
    }
    # It waits, and is then read on from where it was.
    assert pull(node, TOKENS).failed == 0


def failures() -> dict[str, tuple[int, str]]:
    rows = ChainCursor.objects.exclude(error="")
    return {row.address: (row.attempts, row.error) for row in rows}


def test_an_answer_that_is_too_long_is_asked_for_in_parts(
    traded: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module.Node, "wanted_answer", 6_000)
    assert pull(node, TOKENS).error == ""
    for token in TOKENS:
        assert measured(token, 60) == expected(traded, token, 60)


def test_a_node_that_fails_now_and_then_is_asked_again(traded: LocalChain, node: LocalNode) -> None:
    dice = Random(6)  # noqa: S311 - no secret

    def misbehave(asked: str, _params: Sequence[Any]) -> tuple[int, bytes] | None:
        if asked == "eth_getCode":  # many in one request
            return None
        return dice.choice((None,) * 9 + ((429, b""), (503, b""), GARBAGE))

    node.misbehave = misbehave
    assert pull(node, TOKENS).error == ""
    assert ChainState.objects.get().retries > 0
    for token in TOKENS:
        assert measured(token, 60) == expected(traded, token, 60)


def test_a_hash_that_changes_under_the_same_number_stores_nothing(
    traded: LocalChain, node: LocalNode
) -> None:
    """Each time a header is asked for it has another hash."""
    before, dice = stored(), Random(7)  # noqa: S311 - no secret

    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        if asked != BLOCK or params[0] == "latest":
            return None
        header = traded.answer(asked, params)
        is_read = header and int(header["number"], 16) <= 40
        return (
            None
            if is_read
            else reply(header and {**header, "hash": f"0x{dice.getrandbits(256):064x}"})
        )

    node.misbehave = misbehave
    report = pull(node, TOKENS)
    assert "was replaced while it was read" in report.error
    assert stored() == before
    node.misbehave = honest
    assert pull(node, TOKENS).error == ""


def test_what_is_no_erc20_transfer_is_left_out(chain: LocalChain, node: LocalNode) -> None:
    token, one, other = TOKENS[0], account(1), account(2)
    chain.mine(
        transfer(token, one, other, 2**256 - 1),
        nft(token, one, account(3), 7),
        Log(token, (TRANSFER, word(one), word(account(4))), "0x"),
        Log(token, (TRANSFER, word(one), word(account(4))), word(1) + word(1)[2:]),
        Log(token, (TRANSFER, word(2**255), word(account(4))), word(1)),
        Log(token, (TRANSFER,), word(1)),
    )
    chain.mine_empty(12)
    assert pull(node, [token]).logs == 6
    ((_, _, _, _, sender, receiver, value),) = stored()["transfers"]
    assert (sender.hex(), receiver.hex(), value) == (one[2:], other[2:], 2**256 - 1)
