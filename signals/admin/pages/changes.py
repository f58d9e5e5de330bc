"""What a person changed in a row's form, as Django's log of the admin keeps it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.models import LogEntry

from signals.texts import shortened

_MOST: Final = 200  # characters of a value
_NOT_SHOWN: Final = "not shown"


@dataclass(frozen=True, slots=True)
class Change:
    """A value that was changed, and what it was before, as texts to be shown."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Logged:
    """What an entry tells: the changes whose values it keeps, the reason, and else its message."""

    changes: tuple[Change, ...]
    reason: str
    message: str


def logged(entry: LogEntry, headings: Mapping[str, str], hidden: tuple[str, ...]) -> Logged:
    """Return what the entry tells, without the values of the hidden fields.

    headings: those of the fields that are not named after their column.
    """
    parts = list(_changed_parts(entry.change_message))
    changes = [change for part in parts for change in _changes(part, headings, hidden)]
    reasons = [part["reason"] for part in parts if isinstance(part.get("reason"), str)]
    message = "" if changes else shortened(_message(entry), 2 * _MOST)
    return Logged(tuple(changes), shortened("; ".join(reasons), 2 * _MOST), message)


def _message(entry: LogEntry) -> str:
    """Return Django's words, or what is stored if it is of no form that Django writes."""
    try:
        return entry.get_change_message()
    except (AttributeError, KeyError, TypeError):
        return entry.change_message


def _changed_parts(message: str) -> Iterator[dict[str, Any]]:
    try:
        parts = json.loads(message) if message.startswith("[") else []
    except ValueError:
        return
    for part in parts:
        changed = part.get("changed") if isinstance(part, dict) else None
        if isinstance(changed, dict):
            yield changed


def _changes(
    part: Mapping[str, Any], headings: Mapping[str, str], hidden: tuple[str, ...]
) -> Iterator[Change]:
    values = part.get("values")
    for name, both in values.items() if isinstance(values, dict) else ():
        if not isinstance(both, list) or len(both) != len(("before", "after")):
            continue
        before, after = (
            _NOT_SHOWN if name in hidden else shortened(str(each), _MOST) for each in both
        )
        yield Change(headings.get(name, name.replace("_", " ").capitalize()), before, after)
