"""Values of an export, as text in a cell of a spreadsheet or as a value in JSON."""

import json
import math
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from signals.admin.far_times import FarTime

_FORMULA: Final = "=+-@"
_SKIPPED: Final = (
    "Cc",
    "Cf",
    "Zl",
    "Zp",
    "Zs",
)  # categories of what a spreadsheet may skip or trim


def as_cell(value: Any) -> str:
    """Return the value for CSV; a text that a spreadsheet could take for a formula begins with an apostrophe.

    Numbers stay numbers, negative ones too.
    """
    if isinstance(value, str):
        return f"'{value}" if _is_formula(value) else value
    plain = as_json(value)
    if plain is None:
        return ""
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, ensure_ascii=False)


def as_json(value: Any) -> Any:
    """Return the value for JSON: a time in ISO 8601, a decimal as a number, NaN and infinity as texts.

    A time that Python cannot hold is infinity or -infinity.
    """
    if isinstance(value, FarTime):
        return value.postgresql
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def _is_formula(text: str) -> bool:
    """Return whether the text begins like a formula, whatever stands before it that is not seen."""
    if text[:1] in ("\t", "\r", "\n"):
        return True
    for character in text:
        if unicodedata.category(character) not in _SKIPPED:
            return unicodedata.normalize("NFKC", character)[0] in _FORMULA
    return False
