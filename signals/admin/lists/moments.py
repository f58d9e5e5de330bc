"""Times as a person writes them, in UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone

HELP: Final = "2026-03-01 14:30 (UTC), today, or -90m, -1h, -7d"
SUGGESTED: Final = ("-15m", "-1h", "-24h", "today", "yesterday", "-7d", "-30d")

_AGO: Final = re.compile(r"[-\u2212]\s*([0-9]{1,6})\s*([mhd])", re.IGNORECASE)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_MAX_CHARACTERS: Final = 40


def parse_moment(text: str) -> datetime | None:
    """Return the time that a text names, or None if it names none."""
    text = text.strip()
    midnight = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if text.lower() == "today":
        return midnight
    if text.lower() == "yesterday":
        return midnight - timedelta(days=1)
    try:
        if found := _AGO.fullmatch(text):
            return timezone.now() - timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
        moment = datetime.fromisoformat(text[:_MAX_CHARACTERS])
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if len(text) <= _MAX_CHARACTERS else None
