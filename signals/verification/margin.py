"""How near the value of a feature is to its threshold, and a verdict to another one.

A margin is a share of the threshold: 0.155 says that the value lies 15.5 % beyond it, on the side where the
condition holds. Where the threshold is 0, the margin is the distance itself.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, Final

from signals.choices import Decision
from signals.verification.rules import Condition, Operator, Rules
from signals.verification.verdict import Features

MARGIN_DECIMALS: Final = 6
MAX_MARGIN: Final = 10**6
"""A margin beyond this one, or below its negative, is cut to it."""

_UNITS: Final = 10**MARGIN_DECIMALS
_LOWER: Final = (Operator.AT_LEAST, Operator.ABOVE)


def condition_margin(condition: Condition, value: Decimal) -> Decimal:
    """Return the margin of a finite value to the condition's threshold.

    It is rounded down to MARGIN_DECIMALS, so that rounding never takes a value to the other side: a margin
    is negative only if the condition does not hold, and positive only if it does. It is 0 at the threshold,
    where a condition with > or < does not hold, and up to one unit beyond it.
    """
    distance = Fraction(value) - Fraction(condition.threshold)
    if condition.operator not in _LOWER:
        distance = -distance
    units = floor(distance * _UNITS / Fraction(_divisor(condition)))
    limit = MAX_MARGIN * _UNITS
    return Decimal(max(-limit, min(limit, units))).scaleb(-MARGIN_DECIMALS).normalize()


def verdict_margin(rules: Rules, decision: Decision, features: Features) -> Decimal | None:
    """Return the margin of a verdict of these rules on features that it could decide by; else None.

    It is the least margin of the list of conditions that decided. For a hold, which neither list decided,
    it is that of the list that was nearer to hold.
    """
    if decision is Decision.INSUFFICIENT:
        return None
    bad, good = (_list_margin(each, features) for each in (rules.downgrade_if, rules.upgrade_if))
    return {Decision.DOWNGRADE: bad, Decision.UPGRADE: good}.get(decision, max(bad, good))


def margin_sql(prefix: str, conditions: Sequence[Condition]) -> tuple[str, dict[str, Any]]:
    """Return SQL for the least margin of the conditions by the columns of features, and its parameters."""
    parts: list[str] = []
    parameters: dict[str, Any] = {}
    for place, condition in enumerate(conditions):
        name = f"{prefix}_{place}"
        sign = "" if condition.operator in _LOWER else "-"
        limit, divisor = f"{MAX_MARGIN} * %({name}_divisor)s", f"%({name}_divisor)s"
        distance = f"{sign}({condition.feature.value} - %({name})s)"
        # div() cuts off towards 0, so what it divides is made positive first, and moved back after.
        positive = f"least(greatest({distance}, -{limit}), {limit}) + {limit}"
        parts.append(f"pg_catalog.div(({positive}) * {_UNITS}, {divisor})")
        parameters |= {name: condition.threshold, f"{name}_divisor": _divisor(condition)}
    least = f"least({', '.join(parts)}) - {MAX_MARGIN * _UNITS}"
    return f"pg_catalog.trim_scale(({least}) * 1e-{MARGIN_DECIMALS})", parameters


def _list_margin(conditions: Sequence[Condition], features: Features) -> Decimal:
    return min(
        condition_margin(each, value)
        for each in conditions
        if (value := features[each.feature]) is not None
    )


def _divisor(condition: Condition) -> Decimal:
    """Return the absolute value of the threshold, by which its margins are divided; 1 for 0."""
    return condition.threshold.copy_abs() or Decimal(1)
