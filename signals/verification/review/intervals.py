"""What rules can decide at all: the values of each feature that satisfy a list of conditions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from signals.choices import Decision
from signals.verification.rules import FEATURE_RANGES, Condition, Operator, Rules
from signals.verification.verdict import Feature

_LOWER: Final = (Operator.AT_LEAST, Operator.ABOVE)


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers from `low` to `high`; without `low` itself if it is open there, and so for `high`."""

    low: Decimal
    high: Decimal
    low_is_open: bool = False
    high_is_open: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no number lies in the interval."""
        is_open = self.low_is_open or self.high_is_open
        return self.low > self.high or (self.low == self.high and is_open)

    def intersection(self, other: "Interval") -> "Interval":
        """Return the numbers that lie in both."""
        low, low_is_open = max((self.low, self.low_is_open), (other.low, other.low_is_open))
        high, high_is_closed = min(
            (self.high, not self.high_is_open), (other.high, not other.high_is_open)
        )
        return Interval(low, high, low_is_open, not high_is_closed)

    def covers(self, other: "Interval") -> bool:
        """Return whether each number of the other one lies in this one."""
        return other.is_empty or self.intersection(other) == other

    def completes(self, other: "Interval", whole: "Interval") -> bool:
        """Return whether each number of `whole` lies in this interval or in the other one."""
        low, high = sorted((self, other), key=lambda each: (each.low, each.low_is_open))
        meet = high.low < low.high or (
            high.low == low.high and not (high.low_is_open and low.high_is_open)
        )
        ends = Interval(low.low, high.high, low.low_is_open, high.high_is_open)
        return self.covers(whole) or other.covers(whole) or (meet and ends.covers(whole))


Box = Mapping[Feature, Interval]
"""The values of all features that satisfy a list of conditions, an interval each."""

RANGES: Final[Box] = {
    feature: Interval(low, high, high_is_open=high.is_infinite())
    for feature, (low, high) in FEATURE_RANGES.items()
}
"""All valid values."""


def values_of(condition: Condition) -> Interval:
    """Return the valid values of the condition's feature that satisfy the condition."""
    infinity = Decimal("Infinity")
    if condition.operator in _LOWER:
        is_open = condition.operator is Operator.ABOVE
        wanted = Interval(condition.threshold, infinity, is_open, high_is_open=True)
    else:
        is_open = condition.operator is Operator.BELOW
        wanted = Interval(-infinity, condition.threshold, low_is_open=True, high_is_open=is_open)
    return RANGES[condition.feature].intersection(wanted)


def box_of(conditions: Iterable[Condition]) -> Box:
    """Return the values that satisfy all of the conditions."""
    box = dict(RANGES)
    for condition in conditions:
        box[condition.feature] = box[condition.feature].intersection(values_of(condition))
    return box


def possible_decisions(rules: Rules) -> set[Decision]:
    """Return the decisions that valid features can lead to, which says nothing of missing ones."""
    up, down = box_of(rules.upgrade_if), box_of(rules.downgrade_if)
    decisions = set()
    if not is_empty(down):
        decisions.add(Decision.DOWNGRADE)
    if not is_empty(up) and not _covers(down, up):
        decisions.add(Decision.UPGRADE)
    if not _cover_everything(up, down):
        decisions.add(Decision.HOLD)
    return decisions


def is_empty(box: Box) -> bool:
    """Return whether no features satisfy the conditions of the box."""
    return any(interval.is_empty for interval in box.values())


def _covers(box: Box, other: Box) -> bool:
    return is_empty(other) or all(box[feature].covers(other[feature]) for feature in RANGES)


def _cover_everything(box: Box, other: Box) -> bool:
    """Return whether all valid features lie in one of the two boxes.

    If neither has them all, both must have all values of every feature but one.
    """
    if _covers(box, RANGES) or _covers(other, RANGES):
        return True
    if is_empty(box) or is_empty(other):
        return False
    partly = [
        feature
        for feature, whole in RANGES.items()
        if not (box[feature].covers(whole) and other[feature].covers(whole))
    ]
    return len(partly) == 1 and box[partly[0]].completes(other[partly[0]], RANGES[partly[0]])
