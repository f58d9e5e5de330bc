"""Pulling from a real node, anvil: features equal those of the oracle, also after a reorg of ten blocks."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from benchmarks.pulling.anvil import Anvil, emitter, running_anvil
from signals.chain import reading
from tests.chain import oracle
from tests.chain.local_chain import DEAD, TRANSFER, ZERO, account
from tests.chain.pulls import measured, pull

pytestmark = pytest.mark.django_db

PLAIN, REBASING, WASHED, NFT, ODD = (account(f"anvil {n}") for n in range(5))
ERC20 = (PLAIN, REBASING, WASHED)
EVERY = (*ERC20, NFT, ODD)
PEOPLE = [account(f"person {number}") for number in range(80)]
POOL = account("pool")
SEED = 18
CONFIRMATIONS = 3


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with running_anvil() as node:
        for token in ERC20:
            node.deploy(token, emitter())
        node.deploy(NFT, emitter(is_nft=True, has_data=False))
        node.deploy(ODD, emitter(has_data=False))
        node.deploy(POOL, "0x00")
        # An account of a person, which delegates to a contract (EIP-7702).
        node.deploy(PEOPLE[0], "0xef0100" + PLAIN[2:])
        yield node


def trade(node: Anvil, dice: Random, blocks: int) -> None:
    """Send transfers of all kinds: gifts, trades with a pool, mints and burns, wash trading, NFTs."""
    for _ in range(blocks):
        for token in EVERY:
            moves = []
            for _ in range(dice.randint(0, 9)):
                one, other = dice.sample(PEOPLE, 2)
                value = dice.choice((0, 1, dice.randint(1, 10**24)))
                moves += dice.choice(
                    (
                        [(ZERO, one, value)],
                        [(one, dice.choice((ZERO, DEAD)), value)],
                        [(POOL, one, value), (other, POOL, value // 3)],
                        [(one, other, value)],
                    )
                )
            if token == WASHED:
                washers = PEOPLE[:2] if dice.random() < 0.5 else PEOPLE[2:4]
                amount = dice.randint(1, 10**25)
                moves += [
                    (*washers, amount),
                    (*washers[::-1], amount - 1),
                    (washers[0], washers[0], amount),
                ]
            if moves:
                node.emit(token, moves)
        node.mine(dice.choice((12, 60, 240)))


def expect(node: Anvil, token: str, minutes: int) -> oracle.Measurement:
    """Return the measurement by the oracle, by what the node says of all of its blocks."""
    blocks = node.blocks()
    times = {block["number"]: int(block["timestamp"], 16) for block in blocks}
    query: dict[str, Any] = {"fromBlock": "0x0", "toBlock": "latest", "address": token}
    logs = node.ask("eth_getLogs", {**query, "topics": [TRANSFER]})
    moves = [oracle.read_erc20(log, times[log["blockNumber"]]) for log in logs]
    as_of = int(blocks[-1 - CONFIRMATIONS]["timestamp"], 16)
    found = [move for move in moves if move]
    return oracle.measure(found, as_of, minutes, contracts={POOL, *EVERY})


def test_every_feature_equals_the_oracle_also_after_a_reorg_of_ten_blocks(
    anvil: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCHAIN_CONFIRMATIONS", str(CONFIRMATIONS))
    monkeypatch.setattr(reading, "FIRST_SPAN", 7)
    monkeypatch.setattr(reading, "WANTED_LOGS", 200)
    dice = Random(SEED)  # noqa: S311 - no secret
    trade(anvil, dice, 60)
    before_reorg = anvil.ask("evm_snapshot")
    trade(anvil, dice, 10 + CONFIRMATIONS)
    report = pull(anvil.url, EVERY)
    assert (report.error, report.pulled) == ("", 5)
    assert report.logs > 2_000
    of_the_fork = check_all(anvil)

    assert anvil.ask("evm_revert", before_reorg)
    trade(anvil, dice, 30)
    assert pull(anvil.url, EVERY).error == ""
    assert check_all(anvil) != of_the_fork


def check_all(node: Anvil) -> list[oracle.Measurement]:
    """Compare all measurements with the oracle, and return them."""
    found = []
    for token in EVERY:
        for minutes in (30, 60, 180):
            found.append(measured(token, minutes))
            assert found[-1] == expect(node, token, minutes), (token, minutes)
    return found
