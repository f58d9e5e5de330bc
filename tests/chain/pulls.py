"""Doing passes in this process, and reading what they stored."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

from signals.chain.passing import ChainReport, PullOptions, run_pass
from signals.models import OnchainFeature
from signals.verification.tokens import Token
from tests.chain import oracle
from tests.chain.local_chain import LocalChain, LocalNode


def pull(node: LocalNode | str, tokens: Iterable[str] = (), **options: Any) -> ChainReport:
    """Do a pass over these tokens, or those that signals ask for, and return its report on the one chain."""
    url = node if isinstance(node, str) else node.url
    urls = options.pop("urls", (f"ethereum={url}",))
    chosen = PullOptions(
        urls=urls,
        tokens=tuple(Token("ethereum", token) for token in tokens),
        first_pause=0.001,
        **options,
    )
    (report,) = run_pass(chosen).chains
    return report


QUESTIONS = {
    "cursors": """
        SELECT id, chain, address, first_block, block, hash, block_at, kept_from, transfers
        FROM chain_cursors ORDER BY id
    """,
    "transfers": "SELECT * FROM chain_transfers ORDER BY token_id, block, log_index",
    "balances": "SELECT * FROM chain_balances ORDER BY token_id, holder",
    "blocks": "SELECT * FROM chain_blocks ORDER BY token_id, number",
    "features": """
        SELECT chain, address, as_of_ts, window_minutes, addr_active, tx_count, growth_ratio, top10_share,
            self_loop_ratio, calc_version, from_block, to_block, block_hash
        FROM onchain_features ORDER BY 1, 2, 3, 4
    """,
}
"""What passes derive from a chain, without numbers and times of the passes themselves."""


def stored() -> dict[str, list[Any]]:
    """Return the answers to QUESTIONS."""
    return answers(ask)


def answers(question: Callable[[str], list[Any]]) -> dict[str, list[Any]]:
    """Return the answers to QUESTIONS of a database."""
    return {
        name: [
            tuple(bytes(each) if isinstance(each, memoryview) else each for each in row)
            for row in question(text)
        ]
        for name, text in QUESTIONS.items()
    }


def ask(question: str) -> list[Any]:
    """Return rows of the test database."""
    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall())


def measured(address: str, minutes: int) -> oracle.Measurement:
    """Return the newest measurement of a token."""
    row = OnchainFeature.objects.filter(address=address, window_minutes=minutes).latest("as_of_ts")
    assert (row.calc_version, row.chain) == (2, "ethereum")
    return oracle.Measurement(
        row.addr_active, row.tx_count, row.growth_ratio, row.top10_share, row.self_loop_ratio
    )


def expected(
    chain: LocalChain, address: str, minutes: int, confirmations: int = 12, **of: Any
) -> oracle.Measurement:
    """Return the measurement by the oracle, up to the newest confirmed block."""
    as_of = chain.blocks[-1 - confirmations].time
    moves = [
        move
        for block in chain.blocks
        for log in block.as_json()
        if log["address"] == address and (move := oracle.read_erc20(log, block.time))
    ]
    return oracle.measure(moves, as_of, minutes, contracts=chain.contracts, **of)
