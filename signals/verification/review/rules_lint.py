"""Conditions of a valid rules file that can never or always hold, and lists that leave a decision out."""

from collections.abc import Iterator
from itertools import combinations

from signals.choices import Decision
from signals.verification.errors import Problem
from signals.verification.features import DECIDING_WINDOW
from signals.verification.review.intervals import (
    RANGES,
    box_of,
    is_empty,
    possible_decisions,
    values_of,
)
from signals.verification.rules import Condition, Rules
from signals.verification.strict_yaml import join_path


def lint_rules(rules: Rules) -> tuple[Problem, ...]:
    """Return what is suspicious in rules that are valid, each with its path in the file."""
    return tuple(_problems(rules))


def _problems(rules: Rules) -> Iterator[Problem]:
    if DECIDING_WINDOW not in rules.windows:
        yield Problem("windows", f"lacks {DECIDING_WINDOW}, so nothing is ever decided")
    lists = {"upgrade_if": rules.upgrade_if, "downgrade_if": rules.downgrade_if}
    for name, conditions in lists.items():
        yield from _problems_of_list(f"verdict.{name}", conditions)
    if any(is_empty(box_of(conditions)) for conditions in lists.values()):
        return  # is reported already
    possible = possible_decisions(rules)
    if Decision.UPGRADE not in possible:
        text = "can never decide: downgrade_if, which is asked first, holds whenever it does"
        yield Problem("verdict.upgrade_if", text)
    if Decision.HOLD not in possible:
        yield Problem("verdict", "never leads to hold: one of the two lists always holds")


def _problems_of_list(path: str, conditions: tuple[Condition, ...]) -> Iterator[Problem]:
    """Yield the conditions that never or always hold, and the pairs that exclude or imply each other.

    Intervals of which any two have a number in common all have one in common, so pairs are enough.
    """
    telling: list[tuple[str, Condition]] = []
    for index, condition in enumerate(conditions):
        where = join_path(path, index)
        found, whole = values_of(condition), RANGES[condition.feature]
        if not (found.is_empty or found.covers(whole)):
            telling.append((where, condition))
            continue
        how = "never" if found.is_empty else "always"
        limits = (
            f"{whole.low} to {whole.high}" if whole.high.is_finite() else f"at least {whole.low}"
        )
        yield Problem(
            where, f"{_text(condition)} {how} holds ({condition.feature.value} is {limits})"
        )
    for first, second in combinations(telling, 2):
        if first[1].feature is second[1].feature:
            yield from _problems_of_pair(path, first, second)


def _problems_of_pair(
    path: str, first: tuple[str, Condition], second: tuple[str, Condition]
) -> Iterator[Problem]:
    (_, one), (_, other) = first, second
    if values_of(one).intersection(values_of(other)).is_empty:
        yield Problem(path, f"{_text(one)} and {_text(other)} never hold together")
        return
    for (where, implied), (_, stronger) in ((first, second), (second, first)):
        if values_of(implied).covers(values_of(stronger)):
            yield Problem(where, f"{_text(stronger)} implies {_text(implied)}")


def _text(condition: Condition) -> str:
    return f"{condition.feature.value} {condition.operator.value} {condition.threshold:f}"
