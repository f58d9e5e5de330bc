"""Passes that are killed at drawn moments, or work side by side, leave the tables of an undisturbed one.

    NIGHTLY=1 make test ARGS="tests/chain/test_killed_pulls.py"

kills 300 of them; KILL_SEED repeats the draws.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from threading import Barrier, Timer
from typing import Any

import pytest

from tests.chain.local_chain import LocalChain, LocalNode, account, random_trade
from tests.chain.pulls import answers
from tests.deadline import DEADLINE
from tests.postgres.databases import Database
from tests.postgres.manage_process import ManageProcess
from tests.postgres.polling import wait_until, wait_until_unused

NIGHTLY = "NIGHTLY" in os.environ
KILLS = 300 if NIGHTLY else 30
SEED = os.environ.get("KILL_SEED") or (secrets.token_hex(4) if NIGHTLY else "0018")
TOKENS = [account(f"token {number}") for number in range(5)]
MANY = [account(f"token {number}") for number in range(250)]
RANGE = 8
"""Blocks that the node gives at once, so that a pass has many ranges."""
REQUESTS = 12
"""Requests after which a pass is killed, at most; one range is four."""

Copy = Callable[[str], Database]


@contextmanager
def pulling(database: Database, node: LocalNode, tokens: Sequence[str]) -> Iterator[ManageProcess]:
    """A process that does a pass over these tokens."""
    words = [
        "pull_features",
        "--once",
        "--json",
        "--token",
        *(f"ethereum:{each}" for each in tokens),
    ]
    with database.running(*words, env={"ONCHAIN_RPC_URL": f"ethereum={node.url}"}) as process:
        yield process


def finish(database: Database, node: LocalNode, tokens: Sequence[str]) -> str:
    with pulling(database, node, tokens) as process:
        out, err = process.communicate(timeout=DEADLINE)
        assert process.wait() == 0, err
    return out


def gives_few_blocks(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
    """Refuse the logs of more than RANGE blocks."""
    if asked != "eth_getLogs":
        return None
    (query,) = params
    is_long = int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= RANGE
    return (413, b"") if is_long else None


@pytest.mark.parametrize("seed", [SEED])
def test_killed_passes_leave_the_tables_of_an_undisturbed_one(
    seed: str, chain: LocalChain, node: LocalNode, copy: Copy
) -> None:
    dice = Random(seed)  # noqa: S311 - no secret
    random_trade(dice, chain, TOKENS, 12 * KILLS)
    node.misbehave = gives_few_blocks
    undisturbed, killed = copy("clean 0013"), copy("clean 0013")
    finish(undisturbed, node, TOKENS)
    kills = 0
    for _ in range(KILLS):
        with pulling(killed, node, TOKENS) as process:
            kill_after(node, process, dice)
            process.communicate(timeout=DEADLINE)
            kills += process.wait() == -9
        node.misbehave = gives_few_blocks
        wait_until_unused(killed)
        killed.run("UPDATE chain_cursors SET leased_until = now()")  # the lease is over
    assert kills > KILLS * 0.9
    finish(killed, node, TOKENS)
    assert answers(killed.rows) == answers(undisturbed.rows)


def kill_after(node: LocalNode, process: ManageProcess, dice: Random) -> None:
    """Kill the process after a drawn number of its requests, and a drawn while."""
    left, delay = [dice.randint(3, REQUESTS)], dice.choice((0.0, dice.uniform(0, 0.02)))

    def misbehave(asked: str, params: Sequence[Any]) -> tuple[int, bytes] | None:
        left[0] -= 1
        if left[0] == 0:
            if delay:
                Timer(delay, process.kill).start()
            else:
                process.kill()
        return gives_few_blocks(asked, params)

    node.misbehave = misbehave


def test_two_passes_share_the_tokens(chain: LocalChain, node: LocalNode, copy: Copy) -> None:
    random_trade(Random(1), chain, MANY, 300)  # noqa: S311 - no secret
    alone, shared = copy("clean 0013"), copy("clean 0013")
    finish(alone, node, MANY)
    both = Barrier(2)

    def wait_for_both(_asked: str, params: Sequence[Any]) -> None:
        if params[:1] == ["latest"]:
            both.wait(DEADLINE)

    node.misbehave = wait_for_both
    with pulling(shared, node, MANY) as one, pulling(shared, node, MANY) as other:
        reports = [json_of(process) for process in (one, other)]
    assert all(report["error"] == "" for report in reports)
    assert sum(report["pulled"] for report in reports) == len(MANY)
    assert all(report["pulled"] for report in reports)
    assert answers(shared.rows) == answers(alone.rows)


def test_a_watch_follows_the_chain_until_a_signal_ends_it(
    chain: LocalChain, node: LocalNode, copy: Copy
) -> None:
    database = copy("clean 0013")
    chain.mine_empty(20)
    words = ("pull_features", "--watch", "1", "--json", "--token", f"ethereum:{TOKENS[0]}")
    with database.running(*words, env={"ONCHAIN_RPC_URL": node.url}) as process:
        wait_until(lambda: newest_block(database) == 8, "the first pass is done")
        chain.mine_empty(5)
        wait_until(lambda: newest_block(database) == 13, "the next passes follow")
        process.terminate()
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.wait(), err) == (0, "")
    reports = [json.loads(line)["chains"][0] for line in out.splitlines()]
    assert all(report["error"] == "" for report in reports)
    assert reports[-1]["confirmed"] == 13


def newest_block(database: Database) -> Any:
    return database.value("SELECT max(block) FROM chain_cursors WHERE pulled_at IS NOT NULL")


def json_of(process: ManageProcess) -> Any:
    out, err = process.communicate(timeout=DEADLINE)
    assert process.wait() == 0, err
    return json.loads(out)["chains"][0]
