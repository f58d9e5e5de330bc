# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""Filters of the lists, chosen such that offering their values reads a bounded number of rows."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from signals.choices import WINDOW_MINUTES
from signals.texts import shortened

SAMPLED_ROWS: Final = 1_000
"""Newest rows whose values a filter offers."""
MAX_OFFERED: Final = 200
"""Characters of a value that a filter offers; a longer one would be a link of that length."""

_AGES: Final = {
    "hour": ("Past hour", timedelta(hours=1)),
    "day": ("Past 24 hours", timedelta(days=1)),
    "week": ("Past 7 days", timedelta(days=7)),
    "month": ("Past 30 days", timedelta(days=30)),
}


def age_filter(field: str, **indexed: Any) -> type[admin.SimpleListFilter]:
    """Return a filter for rows of the last hour, day, week or month, or for older ones.

    `indexed` is a condition that all rows meet. It is added to the query so that an index whose first
    column is not `field` can serve the filter.
    """

    class AgeFilter(admin.SimpleListFilter):
        title = "age"
        parameter_name = "age"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [*((key, title) for key, (title, _) in _AGES.items()), ("older", "Older")]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if value in _AGES:
                since = timezone.now() - _AGES[value][1]
                return queryset.filter(**{f"{field}__gte": since}, **indexed)
            if value == "older":
                before = timezone.now() - _AGES["month"][1]
                return queryset.filter(**{f"{field}__lt": before}, **indexed)
            return queryset

    return AgeFilter


def recent_values_filter(field: str) -> type[admin.SimpleListFilter]:
    """Return a filter that offers the values of the newest rows.

    Django's own filter would select DISTINCT values of the whole table. A value that is not offered can
    still be given in the address.
    """

    class RecentValuesFilter(admin.SimpleListFilter):
        title = field.replace("_", " ")
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            newest = model_admin.model._default_manager.order_by(*model_admin.ordering)
            values = {self.value(), *newest.values_list(field, flat=True)[:SAMPLED_ROWS]}
            return [
                (value, shortened(value, 60))
                for value in sorted(filter(None, values))
                if len(value) <= MAX_OFFERED
            ]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if value and "\0" in value:  # PostgreSQL has no such text
                raise IncorrectLookupParameters
            return queryset.filter(**{field: value}) if value else queryset

    return RecentValuesFilter


class WindowFilter(admin.SimpleListFilter):
    """Offer the windows that the table's check allows; any other value filters nothing."""

    title = "window"
    parameter_name = "window"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(minutes), f"{minutes} min") for minutes in WINDOW_MINUTES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value in [str(minutes) for minutes in WINDOW_MINUTES]:
            return queryset.filter(window_minutes=value)
        return queryset
