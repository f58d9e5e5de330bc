"""Judging in the database, which must do what evaluation in Python does."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signals.models import OnchainFeature
from signals.verification import job, rules_file
from signals.verification.candidates import Batch, claim
from signals.verification.evaluation import evaluate_batch
from signals.verification.intake import take_in
from signals.verification.job import verify_signals
from signals.verification.judging import judge
from signals.verification.rules import Condition, Operator, Rules
from signals.verification.run import Run, start_run
from signals.verification.settings import Mode
from signals.verification.tokens import Token
from signals.verification.verdict import Feature
from tests.verification.database import execute, verdicts, verification
from tests.verification.sample_rows import (
    ADDRESS,
    MINUTE,
    NOW,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db

SOLANA = "So11111111111111111111111111111111111111112"
ADDRESSES = (
    *(ADDRESS, ADDRESS.upper().replace("0X", "0x"), "0X" + "cd" * 20),
    *(SOLANA, "x", "a" * 200, "a" * 201),
)
CHAINS = (
    *("ethereum", "ETH", "bnb-chain", "Solana", "unheard_of", "arb"),
    *("1inch", "c" * 50, "c" * 51, ""),
)
# Each bound of the rules, and the numbers next to it.
NUMBERS = tuple(
    map(
        Decimal,
        (
            *("0", "0.1", "0.4", "0.69999999999999999999", "0.70", "0.70000000000000000001"),
            *("0.9975", "1", "1.00000000000000000001", "2.0", "1.0353", "0.0353", "-1"),
            *("-0.00000000000000000001", "1e-18", "1e9", "NaN", "Infinity", "-Infinity"),
        ),
    )
)


@dataclass(frozen=True)
class Case:
    """A signal and the measurements of a token that may be its own."""

    event_key: str
    token_ca: str | None
    age: timedelta
    measurements: tuple[dict[str, Any], ...]


def texts() -> st.SearchStrategy[str]:
    """Return names of tokens: chain:address, parts of it, and texts with characters that do not belong."""
    named = st.builds("{}:{}".format, st.sampled_from(CHAINS), st.sampled_from(ADDRESSES))
    tailed = st.builds("{}:{}".format, named, st.sampled_from(("", "a topic", "x", "é", "a:b")))
    spoiled = st.builds(
        "{}{}{}".format,
        st.sampled_from(("", " ", "\t", "\N{NO-BREAK SPACE}", "é", "\n")),
        st.one_of(named, st.sampled_from(ADDRESSES)),
        st.sampled_from(("", " ", "\N{IDEOGRAPHIC SPACE}", ":", "é", "\n")),
    )
    odd = st.sampled_from(("", "::", " "))
    usual = st.just(f"ethereum:{ADDRESS}")
    return st.one_of(usual, named, tailed, st.sampled_from(ADDRESSES), spoiled, odd)


def measurements() -> st.SearchStrategy[dict[str, Any]]:
    number = st.none() | st.sampled_from(NUMBERS)
    return st.fixed_dictionaries(
        {
            "chain": st.sampled_from(
                ("ethereum", "eth", "Mainnet", "bsc", "BNB", "solana", "unheard-of")
            ),
            "address": st.just(ADDRESS) | st.sampled_from(ADDRESSES),
            "age": st.sampled_from(
                [MINUTE * minutes for minutes in (5, 5, 90, 91, -2, -3, 8 * 24 * 60)]
            ),
            "window_minutes": st.sampled_from((60, 60, 60, 30)),
            "addr_active": st.none() | st.integers(-3, 230),
            "growth_ratio": number,
            "top10_share": number,
            "self_loop_ratio": number,
            "calc_version": st.sampled_from((1, 2, 2, 3)),
        }
    )


def conditions() -> st.SearchStrategy[tuple[Condition, ...]]:
    finite = st.sampled_from([number for number in NUMBERS if number.is_finite()])
    one = st.builds(Condition, st.sampled_from(Feature), st.sampled_from(Operator), finite)
    return st.lists(one, min_size=1, max_size=3).map(tuple)


RULES = st.builds(
    Rules,
    windows=st.sampled_from((frozenset({30, 60, 180}), frozenset({60}), frozenset({30}))),
    upgrade_if=conditions(),
    downgrade_if=conditions(),
    sha256=st.just("5" * 64),
    text=st.just("the drawn rules"),
)
POPULATIONS = f"""
INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, addr_active, calc_version)
SELECT chain, 'other-' || n, '{NOW - 60 * MINUTE}', 60, n, 2
FROM (VALUES ('ethereum', 199), ('BNB', 205), ('solana', 150)) AS population(chain, rows),
    generate_series(1, rows) n
