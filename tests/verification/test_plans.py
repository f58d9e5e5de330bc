"""The plans of a run's statements at the server's default settings, on large tables in three mixes.

    NIGHTLY=1 make test ARGS="tests/verification/test_plans.py"

fills them with a million signals and a million measurements.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals.verification.arrivals import judge_range, read_chains
from signals.verification.intake import CHUNK, SWEPT, take_in
from signals.verification.job import verify_signals
from signals.verification.run import start_run
from signals.verification.tokens import CHAIN_ALIASES
from signals.verification.upkeep.backlog import MAX_COUNTED
from signals.verification.upkeep.metrics import PERIOD
from signals.verification.upkeep.statistics import read_statistics
from tests.verification.database import execute

pytestmark = pytest.mark.django_db

ROWS = 1_000_000 if "NIGHTLY" in os.environ else 40_000
TABLES = ("signals", "events", "onchain_features")
KNOWN_TABLES = ("signal_verifications", "signal_events")
EMPTY = (
    f"TRUNCATE {', '.join((*TABLES, *KNOWN_TABLES))}, verification_cursors, verification_ranges "
    "RESTART IDENTITY"
)
FILL = f"""
INSERT INTO events (event_key, token_ca, start_ts, last_ts)
SELECT 'ethereum:key:' || n, '0x' || lpad(to_hex(n), 40, '0'), now(), now()
FROM generate_series(1, {ROWS}) n;
INSERT INTO signals (event_key, created_at)
SELECT 'ethereum:key:' || n, now() - interval '1 hour' FROM generate_series(1, {ROWS}) n;
INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, addr_active, growth_ratio,
    top10_share, self_loop_ratio, calc_version)
SELECT CASE n % 20 WHEN 0 THEN 'ethereum' ELSE 'other' || n % 20 END, '0x' || lpad(to_hex(n), 40, '0'),
    now() - interval '1 minute' - n % 10000 * interval '1 minute', 60, n % 3000, 1, 0.1, 0.01, 2
FROM generate_series(1, {ROWS}) n
"""
# Each signal has been checked once; the next check of the last hundred is due, of those that are not dead.
KNOWN = f"""
INSERT INTO signal_verifications (signal_id, status, next_check_at, outcome, decision, checks, chain,
    address, updated_at)
SELECT id, CASE WHEN is_dead THEN 'dead' ELSE 'waiting' END,
    CASE WHEN is_dead THEN NULL WHEN id > {ROWS - 100} THEN now() - interval '1 minute'
        ELSE now() + interval '1 day' END,
    'evaluated', 'hold', 1, 'ethereum', '0x' || lpad(to_hex(id), 40, '0'), now()
FROM (SELECT id, {{is_dead}} AS is_dead FROM signals) each ORDER BY id;
INSERT INTO signal_events (signal_id, event_key, previous_state, new_state, decision, confidence,
    rules_sha256, run)
SELECT id, event_key, 'candidate', 'candidate', 'hold', 0.5, repeat('a', 64), gen_random_uuid()
FROM signals ORDER BY id;
INSERT INTO verification_cursors VALUES
    ('signals', {ROWS}), ('features', {ROWS}), ('sweep', {ROWS - SWEPT})
"""
MIXES = {
    "all fresh": "",
    "all waiting but a hundred": KNOWN.format(is_dead="false"),
    "half dead": KNOWN.format(is_dead="id % 2 = 0"),
}


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Fill the tables for the whole module; each test adds its mix, and takes it back."""
    with django_db_blocker.unblock():
        execute(EMPTY, FILL)
    yield
    with django_db_blocker.unblock():
        execute(EMPTY)


@pytest.fixture
def mix(filled: None, db: None, request: pytest.FixtureRequest) -> str:
    """Return the name of the mix that is in the tables."""
    name: str = request.param
    execute(MIXES[name] or "SELECT 1", f"ANALYZE {', '.join((*TABLES, *KNOWN_TABLES))}")
    return name


each_mix = pytest.mark.parametrize("mix", MIXES, indirect=True)


