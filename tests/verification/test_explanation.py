"""verify_signal --explain: why a signal has its verdict, and what would lead to another one."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from signals.choices import Decision
from signals.models import Event, OnchainFeature, Signal
from signals.verification.job import verify_signals
from signals.verification.review.explanation import Way, other_decisions
from signals.verification.rules import Condition, Operator, Rules, evaluate
from signals.verification.verdict import Feature
from tests.verification.database import execute
from tests.verification.sample_rows import (
    ADDRESS,
    MINUTE,
    NOW,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

NO_ROW = f"onchain_features has a row of ethereum:{ADDRESS} over 60 minutes, at most 90 minutes old"


def explained(signal: Signal, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    call_command("verify_signal", "--explain", str(signal.pk), "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.django_db
def test_an_upgrade_is_explained_by_its_conditions_and_their_margins(
    rules_on: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_population()
    make_features(growth_ratio=Decimal("2.00000000000000000001"), top10_share=Decimal("0.9"))
    signal = make_signal()
    verify_signals(now=NOW)
    found = explained(signal, capsys)
    assert found["state"] == "verified"
    assert found["upgrade_if"] == [
        {
            "condition": "active_addr_pctl >= 0.95",
            "feature": "active_addr_pctl",
            "operator": ">=",
            "threshold": "0.95",
            "value": "0.9975",
            "margin": "0.0475",
            "holds": True,
        },
        {
            "condition": "growth_ratio >= 2.0",
            "feature": "growth_ratio",
            "operator": ">=",
            "threshold": "2.0",
            "value": "2.00000000000000000001",
            "margin": "0.00000000000000000001",
            "holds": True,
        },
    ]
    assert [(each["margin"], each["holds"]) for each in found["downgrade_if"]] == [
        ("0.20", True),
        ("-0.19", False),
    ]
    assert found["another_verdict"] == [
        {"decision": "downgrade", "all_of": ["self_loop_ratio >= 0.20"], "one_of": []},
        {
            "decision": "hold",
            "all_of": [],
            "one_of": [["active_addr_pctl < 0.95", "growth_ratio < 2.0"]],
        },
    ]
    assert found["verdict"]["evidence_age_seconds"] == 300
    assert (found["token"], found["token_source"]) == (
        f"ethereum:{ADDRESS}",
        "token_ca names the address, whose form is that of ethereum",
    )


@pytest.mark.django_db
def test_a_verdict_is_explained_by_its_own_rules_and_evidence_after_both_have_changed(
    rules_on: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    before = explained(signal, capsys)
    OnchainFeature.objects.all().delete()
    rules = tmp_path / "rules.yml"
    rules.write_text("windows: [60]\n")
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(rules))
    after = explained(signal, capsys)
    for each in (before, after):
        del each["verdict"]["evidence_age_seconds_now"]
    assert after == before
    assert "upgrade_if" in before["verdict"]["rules_text"]


@pytest.mark.django_db
def test_the_text_form_says_all_of_it(rules_on: None, capsys: pytest.CaptureFixture[str]) -> None:
    make_upgradable()
    signal = make_signal(event_key=f"base:{ADDRESS}", token_ca=f"eth:{ADDRESS}")
    verify_signals(now=NOW)
    Event.objects.filter(pk=signal.event_id).update(token_ca=ADDRESS)
    call_command("verify_signal", "--explain", str(signal.pk))
    lines = capsys.readouterr().out.splitlines()
    said = f"token_ca '{ADDRESS}', event_key 'base:{ADDRESS}'"
    assert lines[:2] == [f"signal {signal.pk} is verified", "verdict       upgrade 1.000"]
    assert lines[3:5] == [
        f"token         base:{ADDRESS} (token_ca names the address, event_key the chain: {said})",
        f"              at the verdict: ethereum:{ADDRESS}",
    ]
    assert lines[5].startswith(
        "evidence      measured 2026-03-01T11:55:00+00:00: 5 min old at the verdict, "
    )
    assert lines[8:] == [
        "downgrade_if  top10_share >= 0.70      0.1   does not hold  margin -0.60",
        "              self_loop_ratio >= 0.20  0.01  does not hold  margin -0.19",
        "upgrade_if    active_addr_pctl >= 0.95  0.9975  holds  margin +0.0475",
        "              growth_ratio >= 2.0       2.5     holds  margin +0.5",
        "another verdict needs",
        "  downgrade   top10_share >= 0.70 (is 0.1); and self_loop_ratio >= 0.20 (is 0.01)",
        "  hold        active_addr_pctl < 0.95 (is 0.9975) or growth_ratio < 2.0 (is 2.5)",
        "job           settled, checked last at 2026-03-01T12:00:00+00:00, upgrade",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token_ca", "features", "needs"),
    [
        (None, None, ["events.token_ca names the token as chain:address"]),
        (
            ADDRESS,
            None,
            [NO_ROW],
        ),
        (
            ADDRESS,
            {"age": 91 * MINUTE},
            [NO_ROW],
        ),
        (
            ADDRESS,
            {"top10_share": None},
            [
                "active_addr_pctl is there: the row has addr_active, and the chain has 200 rows in 7 days",
                "top10_share is measured",
            ],
        ),
    ],
)
def test_a_verdict_that_decided_nothing_says_what_it_lacks(
    token_ca: str | None,
    features: dict[str, Any] | None,
    needs: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if features is not None:
        make_features(**features)
    signal = make_signal(token_ca=token_ca)
    verify_signals(now=NOW)
    assert explained(signal, capsys)["another_verdict"] == [
        {"decision": None, "all_of": needs, "one_of": []}
    ]


@pytest.mark.django_db
def test_a_feature_out_of_range_is_named_with_its_range(capsys: pytest.CaptureFixture[str]) -> None:
    make_population()
    make_features(growth_ratio=Decimal(-1))
    execute("UPDATE onchain_features SET top10_share = 'NaN' WHERE growth_ratio = -1")
    signal = make_signal()
    verify_signals(now=NOW)
    found = explained(signal, capsys)
    assert found["verdict"]["features"]["top10_share"] == "NaN"
    assert found["another_verdict"][0]["all_of"] == [
        "growth_ratio is at least 0",
        "top10_share is at least 0 and at most 1",
    ]


@pytest.mark.django_db
def test_a_verdict_whose_rules_are_not_kept_is_shown_without_conditions(
    rules_on: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    execute("DELETE FROM verification_rules")
    call_command("verify_signal", "--explain", str(signal.pk))
    out = capsys.readouterr().out
    assert "whose text is not kept: no conditions to show" in out
    assert "another verdict" not in out


@pytest.mark.django_db
def test_a_verdict_outlives_its_signal(rules_on: None, capsys: pytest.CaptureFixture[str]) -> None:
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    number = signal.pk
    execute(f"DELETE FROM signals WHERE id = {number}")
    call_command("verify_signal", "--explain", str(number))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"signal {number} is deleted"
    assert f"token         ethereum:{ADDRESS} (the signal was deleted)" in lines


@pytest.mark.django_db
def test_a_signal_without_a_verdict_and_one_that_never_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    signal = make_signal()
    call_command("verify_signal", "--explain", str(signal.pk))
    assert "verdict       none yet" in capsys.readouterr().out
    with pytest.raises(
        CommandError, match="there is no signal 987654321, and no verdict"
    ) as caught:
        call_command("verify_signal", "--explain", "987654321")
    assert caught.value.returncode == 1


NUMBERS = st.sampled_from([Decimal(n) / 4 for n in range(5)])


def lists_of(*features: Feature) -> st.SearchStrategy[tuple[Condition, ...]]:
    """Draw lists of conditions on these features."""
    conditions = st.builds(Condition, st.sampled_from(features), st.sampled_from(Operator), NUMBERS)
    return st.lists(conditions, min_size=1, max_size=3, unique=True).map(tuple)


LISTS = lists_of(*Feature)
RULES = st.builds(Rules, st.just(frozenset({60})), LISTS, LISTS, st.just(""))
FEATURES = st.fixed_dictionaries(dict.fromkeys(Feature, NUMBERS))


def is_taken(way: Way, features: dict[Feature, Decimal]) -> bool:
    """Return whether the features meet what the way asks for."""
    return all(
        each.condition.holds(features[each.condition.feature]) for each in way.all_of
    ) and all(
        any(each.condition.holds(features[each.condition.feature]) for each in choice)
        for choice in way.one_of
    )


@given(RULES, FEATURES, FEATURES)
def test_no_other_decision_is_reached_but_by_its_way(
    rules: Rules, before: dict[Feature, Decimal], after: dict[Feature, Decimal]
) -> None:
    """Whatever features lead to another decision, they meet what its way asks for."""
    decided = evaluate(rules, 60, before).decision
    reached = evaluate(rules, 60, after).decision
    ways = {way.decision: way for way in other_decisions(rules, before)}
    assert decided not in ways
    if reached != decided:
        assert is_taken(ways[reached], after)


@given(lists_of(*list(Feature)[:2]), lists_of(*list(Feature)[2:]), FEATURES, FEATURES)
def test_a_way_that_is_taken_leads_to_its_decision(
    upgrade_if: tuple[Condition, ...],
    downgrade_if: tuple[Condition, ...],
    before: dict[Feature, Decimal],
    after: dict[Feature, Decimal],
) -> None:
    """Where the lists share no feature, and what held of the decision's own list still does."""
    rules = Rules(frozenset({60}), upgrade_if, downgrade_if, "")
    lists = {Decision.UPGRADE: upgrade_if, Decision.DOWNGRADE: downgrade_if}
    for way in other_decisions(rules, before):
        asked = {each.condition.feature for each in sum(way.one_of, way.all_of)}
        changed = {**before, **{feature: after[feature] for feature in asked}}
        own = lists.get(way.decision or Decision.HOLD, ())
        if is_taken(way, changed) and all(each.holds(changed[each.feature]) for each in own):
            assert evaluate(rules, 60, changed).decision == way.decision


@pytest.mark.django_db
def test_the_blocks_that_the_evidence_rests_on_are_named_while_it_is_there(
    rules_on: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row of another window, and one of another time, are not the evidence."""
    make_upgradable()
    signal = make_signal()
    block_hash = "0x" + 64 * "c"
    evidence = OnchainFeature.objects.filter(address=ADDRESS)
    evidence.update(chain="eth", from_block=100, to_block=164, block_hash=block_hash)
    make_features(window_minutes=30, to_block=7, chain="eth")
    verify_signals(now=NOW)
    make_features(age=4 * MINUTE, to_block=8, chain="eth")
    assert explained(signal, capsys)["blocks"] == {"first": 100, "last": 164, "hash": block_hash}
    call_command("verify_signal", "--explain", str(signal.pk))
    line = f"blocks        100 to 164, whose hash is {block_hash}"
    assert line in capsys.readouterr().out.splitlines()
    evidence.delete()
    assert explained(signal, capsys)["blocks"] is None
