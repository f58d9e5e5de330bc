"""Searches: each function returns the primary keys of the rows that one word of a search finds.

The conditions of a search are joined by UNION, because each of them has an index. Joined by OR they
would read the whole table.
"""

import re
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from signals.models import Event, OnchainFeature, Signal, SignalEvent
from signals.verification.tokens import EVM_CHAINS

_ADDRESS: Final = re.compile(
    r"(?:[A-Za-z][\w-]{0,49}:)?(0x[0-9A-Fa-f]{40}|[1-9A-HJ-NP-Za-km-z]{26,})"
)


def find_events(word: str) -> QuerySet[Any]:
    """Find events by key, symbol, topic, or the token's address.

    A symbol is found as typed, in capitals and in lower case, with or without a leading $. A search for
    an address has no index, because addresses are stored in any case.
    """
    rows = Event.objects.order_by().values("pk")
    symbol = word.removeprefix("$")
    found = [
        rows.filter(symbol__in={symbol, symbol.upper(), symbol.lower()}),
        rows.filter(topic_hash=word),
    ]
    if match := _ADDRESS.match(word):
        found.append(rows.filter(Q(token_ca__icontains=match[1]) | Q(pk__icontains=match[1])))
    return rows.filter(pk=word).union(*found)


def find_signals(word: str) -> QuerySet[Any]:
    """Find signals by number or topic, or by what finds their event."""
    rows = Signal.objects.order_by().values("pk")
    return rows.filter(pk=_as_number(word)).union(
        rows.filter(topic_id=word), rows.filter(event__in=find_events(word))
    )


def find_features(word: str) -> QuerySet[Any]:
    """Find on-chain features by address or chain:address."""
    rows = OnchainFeature.objects.order_by().values("pk")
    chain, _, address = word.rpartition(":")
    if chain:
        rows = rows.filter(chain=chain.lower())
    ignores_case = chain.lower() in EVM_CHAINS if chain else address[:2].lower() == "0x"
    return rows.filter(address__iexact=address) if ignores_case else rows.filter(address=address)


def find_verdicts(word: str) -> QuerySet[Any]:
    """Find rows of signal_events by run, or by what finds their signal."""
    rows = SignalEvent.objects.order_by().values("pk")
    of_signal = rows.filter(signal__in=find_signals(word))
    try:
        return of_signal.union(rows.filter(run=UUID(word)))
    except ValueError:
        return of_signal


def _as_number(word: str) -> int:
    """Return the word as a primary key, or one that no row has if it is not a number."""
    return int(word) if re.fullmatch(r"[0-9]{1,18}", word) else -1
