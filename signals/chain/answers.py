"""Checks of what a node answers: each field has the form that the protocol gives it, or nothing is taken."""

import re
import reprlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from signals.chain.errors import BadAnswer
from signals.texts import shortened

TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""The first topic of an ERC-20 Transfer: keccak256("Transfer(address,address,uint256)")."""
MAX_NUMBER: Final = 2**63 - 1
_MAX_TIME: Final = 253_402_300_799  # the end of the year 9999

_QUANTITY: Final = re.compile(r"0x(0|[1-9a-f][0-9a-f]{0,15})", re.IGNORECASE)
_HASH: Final = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE)
_CODE: Final = re.compile(r"0x(?:[0-9a-f]{2})*", re.IGNORECASE)
# An account of a person that delegates to code (EIP-7702): it has this and an address.
_DELEGATION: Final = re.compile(r"0xef0100[0-9a-f]{40}", re.IGNORECASE)
# The fields of a log that must be there, in one text: address, block, hash, log, transaction, data, topics.
# The numbers fit into the columns.
_FIELDS: Final = ("address", "blockNumber", "blockHash", "logIndex", "transactionIndex", "data")
_INDEX: Final = "0x([0-7]?[0-9a-f]{1,7})"
_PLACE: Final = rf"(0x[0-9a-f]{{40}}) 0x([0-9a-f]{{1,15}}) (0x[0-9a-f]{{64}}) {_INDEX} {_INDEX}"
# What is no address, with other than zeros in front, was not written by an ERC-20 contract.
_ERC20: Final = re.compile(
    rf"{_PLACE} (0x[0-9a-f]{{64}}) {TRANSFER} 0x0{{24}}([0-9a-f]{{40}}) 0x0{{24}}([0-9a-f]{{40}})"
)
_OTHER: Final = re.compile(rf"{_PLACE} 0x(?:[0-9a-f]{{2}})* {TRANSFER}(?: 0x[0-9a-f]{{64}}){{0,3}}")


@dataclass(frozen=True, slots=True)
class Block:
    """The header of a block; `hash` is 0x and 64 hexadecimal digits."""

    number: int
    hash: str
    time: datetime


class Transfer(NamedTuple):
    """A Transfer log; addresses are 40 hexadecimal digits, `token` with 0x, `value` is a uint256."""

    token: str
    block: int
    hash: str
    log_index: int
    tx_index: int
    sender: str
    receiver: str
    value: int


def read_quantity(value: Any, name: str, most: int = MAX_NUMBER) -> int:
    """Return a number of the protocol; raise BadAnswer if it is none, or greater than `most`."""
    if not (isinstance(value, str) and _QUANTITY.fullmatch(value) and int(value, 16) <= most):
        raise BadAnswer(f"{name} is {_shown(value)}, no number")
    return int(value, 16)


def read_block(value: Any, number: int | None = None) -> Block | None:
    """Return the header that a node sent for the block of that number, or for the latest; None for null."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadAnswer(f"a block is {_shown(value)}")
    found = read_quantity(value.get("number"), "the number of a block")
    if number is not None and found != number:
        raise BadAnswer(f"block {number} was asked for, block {found} came")
    block_hash = value.get("hash")
    if not (isinstance(block_hash, str) and _HASH.fullmatch(block_hash)):
        raise BadAnswer(f"the hash of block {found} is {_shown(block_hash)}")
    time = read_quantity(value.get("timestamp"), f"the time of block {found}", _MAX_TIME)
    return Block(found, block_hash.lower(), datetime.fromtimestamp(time, UTC))


def read_transfers(
    value: Any, tokens: Collection[str], first: int, last: int
) -> tuple[list[Transfer], int]:
    """Return the ERC-20 transfers among the logs of these tokens from block `first` to `last`, and all logs.

    Only logs of three topics and 32 bytes of data are ERC-20 transfers: with four topics, or none of data,
    they are those of an NFT. Raise BadAnswer if a log was not asked for, or is there twice, or if two logs
    of a block have different hashes of it.
    """
    if not isinstance(value, list):
        raise BadAnswer(f"the logs are {_shown(value)}")
    wanted = frozenset(tokens)
    hashes: dict[int, str] = {}
    seen: set[tuple[int, int]] = set()
    found: list[Transfer] = []
    for log in value:
        try:
            text = " ".join([log[name] for name in _FIELDS] + log["topics"]).lower()
            is_removed = log.get("removed")
        except (TypeError, KeyError, AttributeError):
            raise BadAnswer(f"a log is {_shown(log)}") from None
        erc20 = _ERC20.fullmatch(text)
        match = erc20 or _OTHER.fullmatch(text)
        if match is None or is_removed:
            raise BadAnswer(f"a log is {_shown(log)}, no Transfer")
        token, number, block_hash, log_number, tx_number = match.group(1, 2, 3, 4, 5)
        block, log_index = int(number, 16), int(log_number, 16)
        if token not in wanted or not first <= block <= last:
            raise BadAnswer(
                f"log {log_index} of block {block} was not asked for (asked for were logs of "
                f"{len(wanted)} tokens in blocks {first} to {last})"
            )
        if hashes.setdefault(block, block_hash) != block_hash:
            raise BadAnswer(f"block {block} has two hashes in one answer")
        if (block, log_index) in seen:
            raise BadAnswer(f"log {log_index} of block {block} came twice")
        seen.add((block, log_index))
        if erc20:
            data, sender, receiver = erc20.group(6, 7, 8)
            found.append(
                Transfer(
                    *(token, block, block_hash, log_index, int(tx_number, 16)),
                    *(sender, receiver, int(data, 16)),
                )
            )
    return found, len(value)


def read_is_contract(value: Any) -> bool:
    """Return whether the code of an account is that of a contract; a person's account may delegate to one."""
    if not (isinstance(value, str) and _CODE.fullmatch(value)):
        raise BadAnswer(f"the code of an account is {_shown(value)}")
    return len(value) > len("0x") and not _DELEGATION.fullmatch(value)


def _shown(value: Any) -> str:
    """Return the beginning of a strange value."""
    return shortened(reprlib.repr(value), 80)
