"""Filters that show values on the pages of single rows and of tokens."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils.safestring import SafeString

from signals.admin.columns import EMPTY_VALUE
from signals.admin.pages import values
from signals.texts import shortened

register = template.Library()


@register.filter
def time_and_age(value: datetime | None) -> SafeString | str:
    """Return the time in UTC with its age."""
    return values.time_shown(value)


@register.filter
def state_mark(state: str) -> SafeString:
    """Return the state as an icon and its word."""
    return values.state_shown(state)


@register.filter
def number(value: Any) -> str:
    """Return the number with its digits."""
    return values.number_shown(value)


@register.filter
def brief_number(value: Decimal | None) -> str:
    """Return the number with four significant digits."""
    return EMPTY_VALUE if value is None else values.brief_number(value)


@register.filter
def brief(text: str | None, most: int) -> str:
    """Return the beginning of a stranger's text."""
    return shortened(text, int(most)) if text else EMPTY_VALUE
