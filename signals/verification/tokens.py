"""The token that a signal is about."""

import re
from dataclasses import dataclass
from typing import Final

DEFAULT_CHAIN: Final = "ethereum"
# fmt: off
EVM_CHAINS: Final = frozenset((
    "arbitrum", "arbitrum-nova", "arbitrum-one", "aurora", "avalanche", "avax", "base",
    "berachain", "binance-smart-chain", "blast", "bnb", "bsc", "celo", "cronos", "eth", "ethereum",
    "fantom", "gnosis", "hyperevm", "kaia", "kava", "klaytn", "linea", "manta", "mantle", "matic",
    "metis", "mode", "moonbeam", "opbnb", "optimism", "polygon", "polygon-pos", "polygon-zkevm",
    "pulsechain", "ronin", "scroll", "sepolia", "sonic", "taiko", "unichain", "worldchain", "xdai",
    "zksync", "zora",
))
# fmt: on
"""Chains with hexadecimal addresses, in which the case of a letter is only a checksum (EIP-55)."""

_NAMED: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,49}):([^\s:]{1,200})(?::.*)?", re.DOTALL)
_BARE: Final = re.compile(r"[^\s:]{1,200}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token's chain and its address on it; the chain, and an address on an EVM chain, in lower case."""

    chain: str
    address: str

    @property
    def ignores_case(self) -> bool:
        """Whether addresses that differ only in case are the same."""
        return self.chain in EVM_CHAINS


def resolve(event_key: str | None, token_ca: str | None) -> Token | None:
    """Return the token of an event, or None if neither argument has an address.

    `token_ca` is taken first, as `chain:address[:…]` or as an address alone. An address alone is on the
    chain of an `event_key` with the same address, else on ethereum. If token_ca holds no address,
    the event_key is taken if it has the form `chain:address[:…]`.
    """
    from_key = _named(event_key or "")
    contract = (token_ca or "").strip()
    if named := _named(contract):
        return named
    if _BARE.fullmatch(contract):
        if from_key and token_at(from_key.chain, contract) == from_key:
            return from_key
        if bare := token_at(DEFAULT_CHAIN, contract):
            return bare
    return from_key


def token_at(chain: str, address: str) -> Token | None:
    """Return the token at that address, or None if the chain has no such addresses."""
    chain = chain.lower()
    if chain not in EVM_CHAINS:
        return Token(chain, address)
    return Token(chain, address.lower()) if address[:2].lower() == "0x" else None


def _named(text: str) -> Token | None:
    match = _NAMED.fullmatch(text.strip())
    return token_at(*match.groups()) if match else None
