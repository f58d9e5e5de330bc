"""The rules and what they make of a token's features; pure. rules_file.py reads them."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Final

from signals.choices import Decision, Note
from signals.verification.verdict import Feature, Features, Verdict

RANGES: Final[Mapping[Feature, tuple[float, float]]] = MappingProxyType(
    {
        Feature.ACTIVE_ADDR_PCTL: (0.0, 1.0),
        Feature.GROWTH_RATIO: (0.0, math.inf),
        Feature.TOP10_SHARE: (0.0, 1.0),
        Feature.SELF_LOOP_RATIO: (0.0, 1.0),
    }
)
"""What a measurement can be, bounds included; infinity itself never is."""


class Operator(Enum):
    """How a condition compares."""

    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"


_COMPARE: Final[Mapping[Operator, Callable[[float, float], bool]]] = MappingProxyType(
    {
        Operator.AT_LEAST: operator.ge,
        Operator.AT_MOST: operator.le,
        Operator.ABOVE: operator.gt,
        Operator.BELOW: operator.lt,
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """`feature OP number`; what the file calls by a label is its number here."""

    feature: Feature
    operator: Operator
    threshold: float

    def holds(self, value: float) -> bool:
        """Whether the feature's value meets the condition."""
        return _COMPARE[self.operator](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Rules:
    """A valid rules file; `sha256` is that of its bytes."""

    windows: frozenset[int]
    upgrade_if: tuple[Condition, ...]
    downgrade_if: tuple[Condition, ...]
    sha256: str

    @property
    def asked(self) -> tuple[Feature, ...]:
        """The features that a condition asks for, in the order of Feature."""
        used = {condition.feature for condition in (*self.upgrade_if, *self.downgrade_if)}
        return tuple(feature for feature in Feature if feature in used)


def evaluate(rules: Rules, window_minutes: int, features: Features) -> Verdict:
    """The verdict on a token whose features were measured over that window.

    In this order: window unsupported, a feature missing, a feature out of its range, downgrade,
    upgrade, hold. Only features that a condition asks for count; a missing one is never taken for 0.
    """
    if window_minutes not in rules.windows:
        return insufficient(Note.WINDOW_UNSUPPORTED)
    values = {name: value for name in rules.asked if (value := features.get(name)) is not None}
    missing = tuple(name for name in rules.asked if name not in values)
    if missing:
        return insufficient(Note.FEATURE_MISSING, missing)
    outside = tuple(name for name, value in values.items() if not in_range(name, value))
    if outside:
        return insufficient(Note.FEATURE_OUT_OF_RANGE, outside)
    for decision, conditions in (
        (Decision.DOWNGRADE, rules.downgrade_if),
        (Decision.UPGRADE, rules.upgrade_if),
    ):
        hits = sum(condition.holds(values[condition.feature]) for condition in conditions)
        if hits == len(conditions):
            return Verdict(decision, confidence(hits, len(conditions)))
    return Verdict(Decision.HOLD, Decimal("0.500"))


def insufficient(note: Note, named: tuple[Feature, ...] = ()) -> Verdict:
    """The verdict that nothing can be decided, and why."""
    return Verdict(Decision.INSUFFICIENT, Decimal("0.000"), note, named)


def confidence(hits: int, conditions: int) -> Decimal:
    """min(1, 0.6 + 0.4 · hits / conditions), to three decimals."""
    value = Decimal("0.6") + Decimal("0.4") * hits / conditions
    return min(Decimal(1), value).quantize(Decimal("0.001"))


def in_range(feature: Feature, value: float) -> bool:
    """Whether the feature can have that value."""
    low, high = RANGES[feature]
    return math.isfinite(value) and low <= value <= high
