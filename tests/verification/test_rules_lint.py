"""The command rules_lint: what in a valid rules file can never or always hold."""

import json
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from signals.verification.review.intervals import possible_decisions
from signals.verification.rules import Condition, Operator, Rules, evaluate
from signals.verification.verdict import Feature


def lint(tmp_path: Path, upgrade: str, downgrade: str, windows: str = "60") -> list[str]:
    """Return the lines that rules_lint --json gives for the conditions, comma-separated."""
    file = tmp_path / "rules.yml"
    file.write_text(
        f"windows: [{windows}]\nthresholds:\n  growth_ratio: {{fast: 2.0}}\n"
        f"verdict:\n  upgrade_if: [{upgrade}]\n  downgrade_if: [{downgrade}]\n"
    )
    out = tmp_path / "out"
    with out.open("w") as stdout:
        try:
            call_command("rules_lint", file, "--json", stdout=stdout)
        except CommandError as error:
            assert error.returncode == 1  # noqa: PT017 - a clean file raises none
    found = json.loads(out.read_text())
    assert found["valid"]
    return [f"{each['path']}: {each['text']}" for each in found["problems"]]


NEVER_ASKED = "can never decide: downgrade_if, which is asked first, holds whenever it does"
PLAIN = "top10_share >= 0.7"


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "problems"),
    [
        ("growth_ratio >= fast, growth_ratio < 3", PLAIN, []),
        (
            "top10_share > 1",
            PLAIN,
            ["verdict.upgrade_if[0]: top10_share > 1 never holds (top10_share is 0 to 1)"],
        ),
        (
            "growth_ratio >= 0, growth_ratio >= fast",
            PLAIN,
            ["verdict.upgrade_if[0]: growth_ratio >= 0 always holds (growth_ratio is at least 0)"],
        ),
        (
            "growth_ratio >= fast, growth_ratio < 2",
            PLAIN,
            ["verdict.upgrade_if: growth_ratio >= 2.0 and growth_ratio < 2 never hold together"],
        ),
        (
            "growth_ratio > 1, growth_ratio >= fast",
            PLAIN,
            ["verdict.upgrade_if[0]: growth_ratio >= 2.0 implies growth_ratio > 1"],
        ),
        (
            "top10_share >= 0.8",
            PLAIN,
            [f"verdict.upgrade_if: {NEVER_ASKED}"],
        ),
        (
            "top10_share < 0.7",
            PLAIN,
            ["verdict: never leads to hold: one of the two lists always holds"],
        ),
        ("top10_share < 0.7, growth_ratio >= 1", PLAIN, []),
        ("top10_share <= 0.69", PLAIN, []),
    ],
)
def test_what_can_never_or_always_hold_is_found(
    tmp_path: Path, upgrade: str, downgrade: str, problems: list[str]
) -> None:
    assert lint(tmp_path, upgrade, downgrade) == problems


def test_rules_without_the_deciding_window_decide_nothing(tmp_path: Path) -> None:
    assert lint(tmp_path, "growth_ratio >= fast", PLAIN, windows="30, 180") == [
        "windows: lacks 60, so nothing is ever decided"
    ]


def test_the_shipped_rules_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("rules_lint")
    assert capsys.readouterr().out == "no problems\n"


def test_an_invalid_file_is_a_finding_with_each_of_its_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("windows: [1:30, 074]\nverdict: {upgrade_if: [], downgrade_if: [x]}\n")
    with pytest.raises(CommandError, match="the job refuses this file") as caught:
        call_command("rules_lint", file)
    assert caught.value.returncode == 1
    assert capsys.readouterr().out.startswith("windows[0]: '1:30' is not a plain number")


def test_a_file_that_is_not_there_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.yml' cannot be read") as caught:
        call_command("rules_lint", tmp_path / "none.yml")
    assert caught.value.returncode == 4


NUMBERS = [Decimal(n) / 4 for n in range(5)]
FINER = [Decimal(n) / 8 for n in range(9)]
CONDITIONS = st.builds(
    Condition,
    st.sampled_from([Feature.TOP10_SHARE, Feature.SELF_LOOP_RATIO]),
    st.sampled_from(Operator),
    st.sampled_from(NUMBERS),
)
LISTS = st.lists(CONDITIONS, min_size=1, max_size=3).map(tuple)


@given(LISTS, LISTS)
def test_the_possible_decisions_are_those_that_a_grid_of_all_features_leads_to(
    upgrade_if: tuple[Condition, ...], downgrade_if: tuple[Condition, ...]
) -> None:
    """Thresholds are quarters, so eighths stand for all numbers between them."""
    rules = Rules(frozenset({60}), upgrade_if, downgrade_if, "")
    features = (Feature.TOP10_SHARE, Feature.SELF_LOOP_RATIO)
    grid = (dict(zip(features, point, strict=True)) for point in product(FINER, FINER))
    assert possible_decisions(rules) == {evaluate(rules, 60, each).decision for each in grid}
