"""The row of a chain in chain_states: what the last pass saw of it, and its counters."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.answers import Block
from signals.chain.errors import BadAnswer, OtherChain
from signals.chain.nodes import Nodes

MAX_CLOCK_SKEW: Final = timedelta(minutes=15)
"""How far a node's newest block may be ahead of the database's clock."""

_OPEN: Final = """
INSERT INTO chain_states AS s (chain, chain_id)
VALUES (%(chain)s, %(chain_id)s)
ON CONFLICT (chain) DO UPDATE
SET heartbeat_at = pg_catalog.statement_timestamp(), chain_id = coalesce(s.chain_id, excluded.chain_id)
RETURNING s.chain_id, pg_catalog.statement_timestamp()
"""
_SEE: Final = """
UPDATE chain_states
SET head = %(head)s, head_at = %(head_at)s, confirmed = %(confirmed)s, confirmed_at = %(confirmed_at)s
WHERE chain = %(chain)s
"""
_BEAT: Final = """
UPDATE chain_states
SET heartbeat_at = pg_catalog.statement_timestamp(), logs = logs + %(logs)s,
    requests = requests + %(requests)s, retries = retries + %(retries)s
WHERE chain = %(chain)s
"""
_END: Final = """
INSERT INTO chain_states AS s (chain, error) VALUES (%(chain)s, %(error)s)
ON CONFLICT (chain) DO UPDATE
SET heartbeat_at = pg_catalog.statement_timestamp(), error = excluded.error,
    passed_at = CASE WHEN %(is_complete)s THEN pg_catalog.statement_timestamp() ELSE s.passed_at END
"""
_STATES: Final = """
SELECT s.chain, s.head, s.confirmed, s.head_at, pg_catalog.statement_timestamp() - s.heartbeat_at,
    pg_catalog.statement_timestamp() - s.passed_at, s.logs, s.requests, s.retries, s.reorgs, s.error,
    c.tokens, c.failing, c.lowest, c.lag
FROM chain_states s
CROSS JOIN LATERAL (
    SELECT count(*) AS tokens, count(*) FILTER (WHERE c.error <> '') AS failing, min(c.block) AS lowest,
        s.head_at - min(c.block_at) AS lag
    FROM chain_cursors c
    WHERE c.chain = s.chain AND c.wanted_at >= s.heartbeat_at - %(lately)s
) c
ORDER BY s.chain
"""


@dataclass(frozen=True, slots=True)
class StateOfChain:
    """What chain_states and the cursors of the tokens that are wanted say of a chain.

    `sign_age` is the age of the last sign of life, `pass_age` that of the last complete pass. `lowest` is the
    block of the token that is furthest behind, `lag` how much later the head was than that block; both are
    None while nothing was read. The counters count since the chain was first pulled.
    """

    chain: str
    head: int | None
    confirmed: int | None
    head_at: datetime | None
    sign_age: timedelta
    pass_age: timedelta | None
    logs: int
    requests: int
    retries: int
    reorgs: int
    error: str
    tokens: int
    failing: int
    lowest: int | None
    lag: timedelta | None

    @property
    def lag_blocks(self) -> int | None:
        """Blocks from the token that is furthest behind to the head."""
        if self.head is None or self.lowest is None:
            return None
        return self.head - self.lowest


def open_state(connection: BaseDatabaseWrapper, nodes: Nodes, head: Block) -> datetime:
    """Make or renew the row of the chain, and return the database's time.

    Raise OtherChain if its node has another chain ID than what is stored was read with, and BadAnswer if the
    newest block is in the future.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, {"chain": nodes.chain, "chain_id": nodes.chain_id})
        ((chain_id, now),) = cursor.fetchall()
    if chain_id != nodes.chain_id:
        raise OtherChain(
            f"the node has the chain ID {nodes.chain_id}, but what is stored of {nodes.chain} was read "
            f"from the chain with ID {chain_id} (name this chain otherwise, or correct the address)"
        )
    if head.time > now + MAX_CLOCK_SKEW:
        ahead = head.time - now
        raise BadAnswer(f"block {head.number} is {ahead} in the future")
    return cast("datetime", now)


def see(connection: BaseDatabaseWrapper, chain: str, head: Block, confirmed: Block) -> None:
    """Store the newest block and the one up to which tokens are read."""
    parameters: dict[str, Any] = {
        "chain": chain,
        "head": head.number,
        "head_at": head.time,
        "confirmed": confirmed.number,
        "confirmed_at": confirmed.time,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SEE, parameters)


def beat(connection: BaseDatabaseWrapper, nodes: Nodes, logs: int) -> None:
    """Renew the sign of life, and add what was read since the last one."""
    requests, retries = nodes.take_counts()
    parameters: dict[str, Any] = {
        "chain": nodes.chain,
        "logs": logs,
        "requests": requests,
        "retries": retries,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, parameters)


def end_pass(
    connection: BaseDatabaseWrapper, nodes: Nodes, error: str, *, is_complete: bool
) -> None:
    """Store how the pass over the chain ended."""
    parameters: dict[str, Any] = {"chain": nodes.chain, "error": error, "is_complete": is_complete}
    with connection.cursor() as cursor:
        cursor.execute(_END, parameters)
    beat(connection, nodes, 0)


def read_states(connection: BaseDatabaseWrapper, lately: timedelta) -> list[StateOfChain]:
    """Return the states of all chains that were ever pulled."""
    parameters: dict[str, Any] = {"lately": lately}
    with connection.cursor() as cursor:
        cursor.execute(_STATES, parameters)
        return [StateOfChain(*row) for row in cursor.fetchall()]
