"""The rows of a page, of which a bounded number is read whatever the filters are.

* Without a filter, or if the index of the list's order has the rows of the filters together, the page is the
  next rows of that index.
* Else, if one of the filters has at most COUNTED rows, all of them are read and sorted.
* Else the next WINDOW rows in the order are looked through; a page with too few rows of those leads on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q, QuerySet

from signals.admin.lists.counts import COUNTED, estimate
from signals.admin.lists.orders import EVERY_ROW, Condition, Key, Order, Place
from signals.expressions import twin_of

WINDOW: Final = 10_000
"""Rows of an order that a page looks through for those of filters that no index serves together."""
COUNTED_STREAMS: Final = 10
"""Streams of an order up to which the rows of a list are counted."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a page is reached: by the rows after a place in an order, or before it; else from an end."""

    order: Order
    place: Place | None = None
    backwards: bool = False

    @property
    def walked(self) -> Order:
        """Return the order in which the rows are read."""
        return self.order.reversed() if self.backwards else self.order


@dataclass(frozen=True, slots=True)
class Page:
    """The primary keys of a page's rows in their order, and the ways to others.

    `before` and `after` are the places of the pages next to it, None if there is none. `is_cut`: there were
    too few rows among the WINDOW rows that were looked through, and more may lie beyond them.
    """

    pks: Sequence[Any]
    before: Place | None
    after: Place | None
    shown: int | None
    total: int
    exact: bool
    is_cut: bool = False


