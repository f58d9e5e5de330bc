"""Searches: what kind of match a text is, and the rows of a list that it finds.

A text is tried as each kind of KINDS in turn; the first one that finds a row wins. A try reads one row of an
index. The rows are then found without relying on estimates, which are wrong for a symbol or a token whose
time is over:

* A list of the rows that have the column is ordered as the index is, by an expression that no other has.
* Another list has the rows of the NEWEST matches, given by value and sorted in the order of the list.
* The beginning of a key has no index by time. Up to SORTED_ROWS matching events are sorted; more are so
  frequent that the list finds them in its own order.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Model, OrderBy, QuerySet, Value
from django.db.models.functions import Collate, Lower

from signals.chain_models import ChainCursor, ChainState
from signals.expressions import newest_event, newest_id, symbol_key, token_address_key
from signals.models import (
    Event,
    OnchainFeature,
    Signal,
    SignalEvent,
    SignalVerification,
    VerificationRules,
    VerificationRun,
)
from signals.verification.tokens import CHAIN_NAME, fold_chain

NEWEST: Final = 500
"""Matching events, or signals, whose rows another list shows."""
PROBED: Final = 50
"""Matching events of which one usually has a row in another list."""
SORTED_ROWS: Final = 50_000
"""Matching events that are all sorted by time if no index has them in that order."""
MAX_CHARACTERS: Final = 1_000
"""Length of the longest text that is searched for."""
MAX_WORDS: Final = 6
"""Words that are searched for one by one."""

_SORTED: Final[Mapping[str, Any]] = {
    "id": F("id") + Value(0),
    "pk": F("pk") + Value(0),
}
"""The first columns of the lists' orders, as expressions that no index has."""

