"""The token that a signal is about, and the names of chains and addresses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

DEFAULT_CHAIN: Final = "ethereum"
# fmt: off
CHAIN_ALIASES: Final[Mapping[str, str]] = MappingProxyType({
    "arb": "arbitrum", "arbitrum_one": "arbitrum", "avalanche_c": "avalanche",
    "avalanche_c_chain": "avalanche", "avax": "avalanche", "base_mainnet": "base",
    "binance": "bsc", "binance_smart_chain": "bsc", "bnb": "bsc", "bnb_chain": "bsc",
    "bnb_smart_chain": "bsc", "btc": "bitcoin", "cro": "cronos", "eth": "ethereum",
    "eth_mainnet": "ethereum", "ethereum_mainnet": "ethereum", "ftm": "fantom",
    "klaytn": "kaia", "mainnet": "ethereum", "matic": "polygon", "op": "optimism",
    "op_mainnet": "optimism", "optimistic_ethereum": "optimism", "polygon_pos": "polygon",
    "sol": "solana", "trx": "tron", "xdai": "gnosis", "zksync_era": "zksync",
})
"""Other names of chains, folded; ONCHAIN_CHAIN_ALIASES adds to them."""
EVM_CHAINS: Final = frozenset((
    "arbitrum", "arbitrum_nova", "aurora", "avalanche", "base", "berachain", "blast", "bsc",
    "celo", "cronos", "ethereum", "fantom", "gnosis", "hyperevm", "kaia", "kava", "linea",
    "manta", "mantle", "metis", "mode", "moonbeam", "opbnb", "optimism", "polygon",
    "polygon_zkevm", "pulsechain", "ronin", "scroll", "sepolia", "sonic", "taiko", "unichain",
    "worldchain", "zksync", "zora",
))
# fmt: on
"""Chains whose addresses are 0x and 40 hexadecimal digits, by the name that fold_chain() returns."""

CHAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_NAMED: Final = re.compile(rf"({CHAIN_NAME.pattern}):([^\s:]{{1,200}})(?::.*)?", re.DOTALL)
_BARE: Final = re.compile(r"[^\s:]{1,200}")
EVM_ADDRESS: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
_BASE58: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token's chain and its address on it, both folded."""

    chain: str
    address: str


class TokenSource(Enum):
    """What names the chain and the address of a token."""

    TOKEN_CA = "token_ca names chain and address"  # noqa: S105 - a token of a chain, not a secret
    CHAIN_OF_EVENT_KEY = "token_ca names the address, event_key the chain"
    FORM = "token_ca names the address, whose form is that of ethereum"
    EVENT_KEY = "event_key names chain and address, for there is no token_ca"


def fold_chain(name: str, aliases: Mapping[str, str] = CHAIN_ALIASES) -> str:
    """Return the one name of a chain: in lower case, with _ for -, and no alias."""
    folded = name.lower().replace("-", "_")
    return aliases.get(folded, folded)


def fold_address(address: str) -> str:
    """Return the address as it is compared.

    0x and 40 hexadecimal digits are folded to lower case on every chain, because the case of a letter is
    only a checksum there (EIP-55). All others are case-sensitive.
    """
    return address.lower() if EVM_ADDRESS.fullmatch(address) else address


def resolve(
    event_key: str | None, token_ca: str | None, aliases: Mapping[str, str] = CHAIN_ALIASES
) -> Token | None:
    """Return the token of an event, or None if it cannot be resolved.

    If there is a `token_ca`, the token has its address and no other: `token_ca` is `chain:address`, or an
    address whose chain is the one that `event_key` names, if the chain has such addresses, else ethereum
    if the address has the EVM form. Without a `token_ca`, an `event_key` of the form `chain:address[:…]`
    names the token.
    """
    return resolve_with_source(event_key, token_ca, aliases)[0]


def resolve_with_source(
    event_key: str | None, token_ca: str | None, aliases: Mapping[str, str] = CHAIN_ALIASES
) -> tuple[Token | None, TokenSource]:
    """Return what resolve() returns, and where the token was looked for."""
    contract = (token_ca or "").strip()
    if not contract:
        return _named(event_key or "", aliases), TokenSource.EVENT_KEY
    if not _BARE.fullmatch(contract):
        return _named(contract, aliases), TokenSource.TOKEN_CA
    if (match := _NAMED.fullmatch((event_key or "").strip())) and (
        token := _on_chain_of(fold_chain(match[1], aliases), match[2], contract)
    ):
        return token, TokenSource.CHAIN_OF_EVENT_KEY
    return token_at(DEFAULT_CHAIN, contract), TokenSource.FORM


def token_at(chain: str, address: str) -> Token | None:
    """Return the token at that address of a folded chain, or None if the chain has no such addresses."""
    if chain in EVM_CHAINS and not EVM_ADDRESS.fullmatch(address):
        return None
    return Token(chain, fold_address(address))


def _named(text: str, aliases: Mapping[str, str]) -> Token | None:
    match = _NAMED.fullmatch(text.strip())
    return token_at(fold_chain(match[1], aliases), match[2]) if match else None


def _on_chain_of(chain: str, example: str, address: str) -> Token | None:
    """Return the token at the address of that chain, if `example` shows that its addresses look so."""
    if chain in EVM_CHAINS:
        return token_at(chain, address)
    is_alike = _form(address) == ("base58" if chain == "solana" else _form(example))
    return token_at(chain, address) if is_alike or address == example else None


def _form(address: str) -> str:
    if EVM_ADDRESS.fullmatch(address):
        return "evm"
    return "base58" if _BASE58.fullmatch(address) else "other"
