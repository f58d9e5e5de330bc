"""Which accounts are contracts: asked of a node only where it can change a measurement, and remembered."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.nodes import Nodes
from signals.chain.windows import WALLET_TRANSFERS, Measured, without_jit

ASKED_AGAIN: Final = timedelta(days=1)
"""The age from which on an account without code is asked for again, because it may have some by now."""
ACCOUNTS: Final = 20_000
"""Accounts that are asked for at once."""

_LOOPED: Final = f"""
WITH wallets AS MATERIALIZED ({WALLET_TRANSFERS}), loops AS MATERIALIZED (
    SELECT token_id, least(sender, receiver) AS one, greatest(sender, receiver) AS other
    FROM wallets
    GROUP BY 1, 2, 3
    HAVING least(sender, receiver) = greatest(sender, receiver)
        OR bool_or(sender < receiver) AND bool_or(sender > receiver)
)"""  # noqa: S608 - constants of modules, as below
_UNKNOWN: Final = """NOT EXISTS (
    SELECT FROM chain_accounts a WHERE a.chain = %(chain)s AND a.address = account
        AND (a.checked_at > pg_catalog.statement_timestamp() - %(asked_again)s
            OR a.is_contract AND a.checked_at > 'epoch')
    OFFSET 0
)
LIMIT %(limit)s
"""
# First those of loops; if some are left between wallets, all that the loops are measured against.
_IN_LOOPS: Final = f"""{_LOOPED}
SELECT DISTINCT pg_catalog.encode(account, 'hex')
FROM loops CROSS JOIN LATERAL (VALUES (one), (other)) AS side(account)
WHERE {_UNKNOWN}"""  # noqa: S608
_BESIDE_LOOPS: Final = f"""{_LOOPED}
SELECT DISTINCT pg_catalog.encode(account, 'hex')
FROM wallets CROSS JOIN LATERAL (VALUES (sender), (receiver)) AS side(account)
WHERE token_id IN (SELECT token_id FROM loops) AND {_UNKNOWN}"""  # noqa: S608
_STORE: Final = """
INSERT INTO chain_accounts AS a (chain, address, is_contract, checked_at)
SELECT %(chain)s, pg_catalog.decode(address, 'hex'), is_contract, pg_catalog.statement_timestamp()
FROM unnest(%(addresses)s::text[], %(are)s::boolean[]) AS found(address, is_contract)
ORDER BY address
ON CONFLICT (chain, address) DO UPDATE
SET is_contract = excluded.is_contract, checked_at = excluded.checked_at
"""


def learn_accounts(
    connection: BaseDatabaseWrapper, nodes: Nodes, measured: Measured, ids: list[int]
) -> None:
    """Ask for the accounts of which it matters to the loops of these tokens whether they are contracts.

    Value that goes back and forth between wallets matters, and then all value that it is compared with. Most
    tokens have none, and nothing is asked.
    """
    parameters = {
        **measured.parameters(ids),
        "asked_again": ASKED_AGAIN,
        "limit": ACCOUNTS,
    }
    for question in (_IN_LOOPS, _BESIDE_LOOPS):
        is_more = True
        while is_more and (addresses := _read(connection, question, parameters)):
            is_more = len(addresses) == ACCOUNTS
            are = nodes.read_are_contracts(addresses)
            with connection.cursor() as cursor:
                cursor.execute(
                    _STORE, {"chain": measured.chain, "addresses": addresses, "are": are}
                )


def _read(
    connection: BaseDatabaseWrapper, question: str, parameters: Mapping[str, Any]
) -> list[str]:
    with without_jit(connection) as cursor:
        cursor.execute(question, parameters)
        return [address for (address,) in cursor.fetchall()]
