# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""Filters of the lists: controls of a form, and what they ask of the rows.

The parts of the lists' modules name the filters; each is made by a function of this module, because Django
takes classes. Offering values reads a bounded number of rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.lookups import Exact
from django.http import HttpRequest
from django.utils import timezone

from signals.admin.lists.moments import HELP, SUGGESTED, parse_moment
from signals.admin.lists.orders import Condition
from signals.admin.lists.values import first_values
from signals.expressions import MAX_BEGINNING, beginning
from signals.models import VerificationRules
from signals.texts import printable, shortened

MAX_OFFERED: Final = MAX_BEGINNING
"""Characters of a value that a filter offers, or that can be sent to it."""
MAX_RULES: Final = 50
"""Newest versions of the rules that a filter offers."""

AGES: Final = {
    "15 minutes": timedelta(minutes=15),
    "90 minutes": timedelta(minutes=90),
    "a day": timedelta(days=1),
}
"""The ages of a time that a filter offers."""

_LARGEST: Final = Decimal(10**9)
Option = tuple[str, str]
"""A value as the address has it, and as the page shows it."""


class Refused(Exception):
    """A value that a filter cannot have; the text says why."""


@dataclass(frozen=True, slots=True)
class Control:
    """An input of the form of filters: a select, a text with suggestions, or a checkbox."""

    kind: str
    name: str
    label: str
    value: str
    options: Sequence[Option] = ()
    hint: str = ""


class RowsFilter(admin.ListFilter):
    """The base of the filters: reads its parameters and says what is wrong with them.

    A filter with a value that it cannot have lets no row through: a list that ignored it would show, and
    offer to act on, rows that nobody asked for. `needs` is the model that a person must be allowed to view.
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = ""

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.model = model
        sent = {name: params.pop(name)[-1].strip() for name in self.parameters if name in params}
        self.sent: Mapping[str, str] = {name: value for name, value in sent.items() if value}
        self.condition: Condition | None = None
        self.error = ""
        try:
            if any(len(value) > MAX_OFFERED for value in self.sent.values()):
                raise Refused(f"is longer than {MAX_OFFERED} characters")
            self.condition = self.read()
        except Refused as error:
            self.error = f"{self.title}: {error}."

    def read(self) -> Condition | None:
        """Return what the parameters ask for, or None if nothing; raise Refused if that makes no sense."""
        raise NotImplementedError

    def controls(self) -> list[Control]:
        """Return the inputs for the parameters."""
        raise NotImplementedError

    def chips(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return a text for what is filtered by, and the parameters that do it."""
        shown = self.shown()
        return [(f"{self.title}: {shown}", self.parameters)] if self.sent and shown else []

    @property
    def kept(self) -> Mapping[str, str]:
        """Return the parameters that an address of the same list has."""
        return self.sent

    def shown(self) -> str:
        """Return the values as a person reads them."""
        return ", ".join(printable(value[:MAX_OFFERED]) for value in self.sent.values())

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: Any) -> Any:
        """Return no links: the form of the filters has inputs instead."""
        return iter(())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.error:
            return queryset.none()
        return queryset.filter(self.condition.rows) if self.condition else queryset


Ask = Callable[[str], Condition]
"""Returns what a value asks of the rows."""


def of_order(order: str, column: str) -> Ask:
    """Return a function of a value: the rows with it in the column, which an index has in the order.

    Without an order, no index has them.
    """

    def ask(value: Any) -> Condition:
        rows = Q(**{column: value})
        return Condition(rows, order, (rows,) if order else ())

    return ask


def of_text(order: str, column: str) -> Ask:
    """Return the same for a column of strangers' texts, of which the index has the beginning."""

    def ask(value: str) -> Condition:
        rows = Q(Exact(beginning(column), value))
        return Condition(rows & Q(**{column: value}), order, (rows & Q(**{column: value}),))

    return ask


def in_streams(rows: Q, order: str, streams: Iterable[Q]) -> Condition:
    """Return the condition for rows that an index has in the order in several streams."""
    return Condition(rows, order, tuple(rows & stream for stream in streams))


