"""manage.py pull_features: what it prints, its exit codes and metrics; it shows no address of a node."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import connection

from signals.chain import nodes as nodes_module
from signals.chain_models import ChainCursor
from signals.management.arguments import ExitCode
from signals.models import Event, OnchainFeature, Signal, SignalVerification
from signals.verification.job import verify_signals
from tests.chain.local_chain import (
    KEY,
    ZERO,
    LocalChain,
    LocalNode,
    account,
    random_trade,
    transfer,
)
from tests.chain.pulls import expected, measured, pull
from tests.postgres.databases import ROOT
from tests.verification.test_metrics import samples_of

pytestmark = pytest.mark.django_db

TOKENS = [account(f"token {number}") for number in range(3)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes_module, "LONGEST_PAUSE", 0.001)


@pytest.fixture
def traded(chain: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> LocalChain:
    """Return a chain whose node is set in the environment."""
    random_trade(Random(11), chain, TOKENS, 80)  # noqa: S311 - no secret
    monkeypatch.setenv("ONCHAIN_RPC_URL", f"eth={node.url}")
    return chain


def run(*words: str) -> str:
    out = StringIO()
    call_command("pull_features", *words, stdout=out)
    return out.getvalue()


def refused(*words: str) -> tuple[int, str]:
    """Return exit code and complaint."""
    with pytest.raises(CommandError) as caught:
        run(*words)
    return caught.value.returncode, str(caught.value)


def of_token(token: str, state: str = "candidate", **fields: Any) -> Signal:
    event = Event.objects.create(
        event_key=f"event {token} {state}",
        token_ca=token,
        start_ts="2026-01-01T00:00Z",
        last_ts="2026-01-01T00:00Z",
    )
    return Signal.objects.create(event=event, state=state, **fields)


def settled(signal: Signal, age: str) -> None:
    SignalVerification.objects.create(signal=signal, status="settled", outcome="evaluated")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE signal_verifications SET updated_at = now() - %s::interval WHERE signal_id = %s",
            [age, signal.pk],
        )


def test_the_tokens_of_candidates_and_of_signals_verified_lately_are_pulled(
    traded: LocalChain,
) -> None:
    candidate, verified, other = (account(f"token {number}") for number in (0, 1, 2))
    of_token(candidate.upper().replace("0X", "0x"))
    of_token(f"bsc:{account(5)}")
    of_token("no address")
    settled(of_token(verified, "verified"), "23 hours")
    settled(of_token(other, "verified"), "25 hours")
    settled(of_token(account(6), "downgraded"), "1 hour")
    out = run()
    assert out.startswith("ethereum: 2 tokens pulled, 69 blocks, "), out
    addresses = set(ChainCursor.objects.values_list("address", flat=True))
    assert addresses == {candidate, verified}
    assert measured(candidate, 60) == expected(traded, candidate, 60)


def test_a_verdict_can_be_traced_to_blocks(
    traded: LocalChain, capsys: pytest.CaptureFixture[str]
) -> None:
    """With few rows of the chain, the percentile is missing; the other features are those pulled."""
    token = TOKENS[0]
    signal = of_token(f"mainnet:{token}")
    Signal.objects.update(created_at="2023-11-14T00:00Z")
    run()
    block = traded.blocks[-13]
    verify_signals(now=datetime.fromtimestamp(block.time + 300, UTC))
    call_command("verify_signal", "--explain", str(signal.pk), "--json")
    explained = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert explained["blocks"] == {"first": 0, "last": 68, "hash": block.hash}
    verdict, wanted = explained["verdict"], expected(traded, token, 60)
    assert (verdict["note"], verdict["named"]) == ("feature_missing", ["active_addr_pctl"])
    found = [
        verdict["features"][name] for name in ("growth_ratio", "top10_share", "self_loop_ratio")
    ]
    assert [*map(Decimal, found)] == [wanted.growth, wanted.top10, wanted.loops]


def test_a_token_that_no_signal_asks_for_any_more_is_left_alone(traded: LocalChain) -> None:
    signal = of_token(TOKENS[0])
    run()
    Signal.objects.filter(pk=signal.pk).delete()
    traded.mine_empty(5)
    run()
    cursor = ChainCursor.objects.get()
    assert cursor.block == len(traded.blocks) - 1 - 12 - 5


def test_json_has_the_counts_of_each_chain(traded: LocalChain) -> None:
    (chain,) = json.loads(run("--json", "--token", f"eth:{TOKENS[0]}"))["chains"]
    assert chain.pop("seconds") > 0
    assert chain.pop("logs") > 10
    assert chain == {
        "chain": "ethereum",
        "pulled": 1,
        "failed": 0,
        "left": 0,
        "blocks": 69,
        "head": 80,
        "confirmed": 68,
        "error": "",
    }


def test_a_node_that_fails_is_a_finding_without_its_address(
    traded: LocalChain, node: LocalNode
) -> None:
    node.misbehave = lambda _asked, _params: (401, KEY.encode())
    code, text = refused("--token", TOKENS[0])
    assert (code, text) == (
        ExitCode.FINDINGS,
        "ethereum: node 1 of 1 of ethereum: HTTP 401",
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--rpc-url", f"ftp://host/{KEY}"), ExitCode.CONFIGURATION, "value 1, which is not shown"),
        (("--rpc-url", f"eth=https://:{KEY}@/"), ExitCode.CONFIGURATION, "ONCHAIN_RPC_URL"),
        (("--rpc-url", f"https://host:x/{KEY}"), ExitCode.CONFIGURATION, "ONCHAIN_RPC_URL"),
        ((f"https://host/{KEY}",), ExitCode.FINDINGS, "which is not shown"),
        (("--watch", f"https://host/{KEY}"), ExitCode.FINDINGS, "not a whole number"),
        (("--metrics", "9100"), ExitCode.USAGE, "--metrics is for --watch"),
        (("--token", "solana:abc"), ExitCode.FINDINGS, "is no token"),
        (("--from", "yesterday"), ExitCode.FINDINGS, "is not a time"),
        (("--source", "files"), ExitCode.FINDINGS, "invalid choice"),
    ],
)
def test_what_is_wrong_is_said_without_the_key(
    words: tuple[str, ...], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, complaint = refused(*words)
    assert found == code
    assert text in complaint
    assert KEY not in complaint + capsys.readouterr().err


def test_without_a_node_it_says_how_to_add_one() -> None:
    assert refused() == (
        ExitCode.CONFIGURATION,
        "no chain has a node (set ONCHAIN_RPC_URL to chain=https://…, or give --rpc-url)",
    )


def test_check_tells_how_far_the_chains_are(traded: LocalChain, node: LocalNode) -> None:
    code, text = refused("--check")
    assert (code, "start one" in text) == (ExitCode.STUCK, True)
    run("--token", TOKENS[0])
    assert "1 tokens, 12 blocks behind (144 s)" in run("--check")
    (state,) = json.loads(run("--check", "--json"))["chains"]
    assert (state["lag_blocks"], state["lag_seconds"], state["head"]) == (12, 144, 80)
    node.misbehave = lambda _asked, _params: (500, b"")
    refused("--token", TOKENS[0])
    code, text = refused("--check")
    assert (code, text) == (ExitCode.FINDINGS, "ethereum: node 1 of 1 of ethereum: HTTP 500")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE chain_states SET heartbeat_at = now() - interval '301 seconds'")
    assert refused("--check")[0] == ExitCode.STUCK
    assert refused("--check", "--max-age", "400")[0] == ExitCode.FINDINGS


def test_the_textfile_has_the_figures_of_the_chains(traded: LocalChain, tmp_path: Path) -> None:
    file = tmp_path / "pull.prom"
    run("--token", *TOKENS, "--prometheus", str(file))
    samples = samples_of(file.read_text())
    assert samples["chain_lag_blocks", "ethereum"] == 12
    assert samples["chain_lag_seconds", "ethereum"] == 144
    assert samples["chain_head_block", "ethereum"] == 80
    assert samples["chain_tokens", "ethereum"] == 3
    assert samples["chain_logs_total", "ethereum"] > 50
    assert samples["chain_requests_total", "ethereum"] > 5
    assert (samples["chain_retries_total", "ethereum"], samples["chain_up", ""]) == (0, 1)
    assert (samples["chain_failed", "ethereum"], samples["chain_reorgs_total", "ethereum"]) == (
        0,
        0,
    )


@pytest.mark.parametrize("first", ["60", "2023-11-14T22:25:19Z"])
def test_what_a_first_pull_cannot_know_is_missing(first: str, traded: LocalChain) -> None:
    """Block 60 is 720 s after block 0, so no window lies behind it."""
    run("--token", TOKENS[0], "--from", first)
    cursor = ChainCursor.objects.get()
    assert (cursor.first_block, cursor.block) == (60, 68)
    for minutes in (30, 60, 180):
        found = measured(TOKENS[0], minutes)
        assert {getattr(found, name) for name in found.__slots__} == {None}
    assert set(OnchainFeature.objects.values_list("from_block", "to_block")) == {(60, 68)}


def test_what_lies_behind_the_first_block_is_measured(
    chain: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The growth over 60 minutes needs 120, the top 10 need all."""
    chain.seconds = 60
    random_trade(Random(12), chain, TOKENS, 400)  # noqa: S311 - no secret
    monkeypatch.setenv("ONCHAIN_RPC_URL", node.url)
    monkeypatch.setenv("ONCHAIN_CONFIRMATIONS", "0")
    run("--token", TOKENS[0], "--from", str(400 - 100))
    for minutes, has_window, has_growth in (
        (30, True, True),
        (60, True, False),
        (180, False, False),
    ):
        found = measured(TOKENS[0], minutes)
        wanted = expected(chain, TOKENS[0], minutes, confirmations=0)
        assert found.active == (wanted.active if has_window else None)
        assert found.transactions == (wanted.transactions if has_window else None)
        assert found.loops == (wanted.loops if has_window else None)
        assert found.growth == (wanted.growth if has_growth else None)
        assert found.top10 is None


