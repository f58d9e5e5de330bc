"""The orders of a list, what a filter asks of the rows, and a place in an order."""

import base64
import binascii
import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.db.models import Q

from signals.admin.far_times import FAR_FUTURE, FAR_PAST

Key = tuple[Any, Any]
"""The value of a row in an order's column, and its primary key."""

EVERY_ROW: Final = (Q(),)
_NEVER_READ: Final = 10**15  # rows; no table has so many


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a list, which an index has.

    * `name` stands in the address, `title` on the page: "Signals by arrival".
    * `key` leads from the list's model to the column; rows with the same value are ordered by their
      primary key. Rows without a value have no place in the order.
    * `streams` are conditions under each of which an index has the rows in the order. Together they are all
      the rows; no row is in two of them.
    * `descending`: the greatest value first.
    * `twin`: another index has the order for all rows. The streams of a filter are then ordered by twin_of()
      the key, which only their own index has: along the other one the planner would read the whole table.
    * `needs` is the model that a person must be allowed to view, besides that of the list.
    """

    name: str
    title: str
    key: str
    streams: tuple[Q, ...] = EVERY_ROW
    descending: bool = True
    needs: str = ""
    is_time: bool = True
    twin: bool = False

    def reversed(self) -> "Order":
        """Return the same order from the other end."""
        return replace(self, descending=not self.descending)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns to order by."""
        sign = "-" if self.descending else ""
        return (f"{sign}pk",) if self.key == "pk" else (f"{sign}{self.key}", f"{sign}pk")

    def beyond(self, place: "Place") -> Q:
        """Return the condition for the rows that come after the place."""
        after = "lt" if self.descending else "gt"
        if self.key == "pk":
            return Q(**{f"pk__{after}": place.pk})
        if place.pk is None:
            return Q(**{f"{self.key}__{after}e": place.key})
        return self._on_side(after, place) & Q(**{f"{self.key}__{after}e": place.key})

    def up_to(self, place: "Place") -> Q:
        """Return the condition for the row at the place and those before it."""
        before = "gt" if self.descending else "lt"
        if self.key == "pk":
            return Q(**{f"pk__{before}e": place.pk})
        return self._on_side(before, place, "e") & Q(**{f"{self.key}__{before}e": place.key})

    def _on_side(self, side: str, place: "Place", inclusive: str = "") -> Q:
        """Return the condition for one side of a place; the index serves it only with the key's bound."""
        tie = Q(**{self.key: place.key, f"pk__{side}{inclusive}": place.pk})
        return Q(**{f"{self.key}__{side}": place.key}) | tie

    def comes_after(self, row: "Key", place: "Place") -> bool:
        """Return whether a row, of which its key and primary key are given, comes after the place."""
        if place.pk is None:
            return row[0] == place.key or (row[0] < place.key) is self.descending
        return row != (place.key, place.pk) and (row < (place.key, place.pk)) is self.descending


@dataclass(frozen=True, slots=True)
class Condition:
    """What an active filter asks of the rows, and the order whose index has those rows together.

    With `streams`, each of them is in that order. With `bounds`, pairs of a lookup and a value, the condition
    is a range of the order's key. Without `order`, no index serves it.
    """

    rows: Q
    order: str = ""
    streams: tuple[Q, ...] = ()
    bounds: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two rows of an order: behind the row with that key and primary key.

    `shown` is the number of rows before it, or None if it is not known. `total` is how many rows the list
    was said to have, `exact` whether that is no estimate.
    """

    key: Any
    pk: Any
    shown: int | None = None
    total: int = 0
    exact: bool = False

    def encoded(self) -> str:
        """Return the place as a text for an address."""
        pk = self.pk if isinstance(self.pk, int) else str(self.pk)
        values = [_as_json(self.key), pk, self.shown, self.total, self.exact]
        text = json.dumps(values, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decoded(cls, text: str) -> "Place | None":
        """Return the place that an address names, or None if it names none."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            key, pk, shown, total, exact = json.loads(raw)
            place = cls(_from_json(key), pk, shown, total, exact)
        except (ValueError, TypeError, binascii.Error, InvalidOperation, RecursionError):
            return None
        return place if place.is_sound() else None

    def is_sound(self) -> bool:
        """Return whether the values have the types that an address of ours has."""
        numbers = [self.total, *([] if self.shown is None else [self.shown])]
        return (
            isinstance(self.pk, int | str)
            and not isinstance(self.pk, bool)
            and (not isinstance(self.pk, int) or abs(self.pk) < 2**63)
            and "\0" not in str(self.pk)
            and all(type(number) is int and 0 <= number < _NEVER_READ for number in numbers)
            and isinstance(self.exact, bool)
        )


def _as_json(key: Any) -> Any:
    if isinstance(key, datetime):
        return ["time", key.isoformat()]
    if isinstance(key, Decimal):
        return ["number", str(key)]
    return ["", key]


def _from_json(value: Any) -> Any:
    kind, text = value
    if kind == "time":
        far = {FAR_FUTURE.isoformat(): FAR_FUTURE, FAR_PAST.isoformat(): FAR_PAST}
        moment = far.get(text) or datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(text)
        return moment
    if kind == "number":
        return Decimal(text)
    if not isinstance(text, int | str | None):
        raise TypeError(text)
    return text
