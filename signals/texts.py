"""Texts of strangers, as a person can read them."""

import re
from typing import Final

from django.utils.text import Truncator

# All but tab and newline of the control characters, what changes the direction of a text, and characters
# without a width; U+200C and U+200D join letters and emoji.
_HIDDEN: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Return the text with each character that is not seen, or that reorders others, as its code point."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def shortened(text: str, most: int) -> str:
    """Return at most so many characters of the printable text."""
    return str(Truncator(printable(text[: most + 1])).chars(most))
