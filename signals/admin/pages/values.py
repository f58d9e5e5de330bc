"""Values as pages show them: times in UTC with their age, numbers of any size, states with an icon."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from signals.admin.cells import STATES
from signals.admin.columns import EMPTY_VALUE
from signals.admin.far_times import FarTime
from signals.texts import printable
from signals.verification.review.explanation_output import age_text

_SHORT: Final = range(-11, 18)
"""Powers of ten of the first digit of numbers that are written out, to all their digits."""
_BRIEF: Final = range(-4, 12)
"""The same of numbers with four digits."""
_MOST_CHARACTERS: Final = 36
_WHOLE_ADDRESS: Final = 24  # characters
TIMES: Final = "\N{MULTIPLICATION SIGN}"


def utc_text(value: datetime) -> str:
    """Return the time in UTC to the second."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age_of(value: datetime, now: datetime) -> str:
    """Return how long ago a time was, or how long it is until then."""
    age = now - value
    return f"{age_text(age)} ago" if age.total_seconds() >= 0 else f"in {age_text(-age)}"


def time_shown(value: datetime | None, now: datetime | None = None) -> SafeString | str:
    """Return the time in UTC, and its age at `now`."""
    if value is None:
        return EMPTY_VALUE
    if isinstance(value, FarTime):
        return value.text
    return format_html(
        '<time datetime="{}">{}</time> <span class="age">({})</span>',
        value.astimezone(UTC).isoformat(),
        utc_text(value),
        age_of(value, now or timezone.now()),
    )


def number_shown(value: Any) -> str:
    """Return the number with the digits that are stored, or as a power of ten if they are many."""
    if value is None:
        return EMPTY_VALUE
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        return str(number)
    if isinstance(value, int):
        return f"{value:,}"
    is_long = number != 0 and number.adjusted() not in _SHORT
    text = f"{number:.6E}" if is_long else f"{number:f}"
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def brief_number(value: Decimal) -> str:
    """Return the number with four significant digits, with a thousands separator."""
    if not value.is_finite():
        return str(value)
    if value == 0:
        return "0"
    if value.adjusted() not in _BRIEF:
        return f"{value:.3E}"
    decimals = max(0, 3 - value.adjusted())
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def brief_address(address: str) -> str:
    """Return the address on its chain, a long one without its middle."""
    text = printable(address)
    return text if len(text) <= _WHOLE_ADDRESS else f"{text[:10]}…{text[-8:]}"


def state_shown(state: str) -> SafeString:
    """Return the state as an icon and its word."""
    return format_html(
        '<span class="state state-{}"><span aria-hidden="true">{}</span> {}</span>',
        state,
        STATES.get(state, ("?", ""))[0],
        state.capitalize(),
    )


def growth_shown(growth: Decimal) -> str:
    """Return growth as the current value over the previous one."""
    return f"{TIMES} {brief_number(growth)} of the previous window"
