"""Columns of lists and pages: functions that take a row and return what is shown.

Each has the name of the field that it shows, from which the admin takes its heading and CSS class. They
are typed as Any, because the stubs accept such functions in some of the places only that take them.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import models
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timesince import timesince

from signals.models import Event, Signal

EMPTY_VALUE: Final = "-"
"""Shown in place of a missing value, as on Django's own pages."""


def number_column(field: str) -> Any:
    """Return a column that shows a number as stored; Django's own formatting fails on NaN."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        return EMPTY_VALUE if value is None else format(value, "f")

    return _column(field, show)


def short_text_column(field: str) -> Any:
    """Return a column that shows the first 60 characters of a text."""

    def show(row: Any) -> str:
        return Truncator(getattr(row, field) or EMPTY_VALUE).chars(60)

    return _column(field, show)


def short_key_column(field: str) -> Any:
    """Return a column that shows a key or an address without its middle, and all of it as a tooltip."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        return format_html('<span title="{}">{}</span>', value, _without_middle(value))

    return _column(field, show)


def json_column(field: str) -> Any:
    """Return a column that shows a JSON value indented, over several lines."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        if value is None:
            return EMPTY_VALUE
        text = json.dumps(value, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text)

    return _column(field, show)


def age_column(field: str) -> Any:
    """Return a column that shows how long ago a time was, and the time itself as a tooltip."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        if value is None:
            return EMPTY_VALUE
        return format_html(
            '<time datetime="{}" title="{}">{}</time>',
            value.isoformat(),
            f"{value:%Y-%m-%d %H:%M:%S %Z}",
            timesince(value, depth=1),
        )

    return _column("age", show)


def _column(name: str, show: Callable[[Any], Any]) -> Any:
    show.__name__ = name
    return admin.display(show, description=name.replace("_", " "))


def _signal_number(row: Any) -> Any:
    return row.signal_id


def _signal_link(row: Any) -> SafeString:
    # signal_id and not signal: the signal's row is not read, and it may have been deleted.
    return _link(Signal, row.signal_id, str(row.signal_id))


def _token_link(row: Signal) -> str:
    if row.event is None:
        return EMPTY_VALUE
    return _link(Event, row.event.pk, row.event.symbol or _without_middle(row.event.pk))


signal_number_column: Final = _column("signal", _signal_number)
"""The number of the signal that the row belongs to."""
signal_link_column: Final = _column("signal", _signal_link)
"""The same, as a link to the signal's page."""
token_link_column: Final = _column("token", _token_link)
"""The symbol of the signal's event, or else its key, as a link to the event's page."""


def _without_middle(text: str) -> str:
    return re.sub(r"(?s)^(.{17}).{2,}(.{12})$", r"\1…\2", text)


def _link(model: type[models.Model], pk: Any, text: str) -> SafeString:
    url = reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(pk)]
    )
    return format_html('<a href="{}">{}</a>', url, text)
