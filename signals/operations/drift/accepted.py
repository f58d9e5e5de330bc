"""The file of accepted findings: rows that are not as declared, and that somebody answers for until a day."""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..execution.policy import LockPolicy
from ..findings import Finding, Status

_KEYS = {"row": str, "status": str, "reason": str, "who": str, "until": date}
_OPTIONAL = {"database": str, "shadow": bool}
_FORMS = {str: "a text", date: "a date without quotation marks", bool: "true or false"}
_HEALTH = Status.HEALTH.name.lower()
_STATUSES = [each.name.lower() for each in Status if not each.is_right]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An entry of the file.

    row: the finding's component, name and table, as they are printed: column state of "signals".
    status: that of the finding; another status of the row is not accepted.
    until: the last day on which the finding is accepted.
    database: the alias of the one database that it is about; empty for all.
    shadow: whether only a comparison with a shadow or with another database can meet it.
    """

    row: str
    status: str
    reason: str
    who: str
    until: date
    database: str = ""
    shadow: bool = False

    def __str__(self) -> str:
        return f"until {self.until} by {self.who}: {self.reason}"


class AcceptedFindings:
    """The entries of one database, and those of them that were met."""

    def __init__(self, alias: str, entries: Iterable[Accepted], today: date) -> None:
        self._entries = [each for each in entries if each.database in ("", alias)]
        self._today = today
        self._valid = {
            (each.row, each.status): each for each in self._entries if each.until >= today
        }
        self._met: set[Accepted] = set()

    @classmethod
    def of_settings(cls, alias: str) -> "AcceptedFindings":
        """Return those of the file that the setting names; raise ImproperlyConfigured for a wrong one."""
        path = LockPolicy.from_settings().accepted_findings
        return cls(alias, _read(Path(path)) if path else (), timezone.localdate())

    def entry(self, finding: Finding) -> Accepted | None:
        """Return the entry that accepts the finding today, if there is one."""
        found = self._valid.get((finding.label, finding.status.name.lower()))
        self._met |= {found} if found else set()
        return found

    def stale(self, *, shadow: bool = False) -> Iterator[str]:
        """Yield a line for each entry that is over, or that no finding has met.

        A note of health may come and go with the statistics, so that its entry is stale only when it is over.

        shadow: whether the findings are those of a comparison with a shadow or with another database too.
        """
        for each in self._entries:
            if each.shadow and not shadow:
                continue
            if each.until < self._today:
                yield f"{each.status}: {each.row}: was accepted until {each.until} by {each.who}"
            elif each not in self._met and each.status != _HEALTH:
                yield f"{each.status}: {each.row}: is not found any more (take it out of the file)"


def _read(path: Path) -> Iterator[Accepted]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        text = f"the accepted findings in {path} cannot be read: {error}"
        raise ImproperlyConfigured(text) from error
    entries = document.pop("accepted", [])
    if document or not isinstance(entries, list):
        raise ImproperlyConfigured(f"{path} has more than accepted findings (use [[accepted]])")
    for number, entry in enumerate(entries, 1):
        wrong = _what_is_wrong(entry)
        if wrong:
            raise ImproperlyConfigured(f"{path}, accepted finding {number}: {wrong}")
        yield Accepted(**entry)


def _what_is_wrong(entry: dict[str, Any]) -> str:
    kinds = _KEYS | _OPTIONAL
    if unknown := entry.keys() - kinds:
        return f"{min(unknown)} is not a key (use {', '.join(kinds)})"
    if missing := [key for key in _KEYS if not entry.get(key)]:
        return f"{missing[0]} is missing"
    for key, value in entry.items():
        if type(value) is not kinds[key]:
            form = _FORMS[kinds[key]]
            return f"{key} is {value!r} (use {form})"
    if entry["status"] not in _STATUSES:
        return f"status is {entry['status']!r} (use one of {', '.join(_STATUSES)})"
    return ""