def in_bounds(column: str, order: str, bounds: Sequence[tuple[str, Any]]) -> Condition:
    """Return the condition for a range of the column, which is the key of the order."""
    rows = Q(**{f"{column}__{lookup}": value for lookup, value in bounds})
    return Condition(rows, order, bounds=tuple(bounds))


def choice_filter(
    name: str, title: str, options: Iterable[Any], ask: Ask, needs: str = ""
) -> type[RowsFilter]:
    """Return a filter for one of a closed set of values."""
    offered = [(str(value), str(label)) for value, label in options]
    wanted_needs = needs
    filter_title = title

    class ChoiceFilter(RowsFilter):
        title = filter_title
        parameters = (name,)
        needs = wanted_needs

        def read(self) -> Condition | None:
            value = self.sent.get(name)
            if value is None:
                return None
            if value not in dict(offered):
                raise Refused(f"there is no {printable(value)}")
            return ask(value)

        def shown(self) -> str:
            return dict(offered).get(self.sent.get(name, ""), super().shown())

        def controls(self) -> list[Control]:
            value = self.sent.get(name, "")
            return [Control("select", name, filter_title, value, [("", "any"), *offered])]

    return ChoiceFilter


def open_filter(
    name: str, title: str, ask: Ask, needs: str = "", *, is_text: bool = True
) -> type[RowsFilter]:
    """Return a filter for a text; it suggests the first values of the column, which has an index.

    `is_text`: the index has the beginning of the values.
    """
    wanted_needs = needs
    filter_title = title

    class OpenFilter(RowsFilter):
        title = filter_title
        parameters = (name,)
        needs = wanted_needs

        def read(self) -> Condition | None:
            return ask(self.sent[name]) if name in self.sent else None

        def controls(self) -> list[Control]:
            values = [
                value for value in first_values(self.model, name, is_text=is_text) if value.strip()
            ]
            options = [(v, shortened(v, 60)) for v in values if len(v) < MAX_OFFERED]
            return [Control("text", name, filter_title, self.sent.get(name, ""), options)]

    return OpenFilter


def flag_filter(
    name: str, title: str, ask: Callable[[], Condition], needs: str = ""
) -> type[RowsFilter]:
    """Return a filter that is on or off."""
    wanted_needs = needs
    filter_title = title

    class FlagFilter(RowsFilter):
        title = filter_title
        parameters = (name,)
        needs = wanted_needs

        def read(self) -> Condition | None:
            if self.sent.get(name, "1") != "1":
                raise Refused("is on or off")
            return ask() if self.sent else None

        def chips(self) -> list[tuple[str, tuple[str, ...]]]:
            return [(filter_title, self.parameters)] if self.sent else []

        def controls(self) -> list[Control]:
            return [Control("check", name, filter_title, self.sent.get(name, ""))]

    return FlagFilter


def range_filter(
    name: str, title: str, column: str, *, is_percent: bool = False, needs: str = ""
) -> type[RowsFilter]:
    """Return a filter for the numbers of a column from one to another, both included.

    The column is the key of the order of that name.
    """
    least, most = f"{name}_from", f"{name}_to"
    unit = " %" if is_percent else ""
    wanted_needs = needs
    filter_title = title

    class RangeFilter(RowsFilter):
        title = filter_title
        parameters = (least, most)
        needs = wanted_needs

        def read(self) -> Condition | None:
            bounds = []
            for parameter, lookup in ((least, "gte"), (most, "lte")):
                if parameter in self.sent:
                    number = _number(self.sent[parameter])
                    bounds.append((lookup, number / 100 if is_percent else number))
            return in_bounds(column, name, bounds) if bounds else None

        def shown(self) -> str:
            low, high = self.sent.get(least), self.sent.get(most)
            return _span(low and f"{printable(low)}{unit}", high and f"{printable(high)}{unit}")

        def controls(self) -> list[Control]:
            return [
                Control("number", least, f"{filter_title}{unit} from", self.sent.get(least, "")),
                Control("number", most, "to", self.sent.get(most, "")),
            ]

    return RangeFilter