def read_page(
    rows: QuerySet[Any],
    orders: Mapping[str, Order],
    conditions: Sequence[Condition],
    way: Way,
    size: int,
) -> Page:
    """Return a page of the rows that meet all conditions."""
    part, rest = _split(way.order, conditions)
    if not rest:
        is_counted = way.place is None and len(part.streams) <= COUNTED_STREAMS
        limit = COUNTED + 1 if is_counted else size + 1
        keys = _keys(rows, way, part, slice(limit))
        return _page(rows.filter(_all(conditions)), way, keys, size, limit)
    few = _few(rows, [(way.order, part), *_parts(orders, rest)])
    if few is not None:
        return _page_of_few(rows.filter(pk__in=few), conditions, way, size)
    return _page_of_window(rows, conditions, way, size)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows that an index has in an order: some streams, within bounds of the order's key.

    `is_own`: the streams are those of the order, and not of a filter.
    """

    streams: Sequence[Q]
    bounds: Sequence[tuple[str, Any]]
    is_own: bool


def _split(order: Order, conditions: Sequence[Condition]) -> tuple[_Part, list[Condition]]:
    """Return what an index has in the order, and the conditions that remain."""
    bounds: list[tuple[str, Any]] = []
    streams: Sequence[Q] = ()
    rest = []
    for condition in conditions:
        if condition.order == order.name and condition.bounds:
            bounds.extend(condition.bounds)
        elif condition.order == order.name and not streams:
            streams = condition.streams
        else:
            rest.append(condition)
    return _Part(streams or order.streams, bounds, is_own=not streams), rest


def _parts(
    orders: Mapping[str, Order], conditions: Iterable[Condition]
) -> Iterator[tuple[Order, _Part]]:
    """Return the conditions that an index serves, each with the order in which it does."""
    for condition in conditions:
        if order := orders.get(condition.order):
            part, _ = _split(order, [condition])
            yield order, part


def _keys(
    rows: QuerySet[Any], way: Way, part: _Part, span: slice, where: Q = EVERY_ROW[0]
) -> list[Key]:
    """Return the keys of those rows of each stream, in the order that is walked; the span is of a stream."""
    order = way.walked
    if order.twin and not part.is_own:
        rows = rows.annotate(_twin=twin_of(order.key))
        order = replace(order, key="_twin")
    where &= Q(**{f"{order.key}__{lookup}": value for lookup, value in part.bounds})
    if way.place:
        where &= order.beyond(way.place)
    if order.key != "pk":
        where &= Q(**{f"{order.key}__isnull": False})
    parts = [
        rows.filter(where, stream).order_by(*order.columns).values_list(*_columns(order))[span]
        for stream in part.streams
    ]
    if len(parts) == 1:
        return _as_keys(parts[0])
    return in_order(_as_keys(parts[0].union(*parts[1:], all=True)), order)


def _columns(order: Order) -> tuple[str, ...]:
    return ("pk",) if order.key == "pk" else (order.key, "pk")


def _as_keys(found: Iterable[tuple[Any, ...]]) -> list[Key]:
    return [(row[0], row[-1]) for row in found]


def in_order(keys: list[Key], order: Order) -> list[Key]:
    """Return the keys sorted as PostgreSQL does, for which NaN is the greatest number."""

    def place(row: Key) -> tuple[bool, Any, Any]:
        is_nan = isinstance(row[0], Decimal) and row[0].is_nan()
        return (is_nan, 0 if is_nan else row[0], row[1])

    return sorted(keys, key=place, reverse=order.descending)


def _few(rows: QuerySet[Any], parts: Iterable[tuple[Order, _Part]]) -> list[Any] | None:
    """Return the primary keys of a part that has few rows, or None if none has."""
    for order, part in parts:
        found = _keys(rows, Way(order), part, slice(COUNTED + 1))
        if len(found) <= COUNTED:
            return [pk for _, pk in found]
    return None


def _page_of_few(rows: QuerySet[Any], conditions: Sequence[Condition], way: Way, size: int) -> Page:
    order = way.walked
    where = _all(conditions)
    if order.key != "pk":
        where &= Q(**{f"{order.key}__isnull": False})
    found = in_order(_as_keys(rows.filter(where).order_by().values_list(*_columns(order))), order)
    left = [row for row in found if way.place is None or order.comes_after(row, way.place)]
    shown = len(found) - len(left[size:]) - len(left[:size])
    shown = len(left[size:]) if way.backwards else shown
    return _as_page(way, left, size, (shown, len(found), True))


def _page_of_window(
    rows: QuerySet[Any], conditions: Sequence[Condition], way: Way, size: int
) -> Page:
    part, rest = _split(way.order, conditions)
    length = max(WINDOW // len(part.streams), size + 1)
    ends = _keys(rows, way, part, slice(length - 1, length))
    where = _all(rest)
    if ends:
        where &= way.walked.up_to(Place(*ends[0]))
    keys = _keys(rows, way, part, slice(size + 1), where)[: size + 1]
    found = _page(rows.filter(_all(conditions)), way, keys, size, size + 1)
    if not ends or len(keys) > size:
        return found
    end = Place(*ends[0], None, found.total)
    before, after = (end, found.after) if way.backwards else (found.before, end)
    return Page(found.pks, before, after, None, found.total, exact=False, is_cut=True)


def _page(
    matching: QuerySet[Any],
    way: Way,
    keys: list[Key],
    size: int,
    limit: int,
) -> Page:
    """Return the page of keys of which at most `limit` were read, with what is known of their number."""
    place = way.place
    if place and place.total:
        shown = place.shown
        if shown is not None and way.backwards:
            shown = max(shown - len(keys[:size]), 0)
        return _as_page(way, keys, size, (shown, place.total, place.exact))
    total = estimate(matching)
    if place:
        return _as_page(way, keys, size, (None, total, False))
    exact = len(keys) < limit
    total = len(keys) if exact else max(total, len(keys))
    shown = None if not exact else total - len(keys[:size])
    return _as_page(way, keys, size, (shown if way.backwards else 0, total, exact))


def _as_page(way: Way, keys: list[Key], size: int, known: tuple[int | None, int, bool]) -> Page:
    """Return the page with the first `size` of the keys, which are in the order that is walked."""
    shown, total, exact = known
    on_page = keys[:size][::-1] if way.backwards else keys[:size]
    has_more = len(keys) > size
    has_place = way.place is not None

    def place(row: Key, number: int | None) -> Place:
        return Place(*row, number, total, exact)

    if not on_page:
        away = way.place if has_place else None
        return Page((), None if way.backwards else away, away if way.backwards else None, *known)
    end = None if shown is None else shown + len(on_page)
    before = place(on_page[0], shown) if (has_more if way.backwards else has_place) else None
    after = place(on_page[-1], end) if (has_place if way.backwards else has_more) else None
    return Page([pk for _, pk in on_page], before, after, *known)


def _all(conditions: Iterable[Condition]) -> Q:
    return Q(*(condition.rows for condition in conditions))
