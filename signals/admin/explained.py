"""The explanation of a signal's last verdict, for the signal's page."""

import os
from typing import Any, Final

from django.db import connection

from signals.admin.pages.timeline import rules_urls
from signals.admin.pages.viewer import Viewer
from signals.models import SignalEvent, SignalVerification
from signals.texts import shortened
from signals.verification.errors import ConfigurationError
from signals.verification.review.explanation import CheckedCondition, Explanation, explain
from signals.verification.review.explanation_output import (
    blocks_text,
    condition_text,
    short_number,
    way_text,
)
from signals.verification.review.reason import reason
from signals.verification.settings import Settings

_MOST: Final = 500  # characters of a sentence


def explained(signal: int, viewer: Viewer) -> dict[str, Any]:
    """Return what the template shows of the signal with that number; nothing if there is none."""
    try:
        aliases = Settings.read(os.environ).chain_aliases
    except ConfigurationError as error:
        return {"reason": f"The verdict cannot be explained: {error}", "is_unknown": True}
    try:
        return _explained(explain(connection, signal, aliases), viewer)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        # Its features or its metadata are of no form that the job writes.
        return {
            "reason": "The verdict cannot be explained: another hand wrote it.",
            "is_unknown": True,
        }


def _explained(explanation: Explanation | None, viewer: Viewer) -> dict[str, Any]:
    if explanation is None:
        return {}
    if explanation.verdict is None and not viewer.may_view(SignalVerification):
        return {"reason": "There is no verdict yet."}  # how a check ended is not a verdict
    conditions = [("Downgrade", each) for each in explanation.downgrade_if]
    conditions += [("Upgrade", each) for each in explanation.upgrade_if]
    verdict = explanation.verdict
    return {
        "reason": shortened(reason(explanation), _MOST),
        "verdict": verdict,
        "blocks": blocks_text(explanation.blocks) if explanation.blocks else "",
        "verdict_url": viewer.url(SignalEvent, verdict.event) if verdict else "",
        "rules_urls": list(rules_urls({verdict.rules_sha256}, viewer).values()) if verdict else [],
        "conditions": [_condition(*each) for each in conditions],
        "ways": [
            f"{way.decision or 'any'}: {shortened(way_text(way, short_number), _MOST)}"
            for way in explanation.ways
        ],
    }


def _condition(decision: str, checked: CheckedCondition) -> dict[str, Any]:
    return {
        "decision": decision,
        "text": condition_text(checked),
        "value": "missing" if checked.value is None else short_number(checked.value),
        "margin": "" if checked.margin is None else short_number(checked.margin, "+"),
        "holds": checked.holds,
    }
