"""Writing what was read: each range of blocks in one transaction with the cursors of its tokens.

A cursor moves only if the pass still has its lease, so no range is ever counted twice. What a killed
pass leaves is the state after its last whole range.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.answers import Block, Transfer
from signals.chain.errors import LeaseLost

ZERO: Final = "0" * 40
"""The address from which tokens are minted and to which they are burned, which has no balance."""

_MOVE: Final = """
UPDATE chain_cursors
SET block = %(last)s, hash = %(hash)s, block_at = %(time)s,
    leased_until = pg_catalog.statement_timestamp() + %(lease)s
WHERE id = ANY (%(ids)s) AND run = %(run)s AND block = %(before)s AND hash = %(before_hash)s
"""
_CREATE: Final = """
CREATE TEMP TABLE pulled_transfers (
    token bigint, block bigint, hash bytea, log_index integer, tx_index integer,
    sender bytea, receiver bytea, value numeric
) ON COMMIT DROP
"""
_COPY: Final = "COPY pulled_transfers FROM STDIN"
_COUNT: Final = """
UPDATE chain_cursors c SET transfers = c.transfers + pulled.number
FROM (SELECT token, count(*) AS number FROM pulled_transfers GROUP BY token) pulled
WHERE c.id = pulled.token
"""
_KEEP: Final = """
WITH kept AS (
    INSERT INTO chain_transfers (token_id, block, log_index, tx_index, sender, receiver, value)
    SELECT p.token, p.block, p.log_index, p.tx_index, p.sender, p.receiver, p.value
    FROM pulled_transfers p JOIN chain_cursors c ON c.id = p.token
    WHERE p.block >= c.kept_from
)
INSERT INTO chain_blocks (token_id, number, hash)
SELECT DISTINCT p.token, p.block, p.hash
FROM pulled_transfers p JOIN chain_cursors c ON c.id = p.token
WHERE p.block >= c.kept_from
ON CONFLICT (token_id, number) DO NOTHING
"""
_ANCHOR: Final = """
INSERT INTO chain_blocks (token_id, number, hash)
SELECT id, %(last)s, pg_catalog.decode(substr(%(hash)s, 3), 'hex') FROM unnest(%(ids)s::bigint[]) id
ON CONFLICT (token_id, number) DO NOTHING
"""
# In one order, so that nobody waits for a row whose owner waits for another one.
_BALANCES: Final = f"""
INSERT INTO chain_balances AS b (token_id, holder, net)
SELECT token, holder, sum(value) AS net
FROM (
    SELECT token, sender AS holder, - value AS value FROM {{moved}}
    UNION ALL SELECT token, receiver, value FROM {{moved}}
) each
WHERE holder <> '\\x{ZERO}'::bytea
GROUP BY token, holder
HAVING sum(value) <> 0
ORDER BY token, holder
ON CONFLICT (token_id, holder) DO UPDATE SET net = b.net + excluded.net
RETURNING b.token_id, b.holder, b.net
"""  # noqa: S608 - a constant of this module, as below
_WITHOUT_ZERO: Final = "WITH written AS ({}) SELECT token_id, holder FROM written WHERE net = 0"
_REMOVE_ZERO: Final = """
DELETE FROM chain_balances b
USING unnest(%(tokens)s::bigint[], %(holders)s::bytea[]) AS gone(token, holder)
WHERE b.token_id = gone.token AND b.holder = gone.holder
"""
_PULLED: Final = "pulled_transfers"
# What a rollback takes back: a transfer the other way round.
_UNDONE: Final = """(
    SELECT token_id AS token, receiver AS sender, sender AS receiver, value
    FROM chain_transfers WHERE token_id = %(id)s AND block > %(block)s
) undone"""
_ROLL_BACK: Final = """
UPDATE chain_cursors
SET block = %(block)s, hash = %(hash)s, block_at = NULL, reorgs = reorgs + 1,
    transfers = transfers - (
        SELECT count(*) FROM chain_transfers WHERE token_id = %(id)s AND block > %(block)s
    )
