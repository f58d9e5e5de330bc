"""What a person changed in a row's form, as Django's log of the admin keeps it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.models import LogEntry
from django.db.models import Model

from signals.texts import shortened

MOST_KEPT: Final = 1_000
"""Characters that the log keeps of a value."""
_MOST_SHOWN: Final = 200
_NOT_KEPT: Final = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that was changed; both are texts to be shown, and empty if they are not known."""

    what: str
    before: str
    after: str


def with_values(message: list[dict[str, Any]], form: Any) -> list[dict[str, Any]]:
    """Return Django's message about a changed form, with the old and the new value of each field."""
    for each in message:
        if "changed" in each and "name" not in each["changed"]:
            each["changed"] |= {
                "names": form.changed_data,
                "old": {name: _kept(form.initial.get(name)) for name in form.changed_data},
                "new": {name: _kept(form.cleaned_data.get(name)) for name in form.changed_data},
            }
    return message


def changes_of(entry: LogEntry, hidden: tuple[str, ...]) -> tuple[Change, ...]:
    """Return what the entry tells of changed fields, without the values of the hidden ones."""
    return tuple(_changes(entry.change_message, hidden))


def _changes(message: str, hidden: tuple[str, ...]) -> Iterator[Change]:
    try:
        parts = json.loads(message) if message.startswith("[") else []
    except ValueError:
        parts = []
    for part in parts:
        known = part.get("changed") if isinstance(part, dict) else None
        if not isinstance(known, dict):
            continue
        old, new = (_mapping(known.get(name)) for name in ("old", "new"))
        fields = [str(each) for each in known.get("fields") or ()]
        names = [str(each) for each in known.get("names") or fields]
        for what, name in zip(fields, names, strict=False):
            values = [
                _NOT_KEPT if name in hidden else _shown(each.get(name)) for each in (old, new)
            ]
            yield Change(shortened(what, _MOST_SHOWN), *values)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _kept(value: Any) -> str | None:
    if value is None:
        return None
    return str(value.pk if isinstance(value, Model) else value)[:MOST_KEPT]


def _shown(value: Any) -> str:
    return _NOT_KEPT if value is None else shortened(str(value), _MOST_SHOWN)