def moment_filter(times: Sequence[tuple[str, str, str]], needs: str = "") -> type[RowsFilter]:
    """Return a filter for a time from one moment until before another.

    `times` are name, title and column of the times that can be chosen; each is the key of the order of its
    name.
    """
    columns = {name: column for name, _, column in times}
    titles = [(name, label) for name, label, _ in times]
    first = titles[0][0]
    wanted_needs = needs

    class MomentFilter(RowsFilter):
        title = "Time"
        parameters = ("time", "from", "to")
        needs = wanted_needs

        def read(self) -> Condition | None:
            if not {"from", "to"} & self.sent.keys():
                return None
            name = self.sent.get("time", first)
            if name not in columns:
                raise Refused(f"there is no time of {printable(name)}")
            lookups = {"from": "gte", "to": "lt"}
            bounds = [
                (lookup, _moment(self.sent[each]))
                for each, lookup in lookups.items()
                if each in self.sent
            ]
            return in_bounds(columns[name], name, bounds)

        @property
        def kept(self) -> Mapping[str, str]:
            return self.sent if {"from", "to"} & self.sent.keys() else {}

        def chips(self) -> list[tuple[str, tuple[str, ...]]]:
            if not self.kept:
                return []
            label = dict(titles).get(self.sent.get("time", first), "Time")
            low, high = (printable(self.sent.get(each, "")) for each in ("from", "to"))
            return [(f"{label}: {_span(low, high, 'before')}", self.parameters)]

        def controls(self) -> list[Control]:
            moments = [(text, text) for text in SUGGESTED]
            chosen = self.sent.get("time", first)
            found = [Control("select", "time", "Time of", chosen, titles)] if titles[1:] else []
            low, high = (self.sent.get(each, "") for each in ("from", "to"))
            label = "from" if titles[1:] else f"{titles[0][1]} from"
            return [
                *found,
                Control("text", "from", label, low, moments, HELP),
                Control("text", "to", "until", high, moments, HELP),
            ]

    return MomentFilter


def age_filter(name: str, title: str, column: str, order: str, needs: str = "") -> type[RowsFilter]:
    """Return a filter for rows whose time is at most so long ago, or longer."""
    options = {f"max-{each}": (f"at most {each}", age) for each, age in AGES.items()}
    options |= {f"min-{each}": (f"more than {each}", age) for each, age in AGES.items()}

    def ask(value: str) -> Condition:
        side = "gte" if value.startswith("max") else "lt"
        moment = timezone.now() - options[value][1]
        return in_bounds(column, order, [(side, moment)])

    labels = [(value, label) for value, (label, _) in options.items()]
    return choice_filter(name, title, labels, ask, needs)


def rules_filter(ask: Callable[[int], Condition], needs: str = "") -> type[RowsFilter]:
    """Return a filter for a version of the rules; it offers the newest ones."""
    wanted_needs = needs

    class RulesFilter(RowsFilter):
        title = "Rules"
        parameters = ("rules",)
        needs = wanted_needs

        def read(self) -> Condition | None:
            value = self.sent.get("rules")
            if value is None:
                return None
            if not (value.isascii() and value.isdigit() and int(value) < 2**31):
                raise Refused("a version is a number")
            return ask(int(value))

        def controls(self) -> list[Control]:
            rules = VerificationRules.objects.order_by("-pk")
            found = rules.values_list("pk", "sha256", "created_at")[:MAX_RULES]
            options = [(str(pk), f"{sha[:8]}, {first:%Y-%m-%d}") for pk, sha, first in found]
            value = self.sent.get("rules", "")
            if value and value not in dict(options):
                options.append((value, f"number {printable(value)}"))
            return [Control("select", "rules", "Rules", value, [("", "any"), *options])]

    return RulesFilter


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.replace("%", "").replace("\u2212", "-").strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not (number.is_finite() and abs(number) < _LARGEST):
        raise Refused(f"“{printable(text)}” is no number")
    return number


def _moment(text: str) -> datetime:
    moment = parse_moment(text)
    if moment is None:
        raise Refused(f"“{printable(text)}” is none; write {HELP}")
    return moment


def _span(low: str | None, high: str | None, until: str = "to") -> str:
    return " ".join([*(["from", low] if low else []), *([until, high] if high else [])])
