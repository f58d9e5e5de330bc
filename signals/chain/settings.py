"""The settings of pull_features, which each pass reads from the environment and the command line."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from signals.verification.errors import SettingError
from signals.verification.settings import Settings, whole_seconds
from signals.verification.tokens import CHAIN_NAME, EVM_ADDRESS, Token, fold_address, fold_chain

URLS: Final = "ONCHAIN_RPC_URL"
CONFIRMATIONS: Final = "ONCHAIN_CONFIRMATIONS"
POOLS: Final = "ONCHAIN_POOLS"
LATELY: Final = "ONCHAIN_PULL_LATELY_SEC"

MAX_CONFIRMATIONS: Final = 100_000
DEFAULT_CONFIRMATIONS: Final = 12
# Where a block is final later than after twelve others, or takes a fraction of a second.
_CONFIRMATIONS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("arbitrum", "arbitrum_nova"), 240),
    **dict.fromkeys(("base", "optimism"), 30),
    "bsc": 15,
    "polygon": 64,
}
# fmt: off
CHAIN_IDS: Final[Mapping[str, int]] = {
    "arbitrum": 42161, "arbitrum_nova": 42170, "aurora": 1313161554, "avalanche": 43114, "base": 8453,
    "berachain": 80094, "blast": 81457, "bsc": 56, "celo": 42220, "cronos": 25, "ethereum": 1,
    "fantom": 250, "gnosis": 100, "hyperevm": 999, "kaia": 8217, "kava": 2222, "linea": 59144,
    "manta": 169, "mantle": 5000, "metis": 1088, "mode": 34443, "moonbeam": 1284, "opbnb": 204,
    "optimism": 10, "polygon": 137, "polygon_zkevm": 1101, "pulsechain": 369, "ronin": 2020,
    "scroll": 534352, "sepolia": 11155111, "sonic": 146, "taiko": 167000, "unichain": 130,
    "worldchain": 480, "zksync": 324, "zora": 7777777,
}
# fmt: on
"""The chain ID (EIP-155) of each chain that has EVM addresses, by its folded name."""

_PAIR: Final = re.compile(rf"(?:({CHAIN_NAME.pattern})=)?(https?://\S+)", re.IGNORECASE)
_SHORTEST_SECRET: Final = 5


@dataclass(frozen=True, slots=True)
class NodeUrl:
    """The address of a node, which is never shown: not by repr(), and not by any text of an error."""

    text: str = field(repr=False)

    def redact(self, said: str) -> str:
        """Return what a node or a library said without the address and any part of it that may be a key."""
        parts = urlsplit(self.text)
        pieces = {self.text, parts.netloc, parts.path, parts.query, parts.hostname or ""}
        pieces |= {*re.split(r"[/=&?.:@-]", self.text), parts.username or "", parts.password or ""}
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece) >= _SHORTEST_SECRET:
                said = re.sub(re.escape(piece), "…", said, flags=re.IGNORECASE)
        return said


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """What is set of one chain.

    `urls` are its nodes in the order in which they are tried; `chain_id` is None if the chain has no known
    one; `pools` are the addresses of known pools, folded.
    """

    chain: str
    urls: tuple[NodeUrl, ...]
    chain_id: int | None
    confirmations: int
    pools: frozenset[str]


@dataclass(frozen=True, slots=True)
class PullSettings:
    """The settings of a pass.

    * `chains`: those that have nodes.
    * `lease`: the time for which a claimed token is nobody else's, ONCHAIN_LEASE_SEC as for verify_signal.
    * `lately`: for how long after its verdict the token of a verified signal is read on.
    * `chain_aliases`: other names of chains, as for verify_signal.
    """

    chains: tuple[ChainSettings, ...]
    lease: timedelta
    lately: timedelta
    chain_aliases: Mapping[str, str]

    @classmethod
    def read(cls, environ: Mapping[str, str], urls: Iterable[str] = ()) -> "PullSettings":
        """Return the settings in `environ`; nodes on the command line replace those of ONCHAIN_RPC_URL.

        Raise SettingError if a value is invalid; the error shows no address of a node.
        """
        common = Settings.read(environ)
        aliases = common.chain_aliases
        nodes = read_urls([*urls] or environ.get(URLS, "").replace(",", " ").split(), aliases)
        confirmations = _confirmations(environ.get(CONFIRMATIONS, ""), aliases)
        pools = _pools(environ.get(POOLS, ""), aliases)
        return cls(
            chains=tuple(
                ChainSettings(
                    chain=chain,
                    urls=found,
                    chain_id=CHAIN_IDS.get(chain),
                    confirmations=confirmations.get(chain, confirmations[""]),
                    pools=frozenset(pool.address for pool in pools if pool.chain == chain),
                )
                for chain, found in nodes.items()
            ),
            lease=common.lease,
            lately=whole_seconds(environ, LATELY, 86_400),
            chain_aliases=aliases,
        )


def read_urls(
    words: Iterable[str], aliases: Mapping[str, str]
) -> Mapping[str, tuple[NodeUrl, ...]]:
    """Return the nodes by chain of words `chain=url`; the chain is ethereum where none is named."""
    found: dict[str, tuple[NodeUrl, ...]] = {}
    for number, word in enumerate(words, start=1):
        match = _PAIR.fullmatch(word)
        if not match or not _has_host(match[2]):
            fix = "write it as chain=https://host/path, several separated by spaces"
            raise SettingError(URLS, f"value {number}, which is not shown", fix)
        chain = fold_chain(match[1] or "ethereum", aliases)
        found[chain] = (*found.get(chain, ()), NodeUrl(match[2]))
    return found


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _confirmations(text: str, aliases: Mapping[str, str]) -> Mapping[str, int]:
    """Return the confirmations by chain; those of "" are of all chains that are not named."""
    found: dict[str, int] = {}
    for word in filter(None, map(str.strip, text.split(","))):
        chain, equals, number = map(str.strip, word.rpartition("="))
        is_number = re.fullmatch(r"[0-9]{1,6}", number) and int(number) <= MAX_CONFIRMATIONS
        if not is_number or bool(equals) != bool(CHAIN_NAME.fullmatch(chain)):
            raise SettingError(
                *(CONFIRMATIONS, text),
                f"write it as 12 or as 12, polygon=64; at most {MAX_CONFIRMATIONS} blocks",
            )
        found[fold_chain(chain, aliases) if equals else ""] = int(number)
    return found if "" in found else {**_CONFIRMATIONS, "": DEFAULT_CONFIRMATIONS, **found}


def _pools(text: str, aliases: Mapping[str, str]) -> frozenset[Token]:
    """Return the pools of `chain:0x…, chain:0x…`; an address alone is on ethereum."""
    found = set()
    for word in filter(None, re.split(r"[\s,]+", text)):
        chain, colon, address = word.rpartition(":")
        if not EVM_ADDRESS.fullmatch(address) or (colon and not CHAIN_NAME.fullmatch(chain)):
            raise SettingError(POOLS, word, "write it as chain:0x…, with 40 hexadecimal digits")
        found.add(Token(fold_chain(chain or "ethereum", aliases), fold_address(address)))
    return frozenset(found)
