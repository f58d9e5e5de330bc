"""Which token a signal is about."""

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
"""Chains with hexadecimal addresses, where the case of a letter is only a checksum (EIP-55)."""

_NAMED: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,49}):([^\s:]{1,200})(?::.*)?", re.DOTALL)
_BARE: Final = re.compile(r"[^\s:]{1,200}")


@dataclass(frozen=True, slots=True)
class Token:
    """Where a token lives: its chain in lower case, its address too if the chain is an EVM chain."""

    chain: str
    address: str

    @property
    def folded(self) -> bool:
        """Whether the case of the address means nothing."""
        return self.chain in EVM_CHAINS


def resolve(event_key: str | None, token_ca: str | None) -> Token | None:
    """The token of an event: its token_ca, else its event_key if that reads `chain:address[:…]`.

    A token_ca may name its chain in the same form. A bare one is on the chain of an event_key that
    names the same address, else on ethereum. None if neither can be an address.
    """
    from_key = _named(event_key or "")
    contract = (token_ca or "").strip()
    if named := _named(contract):
        return named
    if _BARE.fullmatch(contract):
        if from_key and token(from_key.chain, contract) == from_key:
            return from_key
        if bare := token(DEFAULT_CHAIN, contract):
            return bare
    return from_key


def token(chain: str, address: str) -> Token | None:
    """The token at that address; None if the chain has no such addresses."""
    chain = chain.lower()
    if chain not in EVM_CHAINS:
        return Token(chain, address)
    return Token(chain, address.lower()) if address[:2].lower() == "0x" else None


def _named(text: str) -> Token | None:
    match = _NAMED.fullmatch(text.strip())
    return token(*match.groups()) if match else None