WHERE id = %(id)s AND run = %(run)s
"""
_RESET: Final = """
UPDATE chain_cursors
SET block = first_block - 1, hash = '', block_at = NULL, reorgs = reorgs + 1, transfers = 0, kept_from = 0
WHERE id = %(id)s AND run = %(run)s
"""
_FORGET: Final = (
    "DELETE FROM chain_transfers WHERE token_id = %(id)s AND block > %(block)s",
    "DELETE FROM chain_blocks WHERE token_id = %(id)s AND number > %(block)s",
    """
    DELETE FROM onchain_features
    WHERE chain = %(chain)s AND address = %(address)s AND to_block > %(block)s
    """,
    "UPDATE chain_states SET reorgs = reorgs + 1 WHERE chain = %(chain)s",
    # What is a contract may have become one in a block that is gone: it is asked for again.
    "UPDATE chain_accounts SET checked_at = 'epoch' WHERE chain = %(chain)s",
)
_FORGET_BALANCES: Final = "DELETE FROM chain_balances WHERE token_id = %(id)s"
# From the block after the newest known hash before what is to be kept; a cursor that is far behind leaves
# out what is between, and stops at the block before `keep` for its hash.
_KEEP_FROM: Final = """
UPDATE chain_cursors c
SET kept_from = greatest(c.kept_from, CASE WHEN c.block < %(keep)s - 1 THEN %(keep)s ELSE coalesce((
    SELECT max(b.number) + 1 FROM chain_blocks b WHERE b.token_id = c.id AND b.number < %(keep)s
), 0) END)
WHERE c.id = ANY (%(ids)s) AND c.run = %(run)s
RETURNING c.id, c.kept_from
"""
_PRUNE: Final = (
    """
    DELETE FROM chain_transfers t USING chain_cursors c
    WHERE c.id = ANY (%(ids)s) AND t.token_id = c.id AND t.block < c.kept_from
    """,
    """
    DELETE FROM chain_blocks b USING chain_cursors c
    WHERE c.id = ANY (%(ids)s) AND b.token_id = c.id AND b.number < c.kept_from - 1
    """,
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A token that a pass has claimed, and how far it is read; see ChainCursor."""

    id: int
    chain: str
    address: str
    first_block: int
    block: int
    hash: str
    kept_from: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The pass that has claimed the tokens, and for how long after each range it has them."""

    run: UUID
    length: timedelta


@dataclass(frozen=True, slots=True)
class BlockRange:
    """The transfers of some tokens in the blocks from `first` to `last`; `logs` counts what the node sent."""

    first: int
    last: Block
    transfers: Sequence[Transfer]
    logs: int


def store_range(
    connection: BaseDatabaseWrapper,
    lease: Lease,
    cursors: Sequence[Cursor],
    read: BlockRange,
    *,
    is_anchor: bool,
) -> list[Cursor]:
    """Write the range, and return the cursors at its end; they must all be at the block before it.

    The hash of the last block is kept if `is_anchor`. Raise LeaseLost if another pass has one of the tokens;
    nothing is written then.
    """
    ids = [cursor.id for cursor in cursors]
    parameters: dict[str, Any] = {
        "ids": ids,
        "run": lease.run,
        "lease": lease.length,
        "before": read.first - 1,
        "before_hash": cursors[0].hash,
        "last": read.last.number,
        "hash": read.last.hash,
        "time": read.last.time,
    }
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        # What a crash of the server loses is read again: cursor and transfers are lost together.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(_MOVE, parameters)
        if cursor.rowcount != len(ids):
            raise LeaseLost
        if read.transfers:
            cursor.execute(_CREATE)
            kept_from = min(each.kept_from for each in cursors)
            _copy(cursor, {each.address: each.id for each in cursors}, read.transfers, kept_from)
            cursor.execute(_COUNT)
            if read.last.number >= kept_from:
                cursor.execute(_KEEP)
            _move_balances(cursor, _PULLED, {})
            cursor.execute("DROP TABLE pulled_transfers")  # the caller's transaction may go on
        if is_anchor:
            cursor.execute(_ANCHOR, parameters)
    return [replace(each, block=read.last.number, hash=read.last.hash) for each in cursors]


def roll_back(
    connection: BaseDatabaseWrapper, lease: Lease, token: Cursor, block: int, block_hash: str
) -> Cursor:
    """Undo all that rests on blocks after `block`, and return the cursor there.

    Raise LeaseLost if another pass has the token; nothing is undone then.
    """
    parameters = _parameters(lease, token, block) | {"hash": block_hash}
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_ROLL_BACK, parameters)
        if not cursor.rowcount:
            raise LeaseLost
        _move_balances(cursor, _UNDONE, parameters)
        for statement in _FORGET:
            cursor.execute(statement, parameters)
    return replace(token, block=block, hash=block_hash)


def start_over(connection: BaseDatabaseWrapper, lease: Lease, token: Cursor) -> Cursor:
    """Forget all that was read of the token, and return the cursor before its first block."""
    parameters = _parameters(lease, token, -1)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_RESET, parameters)
        if not cursor.rowcount:
            raise LeaseLost
        for statement in (*_FORGET, _FORGET_BALANCES):
            cursor.execute(statement, parameters)
    return replace(token, block=token.first_block - 1, hash="", kept_from=0)


def keep_from(
    connection: BaseDatabaseWrapper, lease: Lease, cursors: Sequence[Cursor], block: int
) -> list[Cursor]:
    """Drop the transfers and hashes before that block, as far as a reorg can still be undone without them."""
    ids = [cursor.id for cursor in cursors]
    parameters: dict[str, Any] = {"ids": ids, "run": lease.run, "keep": block}
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_KEEP_FROM, parameters)
        kept = dict(cursor.fetchall())
        if len(kept) != len(ids):
            raise LeaseLost
        for statement in _PRUNE:
            cursor.execute(statement, parameters)
    return [replace(each, kept_from=kept[each.id]) for each in cursors]


def _parameters(lease: Lease, token: Cursor, block: int) -> dict[str, Any]:
    return {
        "id": token.id,
        "run": lease.run,
        "block": block,
        "chain": token.chain,
        "address": token.address,
    }


def _copy(
    cursor: Any, ids: Mapping[str, int], transfers: Collection[Transfer], kept_from: int
) -> None:
    """Send the transfers; hashes only of blocks that are kept."""
    with cursor.copy(_COPY) as copy:
        lines: list[str] = []
        for t in transfers:
            block_hash = f"\\\\x{t.hash[2:]}" if t.block >= kept_from else "\\N"
            lines.append(
                f"{ids[t.token]}\t{t.block}\t{block_hash}\t{t.log_index}\t{t.tx_index}\t\\\\x{t.sender}\t"
                f"\\\\x{t.receiver}\t{t.value}\n"
            )
        copy.write("".join(lines))


def _move_balances(cursor: Any, moved: str, parameters: Mapping[str, Any]) -> None:
    """Add the transfers to the balances; a balance of 0 has no row."""
    cursor.execute(_WITHOUT_ZERO.format(_BALANCES.format(moved=moved)), parameters)
    if gone := cursor.fetchall():
        tokens, holders = map(list, zip(*gone, strict=True))
        cursor.execute(_REMOVE_ZERO, {"tokens": tokens, "holders": holders})
