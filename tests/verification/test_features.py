"""Reading the newest measurements of tokens."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals.verification.features import Evidence, EvidenceReader
from signals.verification.tokens import CHAIN_ALIASES, Token
from signals.verification.verdict import Feature
from tests.verification.sample_rows import (
    ADDRESS,
    MINUTE,
    NOW,
    SECOND,
    make_features,
    make_population,
)

pytestmark = pytest.mark.django_db

TOKEN = Token("ethereum", ADDRESS)


def newest(token: Token = TOKEN) -> Evidence | None:
    return EvidenceReader(CHAIN_ALIASES).read_newest(connection, [token], NOW).get(token)


def percentile() -> Decimal | None:
    evidence = newest()
    assert evidence
    return evidence.features[Feature.ACTIVE_ADDR_PCTL]


def test_a_token_without_a_row_is_left_out() -> None:
    assert newest() is None


def test_the_newest_row_is_read() -> None:
    make_features(age=10 * MINUTE, top10_share=Decimal("0.3"))
    make_features(age=5 * MINUTE, top10_share=Decimal("0.2"))
    evidence = newest()
    assert evidence
    assert evidence.as_of == NOW - 5 * MINUTE
    assert evidence.features[Feature.TOP10_SHARE] == Decimal("0.2")


@pytest.mark.parametrize("window", [30, 180])
def test_rows_of_another_window_do_not_count(window: int) -> None:
    make_features(window_minutes=window)
    assert newest() is None


def test_a_row_two_minutes_in_the_future_is_believed_and_no_later_one() -> None:
    make_features(age=-2 * MINUTE)
    make_features(age=-2 * MINUTE - SECOND)
    evidence = newest()
    assert evidence
    assert evidence.as_of == NOW + 2 * MINUTE


def test_a_row_is_stale_when_it_is_older_than_ninety_minutes() -> None:
    assert not Evidence(NOW - 90 * MINUTE, 2, {}).is_stale(NOW)
    assert Evidence(NOW - 90 * MINUTE - SECOND, 2, {}).is_stale(NOW)


def test_a_row_older_than_seven_days_is_taken_for_none() -> None:
    make_features(age=timedelta(days=7) + SECOND)
    assert newest() is None


@pytest.mark.parametrize("written", [ADDRESS, ADDRESS.upper(), "0x" + "aB" * 20])
def test_an_evm_address_is_found_in_any_case(written: str) -> None:
    make_features(address=written)
    assert newest()


def test_an_address_of_another_chain_is_found_in_its_case_only() -> None:
    make_features(chain="solana", address="AbC")
    assert newest(Token("solana", "AbC"))
    assert newest(Token("solana", "abc")) is None


def test_a_row_of_another_chain_is_another_token() -> None:
    make_features(chain="bsc")
    assert newest() is None


@pytest.mark.parametrize(
    ("version", "growth"),
    [(1, Decimal("2.5")), (2, Decimal("1.5")), (3, None), (0, None), (-1, None)],
)
def test_growth_is_current_over_previous_whatever_the_version_stores(
    version: int, growth: Decimal | None
) -> None:
    make_features(growth_ratio=Decimal("1.5"), calc_version=version)
    evidence = newest()
    assert evidence
    assert evidence.features[Feature.GROWTH_RATIO] == growth


def test_what_was_not_measured_is_missing_and_never_zero() -> None:
    make_features(growth_ratio=None, top10_share=None, self_loop_ratio=None, addr_active=None)
    make_population(300)
    evidence = newest()
    assert evidence
    assert dict(evidence.features) == dict.fromkeys(Feature)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", f"0.{'9' * 60}"])
def test_a_number_is_read_as_it_is_stored(number: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, top10_share, "
            "calc_version) VALUES ('ethereum', %s, %s, 60, %s::numeric, 2)",
            [ADDRESS, NOW, number],
        )
    evidence = newest()
    assert evidence
    share = evidence.features[Feature.TOP10_SHARE]
    assert share is not None
    assert str(share) == str(Decimal(number)) or share == Decimal(number)


@pytest.mark.parametrize("spelling", ["ethereum", "ETH", "Mainnet", "eth-mainnet"])
def test_a_chain_is_found_by_each_of_its_names(spelling: str) -> None:
    make_features(chain=spelling)
    assert newest()


def test_the_newest_of_several_spellings_of_a_token_is_read() -> None:
    make_features(chain="eth", address=ADDRESS.upper(), age=3 * MINUTE)
    make_features(chain="ethereum", age=4 * MINUTE)
    evidence = newest()
    assert evidence
    assert evidence.as_of == NOW - 3 * MINUTE


def test_the_population_of_a_chain_has_the_rows_of_all_its_spellings() -> None:
    make_features()
    make_population(99)
    make_population(100, chain="eth")
    assert percentile() == Decimal("0.9975")


@pytest.mark.parametrize(("others", "expected"), [(198, None), (199, Decimal("0.9975"))])
def test_a_percentile_needs_two_hundred_rows(others: int, expected: Decimal | None) -> None:
    make_features()
    make_population(others)
    assert percentile() == expected


def test_a_percentile_counts_half_of_the_rows_that_are_equal() -> None:
    make_features(addr_active=100)
    make_population(299)  # 100 below, the row itself and one equal, 198 above
    assert percentile() == Decimal("0.3366666666666666666666666667")


@pytest.mark.parametrize(
    ("age", "counts"),
    [
        (timedelta(days=7), True),
        (timedelta(days=7) + SECOND, False),
        (-2 * MINUTE, True),
        (-2 * MINUTE - SECOND, False),
    ],
)
def test_a_percentile_looks_back_seven_days(age: timedelta, counts: bool) -> None:
    make_features()
    make_population(199, age=age)
    assert (percentile() is not None) is counts


def test_a_percentile_is_among_the_same_chain_and_window() -> None:
    make_features()
    make_population(199, chain="bsc")
    make_population(198)
    make_features(window_minutes=30, address="0x01")
    make_features(addr_active=None, address="0x02")
    assert percentile() is None


def test_each_chain_has_its_own_percentiles() -> None:
    make_features(addr_active=50)
    make_features(addr_active=50, chain="bsc")
    make_population(199)
    make_population(399, chain="bsc")
    other = Token("bsc", ADDRESS)
    found = EvidenceReader(CHAIN_ALIASES).read_newest(connection, [TOKEN, other], NOW)
    assert found[TOKEN].features[Feature.ACTIVE_ADDR_PCTL] == Decimal("0.255")
    assert found[other].features[Feature.ACTIVE_ADDR_PCTL] == Decimal("0.1275")


def test_any_number_of_tokens_takes_one_statement_and_two_for_the_run() -> None:
    tokens = [Token("ethereum", f"0x{n:040x}") for n in range(50)]
    for token in tokens:
        make_features(address=token.address)
    reader = EvidenceReader(CHAIN_ALIASES)
    with CaptureQueriesContext(connection) as queries:
        assert set(reader.read_newest(connection, [*tokens, *tokens], NOW)) == set(tokens)
        assert len(queries) == 3
        reader.read_newest(connection, tokens, NOW)
    assert len(queries) == 4