def test_known_pools_are_no_holders_and_no_wallets(
    traded: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    whale = account("washer 0")
    monkeypatch.setenv("ONCHAIN_POOLS", f"{whale}, bsc:{account(1)}")
    run("--token", *TOKENS)
    for token in TOKENS:
        for minutes in (30, 60, 180):
            assert measured(token, minutes) == expected(traded, token, minutes, pools=[whale])


def test_balances_below_zero_count_as_none(
    chain: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that rebases, or whose fees have no log, lets people send what they never received."""
    token, one, other, third = TOKENS[0], account(1), account(2), account(3)
    chain.mine(transfer(token, ZERO, one, 100), transfer(token, one, other, 250))
    chain.mine(transfer(token, other, third, 50))
    monkeypatch.setenv("ONCHAIN_RPC_URL", node.url)
    monkeypatch.setenv("ONCHAIN_CONFIRMATIONS", "0")
    run("--token", token)
    with connection.cursor() as cursor:
        cursor.execute("SELECT '0x' || encode(holder, 'hex'), net FROM chain_balances")
        assert dict(cursor.fetchall()) == {one: -150, other: 200, third: 50}
    assert measured(token, 60) == expected(chain, token, 60, confirmations=0)
    assert measured(token, 60).top10 == 1


def test_sums_of_a_hostile_token_are_wider_than_a_uint256(
    chain: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, most = TOKENS[0], 2**256 - 1
    chain.mine(*(transfer(token, ZERO, account(n % 2), most - n) for n in range(30)))
    monkeypatch.setenv("ONCHAIN_RPC_URL", node.url)
    monkeypatch.setenv("ONCHAIN_CONFIRMATIONS", "0")
    run("--token", token)
    assert measured(token, 60) == expected(chain, token, 60, confirmations=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(net) FROM chain_balances")
        assert cursor.fetchone() == (30 * most - sum(range(30)),)


def test_a_token_that_is_far_behind_gets_a_range_in_each_pass(
    chain: LocalChain, node: LocalNode, small_ranges: None
) -> None:
    """The one that is near the head does not wait for it."""
    near, far = TOKENS[:2]
    chain.seconds = 300
    random_trade(Random(13), chain, [far], 250)  # noqa: S311 - no secret
    pull(node, [near], first=200)
    blocks = []
    for _ in range(3):
        chain.mine(transfer(near, account(1), account(2), 5))
        assert (pull(node, [near, far], seconds=0.0)).pulled == 1
        blocks.append(ChainCursor.objects.get(address=far).block)
        assert ChainCursor.objects.get(address=near).block == len(chain.blocks) - 13
    assert blocks == sorted(set(blocks))
    assert 0 < blocks[0] < blocks[-1] < 200
    pull(node, [near, far])
    assert measured(far, 60) == expected(chain, far, 60)


def test_a_token_that_was_pulled_within_the_gap_is_left_out(
    chain: LocalChain, node: LocalNode
) -> None:
    """Two watchers of one interval do not read everything twice."""
    chain.mine_empty(20)
    assert pull(node, TOKENS[:1]).pulled == 1
    assert pull(node, TOKENS, gap=60.0).pulled == 2
    assert pull(node, TOKENS).pulled == 3


def test_a_chain_without_enough_confirmations_says_so(
    chain: LocalChain, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCHAIN_RPC_URL", node.url)
    monkeypatch.setenv("ONCHAIN_CONFIRMATIONS", "3, bsc=7")
    chain.mine_empty(2)
    code, text = refused("--token", TOKENS[0])
    assert (code, text) == (
        ExitCode.FINDINGS,
        (
            "ethereum: the chain has 3 blocks, so none has 3 confirmations yet (wait, or lower "
            "ONCHAIN_CONFIRMATIONS)"
        ),
    )


def test_what_was_read_of_one_chain_is_not_continued_on_another(
    node: LocalNode, chain: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain that has no known ID is known by that of the first pull."""
    chain.chain_id = 31337
    chain.mine_empty(20)
    monkeypatch.setenv("ONCHAIN_RPC_URL", f"local={node.url}")
    run("--token", f"local:{TOKENS[0]}")
    chain.chain_id = 31338
    code, text = refused("--token", f"local:{TOKENS[0]}")
    assert code == ExitCode.FINDINGS
    assert "has the chain ID 31338, but what is stored of local was read" in text


def test_the_rules_ask_for_metrics_that_are_there(traded: LocalChain, tmp_path: Path) -> None:
    file = tmp_path / "pull.prom"
    run("--token", *TOKENS, "--prometheus", str(file))
    known = {name for name, _ in samples_of(file.read_text())}
    *_, group = yaml.safe_load((ROOT / "infra/prometheus-rules.yml").read_text())["groups"]
    asked = {name for rule in group["rules"] for name in re.findall(r"signals_(\w+)", rule["expr"])}
    assert asked
    assert asked <= known
