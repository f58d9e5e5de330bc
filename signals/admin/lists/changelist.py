# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""Django's list of a model, with pages whose cost does not grow with the table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR, IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import result_headers, results
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

from signals.admin.lists.counts import as_text
from signals.admin.lists.moments import parse_moment
from signals.admin.lists.orders import Order, Place
from signals.admin.lists.reading import WINDOW, Page, Way, read_page

ORDER: Final = "order"
AFTER: Final = "after"
BEFORE: Final = "before"
LAST: Final = "last"
AT: Final = "at"
OF_PAGES: Final = (AFTER, BEFORE, LAST, AT)
"""The parameters that say where in the list a page is."""
KEPT: Final = (SEARCH_VAR, ORDER, IS_POPUP_VAR, TO_FIELD_VAR)
"""The other parameters of a list, besides those of its filters, that its links keep."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column; `url` orders the list by it, `sort` is the value of aria-sort."""

    text: str
    css_class: str
    url: str = ""
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter, and the address of the list without it."""

    text: str
    url: str


class PagedList(ChangeList):
    """A list in one of the orders of its page's `orders`, with the rows that all its filters leave.

    A search keeps the order of its matches, and has numbered pages.
    """

    model_admin: Any
    filter_specs: Any  # RowsFilter
    page: Page | None = None
    is_backwards = False
    at_problem = ""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        name = self.opts.verbose_name if self.is_popup else self.opts.verbose_name_plural
        self.title = f"Select {name}" if self.is_popup else capfirst(str(name))

    def get_filters_params(self, params: Any = None) -> Any:
        """Return the parameters that belong to filters."""
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (ORDER, *OF_PAGES)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the order of a search; `?o=` of Django's lists is no order of these."""
        return self._get_deterministic_ordering(self._get_default_ordering())  # type: ignore[attr-defined,no-any-return]

    def get_ordering_field_columns(self) -> dict[int, Any]:
        """Return no column: the headings are made here."""
        return {}

    def get_results(self, request: HttpRequest) -> None:
        """Read the rows of the page."""
        self.sent = request.GET
        self.orders: Mapping[str, Order] = {
            order.name: order for order in self.model_admin.get_orders(request)
        }
        self.conditions = [each.condition for each in self.filter_specs if each.condition]
        self.order = self._chosen_order(request.GET.get(ORDER, ""))
        if self.query:
            super().get_results(request)
            # The columns of other tables are read apart: with these joins in sight, the planner prefers to
            # read whole tables.
            self._show(list(self.result_list.values_list("pk", flat=True)))
            self.count_text = as_text(self.result_count, exact=not self.paginator.bounded)
            self.full_result_count = self.result_count
            return
        self._read(request)

    def _read(self, request: HttpRequest) -> None:
        way = self._way(request.GET)
        self.is_backwards = way.backwards
        if self.problems:
            self.page = Page((), None, None, 0, 0, exact=True)
        else:
            rows = self.model_admin.model._default_manager.all()
            self.page = read_page(rows, self.orders, self.conditions, way, self.list_per_page)
        self._show(self.page.pks)
        self.result_count = self.page.total
        self.count_text = as_text(self.page.total, exact=self.page.exact)
        self.full_result_count = self.result_count  # else the search says how many results it has
        self.show_full_result_count = self.can_show_all = False
        self.show_admin_actions = True
        self.multi_page = bool(self.page.before or self.page.after)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def _show(self, pks: Sequence[Any]) -> None:
        """Read the rows with these primary keys, in their order."""
        found = self.apply_select_related(self.root_queryset).in_bulk(pks)
        self.result_list: Any = [found[pk] for pk in pks if pk in found]

    def _chosen_order(self, text: str) -> Order:
        """Return the order that the address names, or else the one whose index serves the filters."""
        name = text.removeprefix("-")
        if name:
            if name not in self.orders:
                raise IncorrectLookupParameters
            chosen = self.orders[name]
            return chosen.reversed() if text.startswith("-") else chosen
        served = sorted(self.conditions, key=lambda each: not each.bounds)
        for condition in served:
            if condition.order in self.orders:
                return self.orders[condition.order]
        return next(iter(self.orders.values()))

    def _way(self, sent: Mapping[str, str]) -> Way:
        if text := sent.get(AT, "").strip():
            moment = parse_moment(text)
            if moment is None:
                self.at_problem = f"“{text[:40]}” is no time"
                return Way(self.order)
            return Way(self.order, self._place_at(moment))
        for name in (AFTER, BEFORE):
            if sent.get(name):
                return Way(self.order, self._place_of(sent[name]), backwards=name == BEFORE)
        return Way(self.order, backwards=LAST in sent)

    def _place_at(self, moment: datetime) -> Place:
        """Return the place of a time in the order, which is that of a number if the order is by number."""
        if self.order.key == "pk":
            return Place(None, self.model_admin.number_at(moment, descending=self.order.descending))
        return Place(moment, None)

    def _place_of(self, text: str) -> Place:
        """Return the place that an address names, if it has the types that the order's places have."""
        place = Place.decoded(text)
        if place is None:
            raise IncorrectLookupParameters
        pk: Any = self.lookup_opts.pk
        is_number = isinstance(getattr(pk, "target_field", pk), models.IntegerField)
        key_type = datetime if self.order.is_time else Decimal
        fits = place.key == place.pk if self.order.key == "pk" else isinstance(place.key, key_type)
        if not fits or isinstance(place.pk, int) is not is_number:
            raise IncorrectLookupParameters
        try:
            return replace(place, pk=pk.to_python(place.pk))
        except ValidationError as error:
            raise IncorrectLookupParameters from error

    @property
    def problems(self) -> list[str]:
        """Return what is wrong with the values of filters, for which no row is shown."""
        return [each.error for each in self.filter_specs if each.error]

    @property
    def can_jump(self) -> bool:
        return not self.query and (self.order.is_time or self.order.key == "pk")

    def values(self) -> list[tuple[str, str]]:
        """Return the parameters of this list, without those of the page."""
        of_filters = [pair for each in self.filter_specs for pair in each.kept.items()]
        return [*self._values_of(KEPT), *of_filters]

    def _values_of(self, names: Iterable[str]) -> list[tuple[str, str]]:
        return [(name, self.sent[name]) for name in names if self.sent.get(name)]

    def link(self, **changed: str | None) -> str:
        """Return the address of the first page of this list, with other parameters, or None for none."""
        values = dict(self.values()) | changed
        kept = {name: value for name, value in values.items() if value is not None}
        return f"?{urlencode(kept)}"

    def query_text(self) -> str:
        """Return the filters, the search and the order as a part of an address."""
        popup = (IS_POPUP_VAR, TO_FIELD_VAR)
        return urlencode([pair for pair in self.values() if pair[0] not in popup])

    @property
    def save_url(self) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_save_view"

    @property
    def delete_url(self) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_delete_view"

    def chips(self) -> list[Chip]:
        """Return the active filters, each with the way to remove it."""
        return [
            Chip(text, self.link(**dict.fromkeys(names)))
            for each in self.filter_specs
            for text, names in each.chips()
        ]

    def url_without_filters(self) -> str:
        names = [name for each in self.filter_specs for name in each.parameters]
        return self.link(**dict.fromkeys(names))

    def hidden_values(self) -> list[tuple[str, str]]:
        """Return what the form of the filters sends along: all but what it has inputs for."""
        return self._values_of(name for name in KEPT if name != ORDER)

    def pages(self) -> list[tuple[str, str, str]]:
        """Return name, symbol and address of the pages around this one; no address if there is none."""
        page = self.page
        if page is None:
            return []
        before = page.before.encoded() if page.before else ""
        after = page.after.encoded() if page.after else ""
        is_last = not after
        return [
            ("First", "«", self.link() if before else ""),
            ("Previous", "←", self.link(before=before) if before else ""),
            ("Next", "→", self.link(after=after) if after else ""),
            ("Last", "»", "" if is_last else self.link(last="1")),
        ]

    def further_url(self) -> str:
        """Return the address of the page that looks through the next rows."""
        _, (_, _, previous), (_, _, following), _ = self.pages()
        return previous if self.is_backwards else following

    def span(self) -> str:
        """Return which rows of how many these are: 101 to 200 of ≈ 5,000,000 signals."""
        opts = self.opts
        name = opts.verbose_name if self.result_count == 1 else opts.verbose_name_plural
        if self.page is None or self.page.shown is None or not self.multi_page:
            return f"{self.count_text} {name}"
        first = self.page.shown + 1
        last = self.page.shown + len(self.page.pks)
        return f"{first:,} to {last:,} of {self.count_text} {name}"

    def looked_through(self) -> str:
        return f"{WINDOW:,}"

    @cached_property
    def headings(self) -> list[Heading]:
        """Return the headings of the columns; those of an order lead to the list in that order."""
        found = []
        for header, column in zip(result_headers(self), self.list_display, strict=True):
            name = getattr(column, "list_order", "")
            css_class = _class_of(str(header["class_attrib"]))
            text = header["text"]
            text = text if isinstance(text, SafeString) else capfirst(str(text))
            if name not in self.orders or self.query:
                found.append(Heading(text, css_class))
                continue
            is_current = name == self.order.name
            now = self.order if is_current else self.orders[name].reversed()
            is_as_given = now == self.orders[name]
            url = self.link(order=f"-{name}" if is_as_given else name)
            sort = ("descending" if now.descending else "ascending") if is_current else ""
            found.append(Heading(text, css_class, url, sort))
        return found

    def rows(self) -> Iterator[list[SafeString]]:
        """Return the cells of each row, which have their heading with them for narrow windows."""
        for row in results(self):
            yield [
                _with_heading(cell, heading)
                for cell, heading in zip(row, self.headings, strict=True)
            ]


def _class_of(attribute: str) -> str:
    return attribute.partition('"')[2].rpartition('"')[0]


def _with_heading(cell: SafeString, heading: Heading) -> SafeString:
    """Return the cell, which begins with <td or <th, with its heading as an attribute."""
    label = "" if isinstance(heading.text, SafeString) else heading.text
    attributes = format_html(' data-label="{}"', label)
    if cell.startswith("<th"):
        attributes += SafeString(' scope="row"')
    return mark_safe(f"{cell[:3]}{attributes}{cell[3:]}")  # noqa: S308 - a cell and escaped attributes