_ADDRESS: Final = re.compile(rf"(?:({CHAIN_NAME.pattern}):)?([^\s:]{{26,200}})(?::.*)?", re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_SHOWN: Final = 100  # characters of a text


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of match, such as that of a symbol.

    * `about` is the model that has the column, to which the list's model leads.
    * `read` returns what is looked for, or None if a text cannot be of this kind.
    * `restrict` returns the rows whose `about`, at the end of a path, has the value.
    * `order` returns the order in which an index has the rows of a value, or is None if there is one row.
    * `is_newest_first` is whether this order is by time.
    """

    name: str
    phrase: str
    about: type[Model]
    read: Callable[[str], Any]
    restrict: Callable[[Any, str, Any], Any]
    order: Callable[[str], OrderBy] | None = None
    is_newest_first: bool = True

    def is_for(self, model: type[Model]) -> bool:
        """Return whether the rows of the model have the value themselves; all have their signal's number."""
        return self.about is model or self is _NUMBER_OF_SIGNAL


@dataclass(frozen=True, slots=True)
class Match:
    """A text that was found as one kind; `path` leads from the list's model to the kind's."""

    kind: Kind
    path: str
    text: str
    value: Any

    @property
    def phrase(self) -> str:
        return self.kind.phrase

    @property
    def shown(self) -> str:
        return shown(self.text)

    @property
    def is_cut(self) -> bool:
        """Whether more match than those whose rows are shown."""
        return bool(self.path and self.kind.order) and self._has_more_than(NEWEST)

    def restrict(self, rows: QuerySet[Any]) -> tuple[QuerySet[Any], OrderBy | None]:
        """Return the rows that match, and the order that they need if it is another than the list's."""
        if self.kind.order is None:
            return self._filter(rows), None
        if self.kind.is_newest_first:
            if self.path:
                return _sorted(self._with_any_of(rows, self._matching()[:NEWEST])), None
            return self._filter(rows), self.kind.order("")
        return self._restrict_unordered(rows)

    def _restrict_unordered(self, rows: QuerySet[Any]) -> tuple[QuerySet[Any], OrderBy | None]:
        """Return the same for a kind whose index has no order by time."""
        if self._has_more_than(NEWEST) and (found := self._of_hot_token(rows)):
            return found
        if self._has_more_than(SORTED_ROWS):
            return self._filter(rows), None
        if self.path:
            newest = self._matching().order_by(newest_event())[:NEWEST]
            return _sorted(self._with_any_of(rows, newest)), None
        return self._filter(rows), newest_event()

    def finds(self, model: type[Model]) -> bool:
        """Return whether the list of the model has such a row."""
        rows = model._default_manager.order_by()
        if self.kind.order is None:
            return _has_row(self._filter(rows))
        if not self.path:
            return _has_row(self._matching())
        return any(
            _has_row(self._with_any_of(rows, self._matching()[first:last]))
            for first, last in ((0, PROBED), (PROBED, NEWEST))
        )

    def _of_hot_token(self, rows: QuerySet[Any]) -> tuple[QuerySet[Any], OrderBy | None] | None:
        """Return the rows of a key that begins with a whole address, which has an index by time."""
        address = _read_address(self.text)
        if address is None:
            return None
        of_token = _ADDRESS_OF_EVENT.restrict
        matching = of_token(self._matching(), "", address).order_by(newest_event())
        if not _has_row(matching):
            return None
        if self.path:
            return _sorted(self._with_any_of(rows, matching[:NEWEST])), None
        return of_token(self._filter(rows), "", address), newest_event()

    def _filter(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return self.kind.restrict(rows, self.path, self.value)  # type: ignore[no-any-return]

    def _with_any_of(self, rows: QuerySet[Any], matching: Any) -> QuerySet[Any]:
        """Return the rows of the matches, which are given by value: a subquery would be estimated."""
        found = list(matching.values_list("pk", flat=True))
        return rows.filter(**{f"{self.path}pk__in": found})

    def _matching(self) -> Any:
        """Return what matches, in the order of the index."""
        order = [self.kind.order("")] if self.kind.order else []
        rows = self.kind.about._default_manager.order_by(*order)
        return self.kind.restrict(rows, "", self.value)

    def _has_more_than(self, rows: int) -> bool:
        return _has_row(self._matching()[rows:])


@dataclass(frozen=True, slots=True)
class Search:
    """A search of a list: its matches, or what was tried in vain.

    `failed` is the word that was not found, if others were. `problem` is why nothing was tried. `symbol` is
    another search, for the symbol instead of the keys that begin like it.
    """

    matches: tuple[Match, ...] = ()
    tried: tuple[str, ...] = ()
    failed: str = ""
    problem: str = ""
    symbol: str = ""

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the queryset that all words match.

        They are in another order than that of the queryset if only so they can be found quickly.
        """
        if not self.matches:
            return queryset.none()
        orders: list[OrderBy] = []
        for match in self.matches:
            queryset, order = match.restrict(queryset)
            orders.extend([order] if order else [])
        if len(orders) == len(self.matches):
            queryset = queryset.order_by(orders[0], "-pk")
        return queryset


def search(model: type[Model], text: str, may_view: Callable[[type[Model]], bool]) -> Search:
    """Return what the text is found as in the list of the model: as a whole, or else word by word.

    `may_view` returns whether the person may view rows of a model; by a kind of match that is about another
    one, they could find out what it has.
    """
    kinds = [each for each in KINDS[model] if each.is_for(model) or may_view(each.about)]
    if "\0" in text:
        return Search(problem="No text in the database has the character NUL.")
    if len(text) > MAX_CHARACTERS:
        return Search(
            problem=f"The text is too long: search for at most {MAX_CHARACTERS} characters."
        )
    whole = _find(model, text.strip(), kinds)
    words = text.split()
    if whole.matches or len(words) == 1:
        return whole
    if len(words) > MAX_WORDS:
        return Search(
            tried=whole.tried,
            problem=f"Only texts of at most {MAX_WORDS} words are searched for word by word.",
        )
    found: list[Match] = []
    for word in words:
        each = _find(model, word, kinds)
        if not each.matches:
            return Search(tried=each.tried, failed=shown(word))
        found.extend(each.matches)
    return Search(tuple(found))


def shown(text: str) -> str:
    """Return the beginning of a text on one line, with escapes for characters that are not seen."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char)[0] == "C" else char
        for char in short
    )


def _find(model: type[Model], text: str, kinds: Sequence[Kind]) -> Search:
    tried = []
    for kind in kinds:
        value = kind.read(text)
        if value is None:
            continue
        tried.append(kind.name)
        match = Match(kind, PATHS[model, kind.about], text, value)
        if match.finds(model):
            return Search((match,), tuple(tried), symbol=_other_symbol(model, match))
    return Search(tried=tuple(tried))


def _sorted(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows in the same order, to be sorted: the planner shall walk along no index of it."""
    first, *others = rows.query.order_by or ("",)
    column = str(first).lstrip("-")
    expression = _SORTED.get(column)
    if expression is None:
        return rows
    order = OrderBy(expression, descending=str(first).startswith("-"))
    return rows.order_by(order, *others)


def _has_row(rows: Any) -> bool:
    """Return whether there is a row, which is looked for in the order of the rows; exists() forgets it."""
    return bool(rows.values_list("pk")[:1])


def _other_symbol(model: type[Model], match: Match) -> str:
    """Return a search for the symbol that the beginning of a key may have been meant for, or nothing."""
    if match.kind is not _PREFIX or ":" in match.text or match.text.startswith("$"):
        return ""
    symbol = Match(_SYMBOL, match.path, match.text, _read_symbol(match.text))
    return f"${match.text}" if symbol.finds(model) else ""


def _read_text(text: str) -> str | None:
    return text or None


def _read_symbol(text: str) -> Any:
    symbol = text.lstrip("$")
    return Lower(Value(symbol)) if symbol else None


def _read_address(text: str) -> Any:
    match = _ADDRESS.fullmatch(text)
    return Lower(Value(match[2])) if match else None


def _read_token(text: str) -> Any:
    """Return the chain's names, of which there may be none, and the address."""
    match = _ADDRESS.fullmatch(text)
    if not match:
        return None
    chains = {match[1], match[1].lower(), fold_chain(match[1])} if match[1] else set()
    return sorted(chains), Lower(Value(match[2]))


def _read_number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _read_run(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _column(lookup: str) -> Callable[[Any, str, Any], Any]:
    return lambda rows, path, value: rows.filter(**{path + lookup: value})


def _expression(name: str, expression: Callable[[str], Any]) -> Callable[[Any, str, Any], Any]:
    def restrict(rows: Any, path: str, value: Any) -> Any:
        return rows.alias(**{name: expression(path)}).filter(**{name: value})

    return restrict


def _at_address(rows: Any, path: str, token: tuple[list[str], Any]) -> Any:
    chains, address = token
    rows = rows.alias(_address=Lower(f"{path}address")).filter(_address=address)
    return rows.filter(**{f"{path}chain__in": chains}) if chains else rows


def _key_prefix(path: str) -> Collate:
    return Collate(F(f"{path}event_key"), "C")


def _begins_with(rows: Any, path: str, text: str) -> Any:
    return rows.alias(_key=_key_prefix(path)).filter(_key__startswith=text)


_KEY: Final = Kind("event key", "whose event key is", Event, _read_text, _column("pk"))
_PREFIX: Final = Kind(
    *("beginning of an event key", "whose event key begins with", Event, _read_text),
    *(_begins_with, lambda path: _key_prefix(path).asc()),
    is_newest_first=False,
)
_ADDRESS_OF_EVENT: Final = Kind(
    *("token address", "whose token has the address", Event, _read_address),
    *(_expression("_token_address", token_address_key), newest_event),
)
_SYMBOL: Final = Kind(
    *("symbol", "whose symbol is", Event, _read_symbol),
    *(_expression("_symbol", symbol_key), newest_event),
)
_TOPIC_OF_EVENT: Final = Kind(
    *("topic of the event", "whose event has the topic", Event, _read_text),
    *(_column("topic_hash"), newest_event),
)
_TOPIC: Final = Kind("topic", "whose topic is", Signal, _read_text, _column("topic_id"), newest_id)
_NUMBER_OF_SIGNAL: Final = Kind(
    "number of the signal", "whose signal has the number", Signal, _read_number, _column("pk")
)
_TOKEN: Final = Kind(
    "token address",
    "whose token has the address",
    OnchainFeature,
    _read_token,
    _at_address,
    newest_id,
)
_TOKEN_OF_CURSOR: Final = replace(_TOKEN, about=ChainCursor)
_CHAIN: Final = Kind("chain", "whose name is", ChainState, _read_text, _column("pk"))
_RUN: Final = Kind("run", "of the run", SignalEvent, _read_run, _column("run"), newest_id)
_NUMBER_OF_RUN: Final = Kind("number", "whose number is", VerificationRun, _read_run, _column("pk"))
_SHA256: Final = Kind(
    "SHA-256", "whose SHA-256 is", VerificationRules, _read_text, _column("sha256")
)


def _number(model: type[Model]) -> Kind:
    return Kind("number", "whose number is", model, _read_number, _column("pk"))


_OF_EVENT: Final = (_KEY, _PREFIX, _ADDRESS_OF_EVENT, _SYMBOL)
_OF_SIGNAL: Final = (*_OF_EVENT, _TOPIC, _TOPIC_OF_EVENT)

KINDS: Final[Mapping[Any, tuple[Kind, ...]]] = {
    Event: (*_OF_EVENT, _TOPIC_OF_EVENT),
    Signal: (*_OF_SIGNAL, _number(Signal)),
    SignalEvent: (*_OF_SIGNAL, _NUMBER_OF_SIGNAL, _number(SignalEvent), _RUN),
    SignalVerification: (*_OF_SIGNAL, _NUMBER_OF_SIGNAL),
    OnchainFeature: (_TOKEN, _number(OnchainFeature)),
    ChainCursor: (_TOKEN_OF_CURSOR, _number(ChainCursor)),
    ChainState: (_CHAIN,),
    VerificationRun: (_NUMBER_OF_RUN,),
    VerificationRules: (_SHA256,),
}
"""The kinds of match of each list, in the order in which they are tried."""

PATHS: Final[Mapping[tuple[Any, Any], str]] = {
    (Event, Event): "",
    (Signal, Signal): "",
    (Signal, Event): "event__",
    (SignalEvent, SignalEvent): "",
    (SignalEvent, Signal): "signal__",
    (SignalEvent, Event): "signal__event__",
    (SignalVerification, Signal): "signal__",
    (SignalVerification, Event): "signal__event__",
    (OnchainFeature, OnchainFeature): "",
    (ChainCursor, ChainCursor): "",
    (ChainState, ChainState): "",
    (VerificationRun, VerificationRun): "",
    (VerificationRules, VerificationRules): "",
}
"""The way from the model of a list to the model of a kind."""
