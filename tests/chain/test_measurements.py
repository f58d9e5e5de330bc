"""Measurements of what was pulled equal those of the oracle."""

from random import Random

import pytest

from signals.chain import reading
from tests.chain.local_chain import LocalChain, LocalNode, account, random_trade
from tests.chain.pulls import expected, measured, pull

pytestmark = pytest.mark.django_db

TOKENS = [account(f"token {number}") for number in range(4)]


@pytest.mark.parametrize("seed", range(3))
def test_every_feature_equals_the_oracle(
    seed: int, chain: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WANTED_LOGS", 40)  # many ranges
    monkeypatch.setattr(reading, "FIRST_SPAN", 10)
    dice = Random(seed)  # noqa: S311 - no secret
    chain.seconds = dice.choice((12, 60, 150))
    for _ in range(3):
        random_trade(dice, chain, TOKENS, dice.randint(50, 200))
        report = pull(node, TOKENS)
        assert (report.error, report.pulled, report.left) == ("", 4, 0)
        for token in TOKENS:
            for minutes in (30, 60, 180):
                assert measured(token, minutes) == expected(chain, token, minutes), (token, minutes)


def test_the_drawn_trades_have_what_is_measured(chain: LocalChain) -> None:
    random_trade(Random(0), chain, TOKENS, 400)  # noqa: S311 - no secret
    found = [expected(chain, token, minutes) for token in TOKENS for minutes in (30, 60, 180)]
    assert len({each.loops for each in found}) > 6
    assert len({each.growth for each in found}) > 4
    assert len({each.top10 for each in found}) == 4
    assert all(each.loops and 0 < each.loops < 1 for each in found)