@each_mix
def test_no_statement_of_a_run_scans_or_sorts_what_is_large(mix: str) -> None:
    def run() -> None:
        assert verify_signals(100).counts["scanned"] == (50 if mix == "half dead" else 100)

    statements = sent_by(run)
    assert len(statements) >= 8
    assert_small(statements, {*TABLES, *(KNOWN_TABLES if MIXES[mix] else ())})


@each_mix
def test_a_range_of_new_signals_is_judged_by_index(mix: str) -> None:
    """New ones among those that are known, of which the cursor knows nothing."""
    execute("DELETE FROM verification_cursors")
    run = start_run()
    take_in(run, range_size=2_000)
    read_chains(run)
    statements = sent_by(lambda: judge_range(run))
    assert len(statements) >= 3
    assert_small(statements, {*TABLES, *(KNOWN_TABLES if MIXES[mix] else ())})
    reads = [node for each in statements for node in nodes(plan(each, "ANALYZE"))]
    by_index = [node for node in reads if node.get("Index Name")]
    assert {node.get("Relation Name") for node in by_index} >= set(TABLES)
    # Each signal of the range has a row or none in each table. A join may have both sides, and the index of a
    # bitmap also the dead rows of tests before; a scan of a table has one side, and living rows.
    scans = [node for node in reads if "Relation Name" in node]
    assert [node for node in scans if node["Actual Rows"] * node["Actual Loops"] > 2_000] == []


def assert_small(statements: list[str], large: set[str]) -> None:
    """Assert that no statement reads a large table as a whole, and none sorts more than a chunk."""
    for statement in statements:
        for node in nodes(plan(statement)):
            if node["Node Type"] == "Seq Scan":
                assert node["Relation Name"] not in large, statement
            if node["Node Type"] == "Sort":
                assert node["Plan Rows"] <= CHUNK + SWEPT, statement


@each_mix
def test_metrics_read_as_few_rows_from_large_tables_as_from_small_ones(mix: str) -> None:
    statements = sent_by(lambda: read_statistics(connection, CHAIN_ALIASES, PERIOD))
    assert len(statements) >= 6
    # A table of which half is dead, and not more than four times what is counted, is read faster as a whole.
    is_small = mix == "half dead" and ROWS <= 4 * MAX_COUNTED
    most = ROWS if is_small else MAX_COUNTED + 1
    for statement in statements:
        is_explained = statement.lstrip().startswith("EXPLAIN")
        for node in nodes(plan(statement, "ANALYZE")) if not is_explained else ():
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert read * node["Actual Loops"] <= most, statement


@each_mix
def test_what_is_estimated_is_about_right(mix: str) -> None:
    backlog = read_statistics(connection, CHAIN_ALIASES, PERIOD).backlog
    if mix == "all fresh":
        assert (backlog.due, backlog.waiting) == (0, 0)
        return
    assert backlog.due == (50 if mix == "half dead" else 100)
    waiting = ROWS // 2 if mix == "half dead" else ROWS
    assert 0.95 * waiting < backlog.waiting < 1.05 * waiting
    execute(
        "UPDATE signal_verifications SET next_check_at = now() - interval '1 hour' "
        f"WHERE status = 'waiting' AND signal_id <= {ROWS // 2}",
        "ANALYZE signal_verifications",
    )
    due = read_statistics(connection, CHAIN_ALIASES, PERIOD).backlog.due
    assert 0.9 * waiting / 2 < due < 1.1 * waiting / 2


def sent_by(function: Callable[[], Any]) -> list[str]:
    """Return the statements that the function sends, without those of savepoints."""
    with CaptureQueriesContext(connection) as queries:
        function()
    starts = ("WITH", "SELECT", "SET", "UPDATE", "EXPLAIN")
    return [each["sql"] for each in queries if each["sql"].lstrip().startswith(starts)]


def plan(statement: str, options: str = "") -> dict[str, Any]:
    *_, statement = statement.split(";\n")  # before it a message may have settings, or a lock
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON{options and ', ' + options}) {statement}")
        found: dict[str, Any] = cursor.fetchall()[0][0][0]["Plan"]
    return found


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [each for child in node.get("Plans", ()) for each in nodes(child)]
    return [node, *inner]
