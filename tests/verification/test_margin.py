"""How near a value is to a threshold, and a verdict to another one."""

from decimal import Decimal

import pytest
from django.db import connection

from signals.choices import Decision
from signals.verification.job import verify_signals
from signals.verification.margin import condition_margin, margin_sql, verdict_margin
from signals.verification.rules import Condition, Operator, Rules
from signals.verification.verdict import Feature
from tests.verification.database import refuse, verification
from tests.verification.sample_rows import (
    MINUTE,
    NOW,
    make_downgradable,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

PCTL, GROWTH, TOP10, LOOPS = Feature
MARGINS = [
    # above and below the threshold, as a share of it
    (">=", "2.0", "2.31", "0.155"),
    (">=", "2.0", "1.69", "-0.155"),
    ("<=", "2.0", "1.69", "0.155"),
    ("<=", "2.0", "2.31", "-0.155"),
    # at the threshold it is 0, whether the condition holds there or not
    (">=", "0.70", "0.7000", "0"),
    (">", "0.70", "0.70", "0"),
    ("<", "0.70", "0.70", "0"),
    # what lies beyond the threshold by any digit is never rounded to the other side
    (">=", "0.70", "0.69999999999999999999", "-0.000001"),
    (">=", "0.70", "0.70000000000000000001", "0"),
    ("<", "0.70", "0.70000000000000000001", "-0.000001"),
    (">", "3", "4", "0.333333"),
    (">", "3", "2", "-0.333334"),
    # a threshold of 0 divides nothing, and one below 0 counts by its absolute value
    (">", "0", "0.25", "0.25"),
    ("<=", "0", "0.25", "-0.25"),
    ("<", "0", "0", "0"),
    (">=", "-2", "1", "1.5"),
    ("<", "-2", "1", "-1.5"),
    # a threshold near 0 gives no margin of a hundred digits
    (">", "1e-18", "1e9", "1000000"),
    ("<", "1e-18", "1e9", "-1000000"),
    (">=", "2", "1e130000", "1000000"),
    (">=", "0.000001", "1.000001", "1000000"),
    (">=", "0.000001", "1.0000009", "999999.9"),
]


def condition(operator: str, threshold: str, feature: Feature = GROWTH) -> Condition:
    return Condition(feature, Operator(operator), Decimal(threshold))


@pytest.mark.parametrize(("operator", "threshold", "value", "margin"), MARGINS)
def test_a_margin_is_a_share_of_the_threshold(
    operator: str, threshold: str, value: str, margin: str
) -> None:
    found = condition_margin(condition(operator, threshold), Decimal(value))
    assert found == Decimal(margin)
    assert found.as_tuple().exponent >= -6  # type: ignore[operator] # a finite number


@pytest.mark.django_db
@pytest.mark.parametrize(("operator", "threshold", "value", "margin"), MARGINS)
def test_the_database_finds_the_same_margin(
    operator: str, threshold: str, value: str, margin: str
) -> None:
    sql, parameters = margin_sql("any", [condition(operator, threshold)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {sql} FROM (SELECT %(value)s::numeric AS growth_ratio) features",
            {**parameters, "value": value},
        )
        assert cursor.fetchone() == (Decimal(margin),)


RULES = Rules(
    windows=frozenset({60}),
    upgrade_if=(condition(">=", "0.80", PCTL), condition(">=", "2.0")),
    downgrade_if=(condition(">=", "0.50", TOP10), condition(">=", "0.20", LOOPS)),
    sha256="5" * 64,
)


@pytest.mark.parametrize(
    ("decision", "values", "margin"),
    [
        # the least of the list that decided
        (Decision.UPGRADE, ("0.84", "3.0", "0", "0"), "0.05"),
        (Decision.DOWNGRADE, ("0.84", "3.0", "1", "0.21"), "0.05"),
        # of a hold the list that is nearer, each by the condition that is farthest from holding
        (Decision.HOLD, ("0.40", "1.8", "0.40", "0.18"), "-0.2"),
        (Decision.HOLD, ("0.76", "1.0", "0.45", "0.10"), "-0.5"),
        (Decision.HOLD, ("0.76", "1.9", "0.10", "0.20"), "-0.05"),
        (Decision.INSUFFICIENT, ("0.84", "3.0", "0", "0"), None),
    ],
)
def test_the_margin_of_a_verdict_is_that_of_the_list_that_decided(
    decision: Decision, values: tuple[str, ...], margin: str | None
) -> None:
    features = dict(zip(Feature, map(Decimal, values), strict=True))
    expected = None if margin is None else Decimal(margin)
    assert verdict_margin(RULES, decision, features) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("make", "fields", "margin"),
    [
        (make_upgradable, {}, "0.05"),  # 0.9975 of 0.95, and 2.5 of 2.0
        (make_downgradable, {}, "0.285714"),  # 0.9 of 0.70, and 0.5 of 0.20
        (make_upgradable, {"addr_active": 100}, "-0.468422"),  # 0.505 of 0.95
        (make_upgradable, {"top10_share": None}, None),
    ],
)
def test_a_run_stores_the_margin_of_the_last_verdict(
    make: object, fields: dict[str, object], margin: str | None
) -> None:
    signals = [make_signal(), make_signal()]
    make(**fields)  # type: ignore[operator]
    verify_signals(limit=1, now=NOW)  # by Python: nothing of the chain was read
    verify_signals(limit=1, now=NOW)
    expected = None if margin is None else Decimal(margin)
    assert [verification(each).margin for each in signals] == [expected] * 2


@pytest.mark.django_db
def test_a_look_that_changes_nothing_keeps_the_margin_and_one_that_decides_nothing_clears_it() -> (
    None
):
    make_population()
    near = {"top10_share": Decimal("0.63"), "self_loop_ratio": Decimal("0.18")}
    make_features(**near)
    signal = make_signal()
    verify_signals(now=NOW)
    make_features(age=-10 * MINUTE, **near)
    verify_signals(now=NOW + 20 * MINUTE)
    assert (verification(signal).checks, verification(signal).margin) == (2, Decimal("-0.1"))
    verify_signals(now=NOW + 120 * MINUTE)
    assert (verification(signal).note, verification(signal).margin) == ("feature_stale", None)


@pytest.mark.django_db
def test_a_failed_check_clears_the_margin() -> None:
    make_population()
    make_features()
    signal = make_signal()
    verify_signals(now=NOW)
    assert verification(signal).margin is not None
    refuse("signals", "id", signal)
    make_features(age=-10 * MINUTE)
    verify_signals(now=NOW + 20 * MINUTE)
    assert (verification(signal).outcome, verification(signal).margin) == ("failed", None)
