"""The reason for a verdict in one sentence."""

from types import MappingProxyType
from typing import Final

from signals.choices import Decision, Note
from signals.verification.review.explanation import CheckedCondition, Explanation, StoredVerdict
from signals.verification.review.explanation_output import short_number, step_text

_NOTES: Final = MappingProxyType(
    {
        Note.UNRESOLVABLE_TOKEN: "its event does not say which token it is about",
        Note.INSUFFICIENT_EVIDENCE: "its token was not measured yet",
        Note.EVIDENCE_DELAYED: "its token was not measured in time",
        Note.FEATURE_STALE: "the newest measurement of its token was too old",
        Note.FEATURE_MISSING: "not measured: {named}",
        Note.FEATURE_OUT_OF_RANGE: "out of range: {named}",
        Note.WINDOW_UNSUPPORTED: "the rules do not list the window of its measurement",
    }
)
_DECISIONS: Final = MappingProxyType(
    {
        Decision.UPGRADE: "Upgraded",
        Decision.DOWNGRADE: "Downgraded",
        Decision.HOLD: "Held",
        Decision.INSUFFICIENT: "Not decided",
    }
)


def reason(explanation: Explanation) -> str:
    """Return why the last verdict on the signal is what it is, or why there is none."""
    verdict = explanation.verdict
    if verdict is None:
        check = explanation.check
        if check is None or check.checked_at is None:
            return "No run has checked this signal yet."
        return f"There is no verdict yet: the last check ended with “{check.error or check.note}”."
    text = f"{_DECISIONS[verdict.decision]}{_because(explanation, verdict)}"
    is_withheld = verdict.decision in (Decision.UPGRADE, Decision.DOWNGRADE) and (
        verdict.new_state == verdict.previous_state
    )
    return f"{text}; the state stays, because the rules were off." if is_withheld else f"{text}."


def _because(explanation: Explanation, verdict: StoredVerdict) -> str:
    if verdict.note:
        return ": " + _NOTES[verdict.note].format(named=", ".join(verdict.named))
    if verdict.rules is None:
        return " by rules whose text is not kept"
    if verdict.decision is Decision.HOLD:
        missing = [
            f"to {way.decision} it lacks {_joined(way.all_of)}"
            for way in explanation.ways
            if way.decision and way.all_of
        ]
        return ": " + "; ".join(missing) if missing else ""
    is_up = verdict.decision is Decision.UPGRADE
    return f" for {_joined(explanation.upgrade_if if is_up else explanation.downgrade_if)}"


def _joined(conditions: tuple[CheckedCondition, ...]) -> str:
    return " and ".join(step_text(each, short_number) for each in conditions)
