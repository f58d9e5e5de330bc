"""The events, signals and verdicts of a token, each a bounded number of the newest by an index."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Value
from django.db.models.functions import Left, Lower

from signals.admin.pages.timeline import Entry, event_values, events_shown, newest_numbers
from signals.admin.pages.viewer import Viewer
from signals.expressions import newest_event, token_address_key
from signals.models import Event
from signals.texts import shortened
from signals.verification.tokens import Token, resolve

EVENTS_READ: Final = 200
"""Newest events at an address, of any chain, among which those of a token are looked for."""
SIGNALS_OF_EACH: Final = 20
"""Newest signals of one event among which those of a token are looked for."""
SHOWN: Final = 10
"""Rows of each kind that a page shows."""
SIGNALS_READ: Final = 200
"""Newest signals of a token whose verdicts are looked for."""
_MOST: Final = 200  # characters of a text
_MOST_OF_CONTRACT: Final = 1_000  # and of a token_ca, in which chain and address come first

# The rows of an event are read in the order of ix_signals_event_key_ts, which is by ts alone; for a limit
# beyond what an event has on average, the planner would read and sort all of an event that has many.
_NEWEST_SIGNALS: Final = """
SELECT found.id, found.event_key, found.state, found.ts, found.market_type, found.advice_tag
FROM pg_catalog.unnest(%(keys)s::text[]) AS wanted(event_key)
CROSS JOIN LATERAL (
    (
        SELECT s.id, s.event_key, s.state, s.ts, left(s.market_type, 100) AS market_type,
            left(s.advice_tag, 100) AS advice_tag
        FROM signals s WHERE s.event_key = wanted.event_key AND s.ts IS NOT NULL
        ORDER BY s.ts DESC LIMIT %(of_each)s
    )
    UNION ALL
    (
        SELECT s.id, s.event_key, s.state, s.ts, left(s.market_type, 100), left(s.advice_tag, 100)
        FROM signals s WHERE s.event_key = wanted.event_key AND s.ts IS NULL
        LIMIT %(of_each)s
    )
) found
WHERE found.id <> %(besides)s
ORDER BY found.ts DESC NULLS LAST, found.id DESC
LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event of a token."""

    key: str
    symbol: str
    type: str
    summary: str
    last_ts: datetime
    url: str

    @property
    def name(self) -> str:
        return shortened(self.key, 80)


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A signal of a token."""

    pk: int
    event_key: str
    state: str
    ts: datetime | None
    market_type: str
    advice_tag: str


def events_of(token: Token, aliases: Mapping[str, str], viewer: Viewer) -> list[EventRow]:
    """Return the events about the token among the newest EVENTS_READ at its address, the newest first."""
    texts = {name: Left(name, _MOST) for name in ("symbol", "type", "summary")}
    rows = (
        Event.objects.alias(_address=token_address_key())
        .filter(_address=Lower(Value(token.address)))
        .order_by(newest_event())
        .annotate(**{f"short_{name}": text for name, text in texts.items()})
        .annotate(contract=Left("token_ca", _MOST_OF_CONTRACT))
        .values("event_key", "contract", "last_ts", *(f"short_{name}" for name in texts))
    )
    return [
        EventRow(
            key=row["event_key"],
            symbol=shortened(row["short_symbol"] or "", _MOST),
            type=shortened(row["short_type"] or "", _MOST),
            summary=shortened(row["short_summary"] or "", _MOST),
            last_ts=row["last_ts"],
            url=viewer.url(Event, row["event_key"]),
        )
        for row in rows[:EVENTS_READ]
        if resolve(row["event_key"], row["contract"], aliases) == token
    ]


def signals_of(keys: Collection[str], most: int, besides: int = 0) -> list[SignalRow]:
    """Return the newest signals of the events but for one, at most SIGNALS_OF_EACH of each."""
    of_each = min(most + 1, SIGNALS_OF_EACH)
    parameters: dict[str, Any] = {
        "keys": list(keys),
        "besides": besides,
        "most": most,
        "of_each": of_each,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_SIGNALS, parameters)
        return [
            SignalRow(*row[:4], *(shortened(text or "", 60) for text in row[4:]))
            for row in cursor.fetchall()
        ]


def verdicts_of(
    signals: Sequence[SignalRow], since: datetime, most: int, viewer: Viewer
) -> list[Entry]:
    """Return the newest verdicts on the signals, and actions of people, since a time."""
    found = newest_numbers([each.pk for each in signals], most, since=since)
    return events_shown(event_values(found), viewer)
