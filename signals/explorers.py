"""Links to the pages of tokens on explorers of their chains."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from signals.verification.tokens import CHAIN_NAME, fold_chain

EXPLORERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "arbitrum": "https://arbiscan.io/token/{address}",
        "avalanche": "https://snowtrace.io/token/{address}",
        "base": "https://basescan.org/token/{address}",
        "blast": "https://blastscan.io/token/{address}",
        "bsc": "https://bscscan.com/token/{address}",
        "celo": "https://celoscan.io/token/{address}",
        "ethereum": "https://etherscan.io/token/{address}",
        "gnosis": "https://gnosisscan.io/token/{address}",
        "linea": "https://lineascan.build/token/{address}",
        "optimism": "https://optimistic.etherscan.io/token/{address}",
        "polygon": "https://polygonscan.com/token/{address}",
        "scroll": "https://scrollscan.com/token/{address}",
        "solana": "https://solscan.io/token/{address}",
        "sonic": "https://sonicscan.org/token/{address}",
        "tron": "https://tronscan.org/#/token20/{address}",
        "zksync": "https://explorer.zksync.io/address/{address}",
    }
)
"""The page of a token on an explorer, by the folded name of its chain; ADMIN_EXPLORERS adds to them."""

_FIX: Final = "write it as chain=https://host/path/{address}, separated by commas"
_PLAIN: Final = re.compile(r"[!#-;=?-z{}~]+")  # no space, quote, angle bracket or control character


def explorer_url(chain: str, address: str) -> str:
    """Return the address of the token's page, or nothing for a chain without an explorer."""
    added: Mapping[str, str] = getattr(settings, "ADMIN_EXPLORERS", {})
    name = fold_chain(chain)
    template = added.get(name, EXPLORERS.get(name, ""))
    return template.replace("{address}", quote(address, safe="")) if address else ""


def read_explorers(text: str) -> dict[str, str]:
    """Return the explorers of a setting `chain=https://…/{address}, …`; none for a chain without address.

    Raise ImproperlyConfigured if an address is not one of https with one {address} in its path.
    """
    found = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        chain, equals, template = map(str.strip, pair.partition("="))
        if not (equals and CHAIN_NAME.fullmatch(chain) and (not template or _is_sound(template))):
            raise ImproperlyConfigured(f"ADMIN_EXPLORERS has {pair[:200]!r} ({_FIX})")
        found[fold_chain(chain)] = template
    return found


def _is_sound(template: str) -> bool:
    if template.count("{address}") != 1 or not _PLAIN.fullmatch(template):
        return False
    try:
        parts = urlsplit(template)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return False
    is_plain = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    return is_plain and "{" not in parts.netloc
