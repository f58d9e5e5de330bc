"""The rules, and the verdict that they give on a token's features. rules_file.py reads the rules."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property
from types import MappingProxyType
from typing import Final

from signals.choices import Decision, Note
from signals.verification.verdict import Feature, Features, Verdict

FEATURE_RANGES: Final[Mapping[Feature, tuple[Decimal, Decimal]]] = MappingProxyType(
    {
        Feature.ACTIVE_ADDR_PCTL: (Decimal(0), Decimal(1)),
        Feature.GROWTH_RATIO: (Decimal(0), Decimal("Infinity")),
        Feature.TOP10_SHARE: (Decimal(0), Decimal(1)),
        Feature.SELF_LOOP_RATIO: (Decimal(0), Decimal(1)),
    }
)
"""The valid values of each feature, bounds included; infinity itself is never valid."""


HOLD: Final = Verdict(Decision.HOLD, Decimal("0.500"))
"""The verdict if neither list of conditions holds."""


class Operator(Enum):
    """A comparison of a condition."""

    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"


_COMPARISONS: Final[Mapping[Operator, Callable[[Decimal, Decimal], bool]]] = MappingProxyType(
    {
        Operator.AT_LEAST: operator.ge,
        Operator.AT_MOST: operator.le,
        Operator.ABOVE: operator.gt,
        Operator.BELOW: operator.lt,
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition `feature OP number`; a label of the rules file is replaced by its number."""

    feature: Feature
    operator: Operator
    threshold: Decimal

    def holds(self, value: Decimal) -> bool:
        """Return whether the feature's value meets the condition."""
        return _COMPARISONS[self.operator](value, self.threshold)


@dataclass(frozen=True)
class Rules:
    """The rules of a valid rules file, with the file's text and SHA-256."""

    windows: frozenset[int]
    upgrade_if: tuple[Condition, ...]
    downgrade_if: tuple[Condition, ...]
    sha256: str
    text: str = ""

    @cached_property
    def used_features(self) -> tuple[Feature, ...]:
        """The features that appear in a condition, in the order of Feature."""
        used = {condition.feature for condition in (*self.upgrade_if, *self.downgrade_if)}
        return tuple(feature for feature in Feature if feature in used)


def evaluate(rules: Rules, window_minutes: int, features: Features) -> Verdict:
    """Return the verdict on a token whose features were measured over that window.

    The first that applies: window unsupported, feature missing, feature out of range, downgrade, upgrade,
    hold. Features that appear in no condition are ignored, and a missing one is never taken for 0.
    """
    if window_minutes not in rules.windows:
        return insufficient(Note.WINDOW_UNSUPPORTED)
    used = rules.used_features
    if missing := tuple(name for name in used if features.get(name) is None):
        return insufficient(Note.FEATURE_MISSING, missing)
    values = {name: value for name in used if (value := features[name]) is not None}
    if outside := tuple(name for name, value in values.items() if not in_range(name, value)):
        return insufficient(Note.FEATURE_OUT_OF_RANGE, outside)
    for decision, conditions in (
        (Decision.DOWNGRADE, rules.downgrade_if),
        (Decision.UPGRADE, rules.upgrade_if),
    ):
        if all(condition.holds(values[condition.feature]) for condition in conditions):
            return Verdict(decision, confidence(len(conditions), len(conditions)))
    return HOLD


def insufficient(note: Note, named: tuple[Feature, ...] = ()) -> Verdict:
    """Return the verdict that nothing can be decided, for that reason and those features."""
    return Verdict(Decision.INSUFFICIENT, Decimal("0.000"), note, named)


@cache
def confidence(hits: int, conditions: int) -> Decimal:
    """Return min(1, 0.6 + 0.4 · hits / conditions), rounded to three decimals."""
    value = Decimal("0.6") + Decimal("0.4") * hits / conditions
    return min(Decimal(1), value).quantize(Decimal("0.001"))


def in_range(feature: Feature, value: Decimal) -> bool:
    """Return whether the value is valid for the feature."""
    low, high = FEATURE_RANGES[feature]
    return value.is_finite() and low <= value <= high
