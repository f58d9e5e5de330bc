"""After a reorg all tables are as if the replaced blocks had never been read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from django.db import connection

from signals.chain_models import ChainCursor, ChainState
from signals.models import OnchainFeature
from tests.chain.local_chain import (
    LocalChain,
    LocalNode,
    MinedBlock,
    account,
    honest,
    random_trade,
    transfer,
)
from tests.chain.pulls import expected, measured, pull, stored

pytestmark = pytest.mark.django_db

TOKENS = [account(f"token {number}") for number in range(3)]


@pytest.fixture(autouse=True)
def _no_confirmations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_CONFIRMATIONS", "0")


def forget() -> None:
    """Empty all tables of pull_features."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE chain_states, chain_cursors, chain_transfers, chain_balances, chain_blocks, "
            "chain_accounts, onchain_features RESTART IDENTITY"
        )


def replay(chain: LocalChain, blocks: Sequence[MinedBlock]) -> None:
    chain.blocks.extend(blocks)


@pytest.mark.parametrize("depth", [1, 10, 37])
def test_a_reorg_leaves_nothing_of_the_replaced_blocks(
    depth: int, chain: LocalChain, node: LocalNode
) -> None:
    forget()
    dice = Random(depth)  # noqa: S311 - no secret
    random_trade(dice, chain, TOKENS, 100)
    pull(node, TOKENS)
    random_trade(dice, chain, TOKENS, depth)
    pull(node, TOKENS)
    chain.drop(depth)
    random_trade(dice, chain, TOKENS, depth + 5)
    assert pull(node, TOKENS).error == ""
    found = stored()
    assert ChainState.objects.get().reorgs == len(TOKENS)

    # As if only the blocks that stayed had ever been there.
    forget()
    later = chain.drop(depth + 5)
    pull(node, TOKENS)
    replay(chain, later)
    pull(node, TOKENS)
    assert stored() == found
    for token in TOKENS:
        assert measured(token, 60) == expected(chain, token, 60, confirmations=0)


def test_a_reorg_below_all_known_blocks_starts_over(chain: LocalChain, node: LocalNode) -> None:
    forget()
    dice = Random(1)  # noqa: S311 - no secret
    random_trade(dice, chain, TOKENS, 50)
    pull(node, TOKENS)
    chain.drop(50)
    chain.mine(seconds=13)
    random_trade(dice, chain, TOKENS, 60)
    assert pull(node, TOKENS).error == ""
    found = stored()
    forget()
    pull(node, TOKENS)
    assert stored() == found


def test_a_reorg_of_blocks_without_transfers_moves_the_cursor_back(
    chain: LocalChain, node: LocalNode
) -> None:
    token = TOKENS[0]
    chain.mine(transfer(token, account(1), account(2), 5))
    chain.mine_empty(9)
    pull(node, [token])
    chain.drop(5)
    chain.mine(transfer(token, account(2), account(3), 2))
    chain.mine_empty(7)
    pull(node, [token])
    assert measured(token, 60) == expected(chain, token, 60, confirmations=0)
    cursor = ChainCursor.objects.get()
    assert (cursor.transfers, cursor.reorgs, cursor.hash) == (2, 1, chain.blocks[-1].hash)


def test_a_measurement_of_a_replaced_block_is_withdrawn(chain: LocalChain, node: LocalNode) -> None:
    """A row that somebody else wrote stays."""
    token = TOKENS[0]
    random_trade(Random(2), chain, [token], 30)  # noqa: S311 - no secret
    pull(node, [token])
    replaced = set(OnchainFeature.objects.values_list("block_hash", flat=True))
    other = OnchainFeature.objects.create(
        chain="ethereum", address=token, as_of_ts="2023-11-14T22:20Z", window_minutes=30
    )
    chain.drop(3)
    chain.mine_empty(9)
    pull(node, [token])
    hashes = set(OnchainFeature.objects.values_list("block_hash", flat=True))
    assert hashes == {None, chain.blocks[-1].hash}
    assert not hashes & replaced
    assert OnchainFeature.objects.filter(pk=other.pk).exists()


@contextmanager
def on_request(node: LocalNode, method: str, number: int, act: Any) -> Iterator[None]:
    """Call `act` before the so many-th request of the method is answered."""
    left = [number]

    def watch(asked: str, _params: Sequence[Any]) -> None:
        if asked == method:
            left[0] -= 1
            if not left[0]:
                act()

    node.misbehave = watch
    try:
        yield
    finally:
        node.misbehave = honest


@pytest.mark.parametrize("request_number", [1, 2, 5])
@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_getLogs"])
def test_a_reorg_while_a_range_is_read_stores_nothing_of_both_chains(
    method: str, request_number: int, chain: LocalChain, node: LocalNode, small_ranges: None
) -> None:
    forget()
    dice = Random(3)  # noqa: S311 - no secret
    random_trade(dice, chain, TOKENS, 60)

    def reorganise() -> None:
        chain.drop(10)
        random_trade(dice, chain, TOKENS, 12)

    with on_request(node, method, request_number, reorganise):
        assert pull(node, TOKENS).error == ""
    for token in TOKENS:
        assert measured(token, 60) == expected(chain, token, 60, confirmations=0)
    assert set(OnchainFeature.objects.values_list("block_hash", flat=True)) == {
        chain.blocks[-1].hash
    }


def test_a_node_that_is_behind_is_no_reorg(chain: LocalChain, node: LocalNode) -> None:
    token = TOKENS[0]
    random_trade(Random(4), chain, [token], 30)  # noqa: S311 - no secret
    pull(node, [token])
    found = stored()
    ahead = chain.blocks[-4:]
    del chain.blocks[-4:]
    report = pull(node, [token])
    assert (report.error, report.pulled, report.left) == ("", 0, 1)
    assert stored() == found
    replay(chain, ahead)
    assert pull(node, [token]).pulled == 1
    assert stored() == found
