"""Columns of lists and pages: functions that take a row and return what is shown.

Each has the name of the field that it shows, from which the admin takes its heading and CSS class. They
are typed as Any, because the stubs accept such functions in some of the places only that take them.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import models
from django.template.defaultfilters import linebreaksbr
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from signals.texts import printable, shortened

EMPTY_VALUE: Final = "-"
"""Shown in place of a missing value, as on Django's own pages."""
MAX_SHOWN: Final = 5_000
"""Characters of a text that a page shows; a browser lays out a hundred thousand for half a minute."""


def text_column(field: str) -> Any:
    """Return a column that shows a text or a list of texts; a long one begins, and links to all of it."""

    def show(row: Any) -> str:
        text = text_of(row, field)
        if len(text) <= MAX_SHOWN:
            return format_html("{}", linebreaksbr(printable(text) or EMPTY_VALUE, autoescape=True))
        return _beginning(row, field, text)

    return _column(field, show)


def text_of(row: Any, field: str) -> str:
    """Return the field's value as a plain text; a list has a line for each text."""
    value = getattr(row, field)
    if isinstance(row._meta.get_field(field), models.JSONField):
        return json.dumps(value, indent=2, ensure_ascii=False)
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)


def json_column(field: str) -> Any:
    """Return a column that shows a JSON value indented, over several lines."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        if value is None:
            return EMPTY_VALUE
        text = text_of(row, field)
        if len(text) > MAX_SHOWN:
            return _beginning(row, field, text)
        return format_html("<pre>{}</pre>", printable(text))

    return _column(field, show)


def _column(name: str, show: Callable[[Any], Any]) -> Any:
    show.__name__ = name
    return admin.display(show, description=name.replace("_", " "))


def _beginning(row: Any, field: str, text: str) -> SafeString:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_text"
    return format_html(
        '<pre>{}</pre><a href="{}">All {} characters</a>',
        shortened(text, MAX_SHOWN),
        reverse(name, args=[quote(row.pk), field]),
        f"{len(text):,}",
    )


def without_middle(text: str, first: int = 17, last: int = 12) -> str:
    """Return a long text without its middle: so many of its first and last characters."""
    return text if len(text) <= first + last + 1 else f"{text[:first]}…{text[-last:]}"
