"""Which tokens are read: those that signals ask for, each by one pass at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.settings import PullSettings
from signals.chain.storing import Cursor, Lease
from signals.verification.readable import readable
from signals.verification.tokens import EVM_ADDRESS, resolve

TOKENS: Final = 100
"""Tokens that are claimed, and read, at once."""
_FETCHED: Final = 5_000
_REGISTERED: Final = 1_000
FIRST_RETRY: Final = timedelta(minutes=1)
LAST_RETRY: Final = timedelta(hours=6)

# The verdict that moved a signal settled its verification.
_WANTED: Final = f"""
SELECT DISTINCT {readable("e.event_key")}, {readable("e.token_ca")}
FROM (
    SELECT event_key FROM signals WHERE state = 'candidate'
    UNION
    SELECT s.event_key
    FROM signal_verifications v JOIN signals s ON s.id = v.signal_id
    WHERE v.status = 'settled' AND v.updated_at >= pg_catalog.statement_timestamp() - %(lately)s
        AND s.state = 'verified'
) s
JOIN events e ON e.event_key = s.event_key
"""  # noqa: S608 - names of columns
_REGISTER: Final = """
INSERT INTO chain_cursors AS c (chain, address, first_block, block, wanted_at)
SELECT %(chain)s, address, %(first)s, %(first)s - 1, pg_catalog.statement_timestamp()
FROM unnest(%(addresses)s::text[]) address
ON CONFLICT (chain, address) DO UPDATE SET wanted_at = excluded.wanted_at
"""
_CLAIM: Final = """
UPDATE chain_cursors c
SET run = %(run)s, leased_until = pg_catalog.statement_timestamp() + %(lease)s
FROM (
    SELECT id FROM chain_cursors
    WHERE chain = %(chain)s AND wanted_at >= %(since)s AND run IS DISTINCT FROM %(run)s
        AND (leased_until IS NULL OR leased_until <= pg_catalog.statement_timestamp())
        AND (pulled_at IS NULL OR pulled_at < %(before)s)
        AND (retry_at IS NULL OR retry_at <= pg_catalog.statement_timestamp())
        AND (block >= %(near)s) = %(is_near)s
    ORDER BY pulled_at NULLS FIRST, id
    LIMIT %(size)s
    FOR UPDATE SKIP LOCKED
) free
WHERE c.id = free.id
RETURNING c.id, c.chain, c.address, c.first_block, c.block, c.hash, c.kept_from
"""
_RELEASE: Final = """
UPDATE chain_cursors SET leased_until = NULL WHERE id = ANY (%(ids)s) AND run = %(run)s
"""
_FINISH: Final = """
UPDATE chain_cursors
SET leased_until = NULL, pulled_at = pg_catalog.statement_timestamp(), attempts = 0, retry_at = NULL,
    error = ''
WHERE id = ANY (%(ids)s) AND run = %(run)s
"""
_FAIL: Final = """
UPDATE chain_cursors
SET leased_until = NULL, attempts = attempts + 1, error = %(error)s,
    retry_at = pg_catalog.statement_timestamp()
        + least(%(last)s, %(first)s * pg_catalog.power(2, least(attempts, 20)))
WHERE id = %(id)s AND run = %(run)s
"""
_LEFT: Final = """
SELECT count(*) FROM chain_cursors
WHERE chain = %(chain)s AND wanted_at >= %(since)s AND (pulled_at IS NULL OR pulled_at < %(before)s)
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Which tokens of a chain a pass may claim.

    They were wanted at `since` or later and pulled before `before`. Those at the block `near` or after it are
    claimed apart from those that are still far behind, so that nobody waits for them.
    """

    chain: str
    since: datetime
    before: datetime
    near: int


def read_wanted(connection: BaseDatabaseWrapper, settings: PullSettings) -> Mapping[str, set[str]]:
    """Return the addresses of the tokens of candidates, and of signals verified lately, by chain.

    Chains without a node are left out, and addresses that are none of the EVM.
    """
    found: dict[str, set[str]] = {each.chain: set() for each in settings.chains}
    parameters: dict[str, Any] = {"lately": settings.lately}
    with transaction.atomic(using=connection.alias), connection.chunked_cursor() as cursor:
        cursor.execute(_WANTED, parameters)
        while rows := cursor.fetchmany(_FETCHED):
            for event_key, token_ca in rows:
                token = resolve(event_key, token_ca, settings.chain_aliases)
                if token and token.chain in found and EVM_ADDRESS.fullmatch(token.address):
                    found[token.chain].add(token.address)
    return found


def register(
    connection: BaseDatabaseWrapper, chain: str, addresses: Collection[str], first_block: int
) -> None:
    """Mark the tokens as wanted; those that are new are read from `first_block` on."""
    ordered = sorted(addresses)  # so that two passes do not wait for each other
    for start in range(0, len(ordered), _REGISTERED):
        part = ordered[start : start + _REGISTERED]
        with connection.cursor() as cursor:
            cursor.execute(_REGISTER, {"chain": chain, "addresses": part, "first": first_block})


def claim(
    connection: BaseDatabaseWrapper, lease: Lease, due: Due, *, is_near: bool
) -> list[Cursor]:
    """Claim some tokens that no other pass has, and that this one had not before; those waiting longest."""
    parameters = _of_due(due) | {
        "run": lease.run,
        "lease": lease.length,
        "near": due.near,
        "is_near": is_near,
        "size": TOKENS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        return [Cursor(*row) for row in cursor.fetchall()]


def release(connection: BaseDatabaseWrapper, lease: Lease, ids: Sequence[int]) -> None:
    """Give the tokens back, which are not read to the end."""
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, {"ids": list(ids), "run": lease.run})


def finish(connection: BaseDatabaseWrapper, lease: Lease, ids: Sequence[int]) -> None:
    """Give the tokens back, which are read to the end."""
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, {"ids": list(ids), "run": lease.run})


def fail(connection: BaseDatabaseWrapper, lease: Lease, token: int, error: str) -> None:
    """Give a token back that cannot be read; it is tried again later, after each failure twice as late."""
    parameters: dict[str, Any] = {
        "id": token,
        "run": lease.run,
        "error": error,
        "first": FIRST_RETRY,
        "last": LAST_RETRY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FAIL, parameters)


def count_left(connection: BaseDatabaseWrapper, due: Due) -> int:
    """Return how many of the tokens are not read to the end."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, _of_due(due))
        return int(cursor.fetchall()[0][0])


def _of_due(due: Due) -> dict[str, Any]:
    return {"chain": due.chain, "since": due.since, "before": due.before}
