"""Noticing that the chain was reorganised, and finding the block down to which it is as it was."""

import logging
from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.chain.errors import NoNode
from signals.chain.nodes import Nodes
from signals.chain.storing import Cursor, Lease, roll_back, start_over

logger = logging.getLogger("signals.chain")

_KNOWN = """
SELECT number, '0x' || pg_catalog.encode(hash, 'hex') FROM chain_blocks
WHERE token_id = %(id)s AND number < %(block)s AND number >= %(kept_from)s - 1
ORDER BY number
"""


def undo_reorgs(
    connection: BaseDatabaseWrapper, nodes: Nodes, lease: Lease, cursors: Sequence[Cursor]
) -> list[Cursor]:
    """Return the cursors, each at a block that the chain has.

    What rests on blocks that the chain no longer has is undone down to the highest known one that it has.
    If it has none of them, the token is read anew from its first block. A cursor that is ahead of the node
    is left out, because a node may be behind.
    """
    hashes: dict[int, str | None] = {}

    def hash_of(number: int) -> str | None:
        if number not in hashes:
            block = nodes.read_block(number)
            hashes[number] = block.hash if block else None
        return hashes[number]

    found = []
    for token in cursors:
        if not token.hash:  # nothing was read yet
            found.append(token)
            continue
        now = hash_of(token.block)
        if now == token.hash:
            found.append(token)
        elif now is not None:
            found.append(_undo(connection, nodes, lease, token))
    return found


def _undo(connection: BaseDatabaseWrapper, nodes: Nodes, lease: Lease, token: Cursor) -> Cursor:
    """Roll the token back; the known blocks that the chain still has are those up to some number."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"id": token.id, "block": token.block, "kept_from": token.kept_from})
        known = cursor.fetchall()
    low, high = 0, len(known)
    while low < high:
        middle = (low + high) // 2
        number, block_hash = known[middle]
        block = nodes.read_block(number)
        if block is None:
            raise NoNode(f"{nodes.chain}: the node has block {token.block}, but not block {number}")
        if block.hash == block_hash:
            low = middle + 1
        else:
            high = middle
    name = f"{token.chain}:{token.address}"
    if not low:
        logger.warning(
            "%s: block %d was replaced, and all known ones before; it is read anew from block %d",
            *(name, token.block, token.first_block),
        )
        return start_over(connection, lease, token)
    number, block_hash = known[low - 1]
    logger.warning("%s: block %d was replaced; rolled back to block %d", name, token.block, number)
    return roll_back(connection, lease, token, number, block_hash)
