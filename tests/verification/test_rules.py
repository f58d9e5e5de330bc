"""The verdict of the rules on the features of a token."""

from decimal import Decimal

import pytest

from signals.choices import Decision, Note
from signals.verification.rules import Condition, Operator, Rules, confidence, evaluate
from signals.verification.rules_file import SHIPPED_RULES, load_rules
from signals.verification.verdict import Feature, Verdict

PCTL, GROWTH, TOP10, LOOPS = Feature
RULES = load_rules(SHIPPED_RULES)

HOLD = Verdict(Decision.HOLD, Decimal("0.5"))
UPGRADE = Verdict(Decision.UPGRADE, Decimal(1))
DOWNGRADE = Verdict(Decision.DOWNGRADE, Decimal(1))


def decimals(features: dict[Feature, str | None]) -> dict[Feature, Decimal | None]:
    return {name: None if text is None else Decimal(text) for name, text in features.items()}


def missing(*features: Feature) -> Verdict:
    return Verdict(Decision.INSUFFICIENT, Decimal(0), Note.FEATURE_MISSING, features)


def outside(*features: Feature) -> Verdict:
    return Verdict(Decision.INSUFFICIENT, Decimal(0), Note.FEATURE_OUT_OF_RANGE, features)


@pytest.mark.parametrize(
    ("pctl", "growth", "top10", "loops", "verdict"),
    [
        # both conditions of a list must hold, bounds included
        ("0.95", "2.0", "0.0", "0.0", UPGRADE),
        ("1.0", "9.0", "0.69", "0.19", UPGRADE),
        ("0.9499", "2.0", "0.0", "0.0", HOLD),
        ("0.95", "1.9999", "0.0", "0.0", HOLD),
        ("0.5", "1.0", "0.70", "0.20", DOWNGRADE),
        ("0.5", "1.0", "1.0", "1.0", DOWNGRADE),
        ("0.5", "1.0", "0.6999", "0.20", HOLD),
        ("0.5", "1.0", "0.70", "0.1999", HOLD),
        ("0.0", "0.0", "0.0", "0.0", HOLD),
        # downgrade is asked before upgrade
        ("0.95", "2.0", "0.70", "0.20", DOWNGRADE),
        # one half of each list is no verdict
        ("0.95", "1.0", "0.70", "0.0", HOLD),
        # missing is asked before everything else, and names every feature
        (None, "2.0", "0.70", "0.20", missing(PCTL)),
        ("0.95", None, "0.70", "0.20", missing(GROWTH)),
        ("0.95", "2.0", None, "0.0", missing(TOP10)),
        ("0.95", "2.0", "0.0", None, missing(LOOPS)),
        (None, None, None, None, missing(PCTL, GROWTH, TOP10, LOOPS)),
        (None, "NaN", "0.0", "0.0", missing(PCTL)),
        # a threshold is a decimal, and what is less by any digit is less
        ("0.95", "1.99999999999999999999", "0.0", "0.0", HOLD),
        ("0.5", "1.0", "0.69999999999999999999", "0.20", HOLD),
        # out of range
        ("1.00000000000000000001", "2.0", "0.0", "0.0", outside(PCTL)),
        ("1.0001", "2.0", "0.70", "0.20", outside(PCTL)),
        ("-0.0001", "2.0", "0.0", "0.0", outside(PCTL)),
        ("0.95", "-0.0001", "0.0", "0.0", outside(GROWTH)),
        ("0.95", "2.0", "1.0001", "0.20", outside(TOP10)),
        ("0.95", "2.0", "-0.1", "0.0", outside(TOP10)),
        ("0.95", "2.0", "0.70", "1.1", outside(LOOPS)),
        ("0.95", "2.0", "0.0", "-1.0", outside(LOOPS)),
        ("NaN", "Infinity", "-Infinity", "2.0", outside(PCTL, GROWTH, TOP10, LOOPS)),
    ],
)
def test_the_decision_table_of_the_shipped_rules(
    pctl: str | None,
    growth: str | None,
    top10: str | None,
    loops: str | None,
    verdict: Verdict,
) -> None:
    features = decimals({PCTL: pctl, GROWTH: growth, TOP10: top10, LOOPS: loops})
    assert evaluate(RULES, 60, features) == verdict


@pytest.mark.parametrize("window", [30, 60, 180])
def test_the_shipped_rules_support_every_window(window: int) -> None:
    features = decimals({PCTL: "0.95", GROWTH: "2.0", TOP10: "0.0", LOOPS: "0.0"})
    assert evaluate(RULES, window, features) == UPGRADE


def test_an_unsupported_window_is_asked_before_a_missing_feature() -> None:
    assert evaluate(RULES, 45, {}) == Verdict(
        Decision.INSUFFICIENT, Decimal(0), Note.WINDOW_UNSUPPORTED
    )


def test_a_feature_that_no_condition_asks_for_may_be_missing_or_wrong() -> None:
    rules = Rules(
        frozenset({60}),
        (Condition(GROWTH, Operator.ABOVE, Decimal("2.0")),),
        (Condition(GROWTH, Operator.BELOW, Decimal("1.0")),),
        "",
    )
    assert evaluate(rules, 60, decimals({GROWTH: "2.5", TOP10: "7.0"})) == UPGRADE


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        (Operator.AT_LEAST, False, True, True),
        (Operator.AT_MOST, True, True, False),
        (Operator.ABOVE, False, False, True),
        (Operator.BELOW, True, False, False),
    ],
)
def test_an_operator_compares_as_it_is_written(
    operator: Operator, below: bool, equal: bool, above: bool
) -> None:
    condition = Condition(GROWTH, operator, Decimal("2.0"))
    assert [condition.holds(Decimal(value)) for value in ("1.9", "2.0", "2.1")] == [
        below,
        equal,
        above,
    ]


@pytest.mark.parametrize(
    ("hits", "conditions", "value"),
    [(0, 2, "0.600"), (1, 3, "0.733"), (1, 2, "0.800"), (2, 2, "1.000"), (3, 2, "1.000")],
)
def test_confidence_grows_with_the_share_of_hits(hits: int, conditions: int, value: str) -> None:
    assert str(confidence(hits, conditions)) == value


def test_the_notes_are_a_closed_set() -> None:
    assert set(Note.values) == {
        "window_unsupported",
        "feature_missing",
        "feature_out_of_range",
        "feature_stale",
        "insufficient_evidence",
        "evidence_delayed",
        "unresolvable_token",
    }
