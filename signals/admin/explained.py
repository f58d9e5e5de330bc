"""The explanation of a signal's last verdict, for the signal's page."""

import os
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from signals.verification.errors import ConfigurationError
from signals.verification.review.explanation import CheckedCondition, explain
from signals.verification.review.explanation_output import condition_text, way_text
from signals.verification.review.reason import reason
from signals.verification.settings import Settings

_DIGITS: Final = 10


def explained(signal: str) -> dict[str, Any]:
    """Return what the template shows of the signal with that number; nothing if there is none."""
    if not signal.isdecimal() or int(signal) >= 2**63:
        return {}
    try:
        aliases = Settings.read(os.environ).chain_aliases
    except ConfigurationError as error:
        return {"reason": f"The verdict cannot be explained: {error}"}
    explanation = explain(connection, int(signal), aliases)
    if explanation is None:
        return {}
    conditions = [("downgrade", each) for each in explanation.downgrade_if]
    conditions += [("upgrade", each) for each in explanation.upgrade_if]
    return {
        "reason": reason(explanation),
        "verdict": explanation.verdict,
        "conditions": [_condition(*each) for each in conditions],
        "ways": [f"{way.decision or 'any'}: {way_text(way)}" for way in explanation.ways],
    }


def _condition(decision: str, checked: CheckedCondition) -> dict[str, Any]:
    return {
        "decision": decision,
        "text": condition_text(checked),
        "value": "missing" if checked.value is None else _short(checked.value),
        "margin": "" if checked.margin is None else _short(checked.margin, "+"),
        "holds": checked.holds,
    }


def _short(number: Decimal, sign: str = "") -> str:
    text = format(number, f"{sign}f")
    return text if len(text) <= _DIGITS else f"{text[:_DIGITS]}…"