"""
CASES = st.lists(
    st.builds(
        Case,
        event_key=texts(),
        token_ca=st.none() | texts(),
        age=st.sampled_from((10 * MINUTE, 3 * MINUTE, 2 * MINUTE, 13 * MINUTE)),
        measurements=st.lists(measurements(), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda case: case.event_key,
)


def in_database(run: Run, size: int) -> tuple[Batch, Counter[str]]:
    """Judge with the populations of all chains, which ordinary runs read as they need them."""
    tokens = [Token(chain, "any") for chain in run.evidence.spellings(connection)]
    run.evidence.read_newest(connection, tokens, run.read_clock())
    return judge(run, size)


def in_python(run: Run, size: int) -> tuple[Batch, Counter[str]]:
    return claim(run, size), Counter()


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def measure(*, age: timedelta, **fields: Any) -> None:
    """Insert a measurement by SQL, which takes infinities too."""
    values = {"as_of_ts": NOW - age, **fields}
    places = ", ".join(f"%({name})s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO onchain_features ({', '.join(values)}) VALUES ({places}) ON CONFLICT DO NOTHING",
            values,
        )


def what_is_written(way: Any, mode: str, limit: int | None = 100) -> tuple[Any, ...]:
    """Return the counts and the rows of two runs, the second one over newer evidence for every token.

    A run without a limit judges new signals by ranges.
    """
    with (
        undone(),
        patch.dict("os.environ", {"ONCHAIN_RULES": mode}),
        patch.object(job, "judge", way),
    ):
        counts = [verify_signals(limit, now=NOW).counts]
        execute(
            "UPDATE onchain_features SET as_of_ts = as_of_ts + interval '10 minutes', "
            "top10_share = top10_share / 2"
        )
        counts.append(verify_signals(limit, now=NOW + 30 * MINUTE).counts)
        return (*counts, *rows())


def rows() -> list[tuple[Any, ...]]:
    """Return what runs write, without what differs between any two runs."""
    with connection.cursor() as cursor:
        found = []
        for query in (
            "SELECT to_jsonb(s) FROM signals s ORDER BY id",
            "SELECT to_jsonb(v) - 'run' - 'rules_id' FROM signal_verifications v ORDER BY signal_id",
            "SELECT to_jsonb(e) - 'run' - 'id' FROM signal_events e ORDER BY signal_id, e.id",
        ):
            cursor.execute(query)
            found += cursor.fetchall()
        return found


@given(cases=CASES, rules=RULES, mode=st.sampled_from(("on", "off")))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_database_judges_as_python_does(cases: list[Case], rules: Rules, mode: str) -> None:
    with undone(), patch.object(rules_file, "load_rules", return_value=rules):
        for case in cases:
            make_signal(event_key=case.event_key, token_ca=case.token_ca, age=case.age)
            for fields in case.measurements:
                measure(**fields)
        execute(POPULATIONS)
        expected = what_is_written(in_python, mode)
        assert what_is_written(in_database, mode) == expected
        assert what_is_written(in_database, mode, None) == expected


@pytest.mark.parametrize(
    ("event_key", "token_ca"),
    [
        ("a-key", ADDRESS),
        ("ethereum:" + ADDRESS, None),
        ("eth:" + ADDRESS + ":topic", ""),
        ("bsc:0x01", ADDRESS),
        ("unheard_of:" + ADDRESS, ADDRESS),
        ("solana:" + SOLANA, SOLANA),
        ("a-key", "Arbitrum-One:" + ADDRESS),
    ],
)
def test_usual_tokens_are_judged_in_the_database(event_key: str, token_ca: str | None) -> None:
    signal = make_signal(event_key=event_key, token_ca=token_ca)
    run = start_run(NOW)
    take_in(run)
    batch, counts = in_database(run, 10)
    assert batch.candidates == []
    assert (counts["scanned"], counts["insufficient"]) == (1, 1)
    assert verification(signal).checks == 1


@pytest.mark.parametrize("token_ca", ["0x01", ADDRESS + "é", f" {ADDRESS}", "solana:", SOLANA])
def test_other_tokens_are_claimed_and_left_to_python(token_ca: str) -> None:
    signal = make_signal(token_ca=token_ca)
    run = start_run(NOW)
    take_in(run)
    batch, counts = in_database(run, 10)
    assert [each.signal_id for each in batch.candidates] == [signal.pk]
    assert not counts
    assert verification(signal).leased_until is not None


def test_a_chain_is_judged_in_the_database_when_a_percentile_of_it_was_read() -> None:
    make_upgradable()
    make_signal()
    make_signal()
    run = start_run(NOW)
    take_in(run)
    batch, counts = judge(run, 1)
    assert (len(batch.candidates), counts["scanned"]) == (1, 0)
    evaluate_batch(run, batch)
    batch, counts = judge(run, 1)
    assert (len(batch.candidates), counts["scanned"]) == (0, 1)


def test_a_row_that_the_database_refuses_leaves_the_batch_to_python(rules_on: None) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(3)]
    execute(
        "ALTER TABLE signals ADD CONSTRAINT refused CHECK "
        f"(id <> {signals[1].pk} OR state = 'candidate')"
    )
    with patch.object(job, "judge", in_database):
        assert verify_signals(now=NOW).counts["errors"] == 1
    assert [verdicts(each) for each in signals] == [[("upgrade", "")], [], [("upgrade", "")]]


def test_a_percentile_of_evidence_newer_than_the_run_lies_between_those_it_counted() -> None:
    make_signal()
    make_features(addr_active=50)
    make_population(199)
    run = start_run(NOW)
    take_in(run)
    run.evidence.read_newest(connection, [Token("ethereum", "any")], NOW)
    OnchainFeature.objects.filter(address=ADDRESS).update(addr_active=1000)
    assert run.settings.mode is Mode.OFF
    judge(run, 10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT features ->> 'active_addr_pctl' FROM signal_events")
        assert cursor.fetchone() == ("1",)
