"""What `verify_signal --explain` prints: an explanation as text or JSON."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import MAXYEAR, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from signals.verification.review.explanation import (
    BlockSpan,
    CheckedCondition,
    Explanation,
    StoredVerdict,
    Way,
)
from signals.verification.tokens import Token
from signals.verification.verdict import Feature

DIGITS: Final = 10
"""Characters of a number in a sentence."""


def explanation_as_text(explanation: Explanation) -> str:
    """Return the explanation as lines for a person."""
    lines = [f"signal {explanation.signal} is {explanation.state or 'deleted'}"]
    verdict = explanation.verdict
    if verdict:
        lines += _entry("verdict", _verdict_lines(verdict))
    else:
        lines += _entry("verdict", ["none yet"])
    lines += _entry("token", _token_lines(explanation))
    if verdict:
        lines += _entry("evidence", _evidence_lines(verdict, explanation.now))
        if explanation.blocks:
            lines += _entry("blocks", [blocks_text(explanation.blocks)])
        lines += _entry("rules", [_rules_line(verdict)])
        for name, checked in (
            ("downgrade_if", explanation.downgrade_if),
            ("upgrade_if", explanation.upgrade_if),
        ):
            lines += _entry(name, _condition_lines(checked))
    if explanation.ways:
        lines.append("another verdict needs")
        lines += _ways_lines(explanation.ways)
    if explanation.check:
        lines += _entry("job", [_check_line(explanation)])
    return "\n".join(lines)


def explanation_as_json(explanation: Explanation) -> str:
    """Return the explanation as one JSON object with always the same keys; numbers are decimal texts."""
    check = explanation.check
    return json.dumps(
        {
            "signal": explanation.signal,
            "state": explanation.state,
            "event_key": explanation.event_key,
            "token_ca": explanation.token_ca,
            "token": _token_text(explanation.token),
            "token_source": explanation.source.value,
            "verdict": _verdict_object(explanation.verdict, explanation.now),
            "blocks": explanation.blocks
            and {
                "first": explanation.blocks.first,
                "last": explanation.blocks.last,
                "hash": explanation.blocks.block_hash,
            },
            "upgrade_if": [_condition_object(each) for each in explanation.upgrade_if],
            "downgrade_if": [_condition_object(each) for each in explanation.downgrade_if],
            "another_verdict": [_way_object(way) for way in explanation.ways],
            "job": check
            and {
                "status": check.status,
                "next_check_at": _time(check.next_check_at),
                "checked_at": _time(check.checked_at),
                "decision": check.decision,
                "note": check.note,
                "error": check.error,
            },
        }
    )


def condition_text(checked: CheckedCondition) -> str:
    """Return the condition as the rules file has it."""
    condition = checked.condition
    return f"{condition.feature.value} {condition.operator.value} {condition.threshold:f}"


def short_number(number: Decimal, sign: str = "") -> str:
    """Return the first DIGITS characters of a number, not rounded, so that it crosses no threshold."""
    text = format(number, f"{sign}f")
    return text if len(text) <= DIGITS else f"{text[:DIGITS]}…"


def step_text(checked: CheckedCondition, shown: Callable[[Decimal], str] = "{:f}".format) -> str:
    """Return the condition with the value that it was checked with."""
    value = "missing" if checked.value is None else shown(checked.value)
    return f"{condition_text(checked)} (is {value})"


def blocks_text(blocks: BlockSpan) -> str:
    """Return the blocks that a measurement rests on."""
    return f"{blocks.first} to {blocks.last}, whose hash is {blocks.block_hash}"


def way_text(way: Way, shown: Callable[[Decimal], str] = "{:f}".format) -> str:
    """Return what must come to hold for the other decision."""
    needs = [step_text(each, shown) for each in way.all_of]
    needs += [" or ".join(step_text(each, shown) for each in choice) for choice in way.one_of]
    return "; and ".join([*needs, *way.texts])


def age_text(age: timedelta) -> str:
    """Return a time span in its two greatest units, such as `2 h 5 min`."""
    seconds = round(age.total_seconds())
    if seconds < 0:
        return f"-{age_text(-age)}"
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, seconds = divmod(seconds, length)
        parts.append((number, name))
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{number} {name}" for number, name in parts[:2] if number or len(parts) == 1)


def _entry(name: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{'' if number else name:<14}{line}"


def _verdict_lines(verdict: StoredVerdict) -> Iterator[str]:
    reason = " ".join((verdict.note or "", *verdict.named)).strip()
    yield f"{verdict.decision} {verdict.confidence}" + (f" ({reason})" if reason else "")
    yield (
        f"{verdict.previous_state} -> {verdict.new_state} at {_time(verdict.created_at)}, rules "
        f"{verdict.mode or 'unknown'}, event {verdict.event}, run {verdict.run}"
    )


def _token_lines(explanation: Explanation) -> Iterator[str]:
    verdict = explanation.verdict
    if explanation.state is None:
        known = _token_text(verdict.token) if verdict else None
        yield f"{known or 'none'} (the signal was deleted)"
        return
    found = _token_text(explanation.token)
    said = f"token_ca {explanation.token_ca!r}, event_key {explanation.event_key!r}"
    yield f"{found} ({explanation.source.value}: {said})" if found else f"unresolvable ({said})"
    if verdict and verdict.token != explanation.token:
        yield f"at the verdict: {_token_text(verdict.token) or 'unresolvable'}"


def _evidence_lines(verdict: StoredVerdict, now: datetime) -> Iterator[str]:
    if verdict.as_of is None:
        yield "none"
        return
    yield (
        f"measured {_time(verdict.as_of)}: {age_text(verdict.created_at - verdict.as_of)} old at the "
        f"verdict, {age_text(now - verdict.as_of)} now; calc_version {verdict.calc_version}"
    )
    yield ", ".join(
        f"{name.value} {_number(verdict.features.get(name)) or 'missing'}" for name in Feature
    )


def _rules_line(verdict: StoredVerdict) -> str:
    text = f"sha256 {verdict.rules_sha256}"
    return text if verdict.rules else f"{text}, whose text is not kept: no conditions to show"


def _condition_lines(checked: tuple[CheckedCondition, ...]) -> Iterator[str]:
    texts = [(condition_text(each), _number(each.value) or "missing", each) for each in checked]
    widths = [max((len(row[n]) for row in texts), default=0) for n in (0, 1)]  # type: ignore[arg-type]
    for text, value, each in texts:
        margin = "" if each.margin is None else f"  margin {each.margin:+f}"
        holds = "holds" if each.holds else "does not hold"
        yield f"{text:<{widths[0]}}  {value:<{widths[1]}}  {holds}{margin}"


def _ways_lines(ways: Iterable[Way]) -> Iterator[str]:
    for way in ways:
        yield from _entry(f"  {way.decision or 'any'}", [way_text(way)])


def _check_line(explanation: Explanation) -> str:
    check = explanation.check
    assert check is not None  # noqa: S101 - the caller has looked
    last = " ".join(filter(None, (check.decision, check.note, check.error)))
    due = check.next_check_at
    again = f"next check at {_time(due)}" if due else ""
    if due and due.year == MAXYEAR:
        again = "next check when there is newer evidence or other rules"
    parts = [
        check.status,
        f"checked last at {_time(check.checked_at)}" if check.checked_at else "never checked",
        last,
        again,
    ]
    return ", ".join(filter(None, parts))


def _verdict_object(verdict: StoredVerdict | None, now: datetime) -> dict[str, Any] | None:
    if verdict is None:
        return None
    as_of = verdict.as_of
    return {
        "event": verdict.event,
        "created_at": _time(verdict.created_at),
        "previous_state": verdict.previous_state,
        "new_state": verdict.new_state,
        "decision": verdict.decision,
        "confidence": str(verdict.confidence),
        "note": verdict.note,
        "named": list(verdict.named),
        "features": {name.value: _number(value) for name, value in verdict.features.items()},
        "token": _token_text(verdict.token),
        "window_minutes": verdict.window_minutes,
        "as_of": _time(as_of),
        "evidence_age_seconds": (verdict.created_at - as_of).total_seconds() if as_of else None,
        "evidence_age_seconds_now": (now - as_of).total_seconds() if as_of else None,
        "calc_version": verdict.calc_version,
        "mode": verdict.mode,
        "rules_sha256": verdict.rules_sha256,
        "rules_text": verdict.rules.text if verdict.rules else None,
        "run": verdict.run,
    }


def _condition_object(checked: CheckedCondition) -> dict[str, Any]:
    return {
        "condition": condition_text(checked),
        "feature": checked.condition.feature.value,
        "operator": checked.condition.operator.value,
        "threshold": _number(checked.condition.threshold),
        "value": _number(checked.value),
        "margin": _number(checked.margin),
        "holds": checked.holds,
    }


def _way_object(way: Way) -> dict[str, Any]:
    return {
        "decision": way.decision,
        "all_of": [*map(condition_text, way.all_of), *way.texts],
        "one_of": [list(map(condition_text, choice)) for choice in way.one_of],
    }


def _number(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _token_text(token: Token | None) -> str | None:
    return f"{token.chain}:{token.address}" if token else None


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
