"""The URL of a token's page, whatever its address is made of."""

from typing import Final

from django.contrib.admin.utils import quote, unquote
from django.urls import reverse

from signals.verification.tokens import fold_address, fold_chain

MOST_CHAIN: Final = 50
"""Characters of the longest name of a chain."""
MOST_ADDRESS: Final = 200
"""Characters of the longest address."""
_DOT: Final = "_2E"


def token_url(chain: str, address: str) -> str:
    """Return the address of the token's page; nothing for what can be no token, as a text of 201 characters.

    Dots are escaped as well: a browser takes `..` for the folder above, percent-encoded or not.
    """
    texts = (fold_chain(chain), fold_address(address))
    if not can_be_token(*texts):
        return ""
    return reverse("admin:signals_token", args=[quote(each).replace(".", _DOT) for each in texts])


def unquoted(text: str) -> str:
    """Return the part of a token's URL as it was before it was escaped."""
    return unquote(text.replace(_DOT, "."))


def can_be_token(chain: str, address: str) -> bool:
    """Return whether the two can have a page."""
    is_text = 0 < len(chain) <= MOST_CHAIN and 0 < len(address) <= MOST_ADDRESS
    return is_text and "\0" not in chain + address
