"""The plans of a run's statements at the server's default settings, on large tables in three mixes."""

import os
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals.verification.intake import CHUNK, SWEPT
from signals.verification.job import verify_signals
from tests.verification.database import execute

pytestmark = pytest.mark.django_db

ROWS = 1_000_000 if "NIGHTLY" in os.environ else 40_000
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
KNOWN = """
INSERT INTO signal_verifications (signal_id, status, next_check_at, outcome, checks, chain, address,
    updated_at)
SELECT id, 'waiting', now() + interval '1 day', 'evaluated', 1, 'ethereum',
    '0x' || lpad(to_hex(id), 40, '0'), now()
FROM signals;
INSERT INTO verification_cursors SELECT 'signals', max(id) FROM signals;
INSERT INTO verification_cursors SELECT 'features', max(id) FROM onchain_features;
INSERT INTO verification_cursors SELECT 'sweep', max(id) - 5000 FROM signals
"""
HALF_DEAD = """
UPDATE signal_verifications SET status = 'dead', next_check_at = NULL WHERE signal_id % 2 = 0
"""
A_HUNDRED_DUE = """
UPDATE signal_verifications SET next_check_at = now() - interval '1 minute'
WHERE status = 'waiting' AND signal_id IN (SELECT id FROM signals ORDER BY id DESC LIMIT 100)
"""
MIXES: dict[str, tuple[str, ...]] = {
    "all fresh": (),
    "all waiting but a hundred": (KNOWN, A_HUNDRED_DUE),
    "half dead": (KNOWN, HALF_DEAD, A_HUNDRED_DUE),
}
TABLES = ("signals", "events", "onchain_features", "signal_verifications")


@pytest.mark.parametrize("mix", MIXES)
def test_no_statement_scans_or_sorts_what_is_large(mix: str) -> None:
    execute(FILL, *MIXES[mix], f"ANALYZE {', '.join(TABLES)}")
    with CaptureQueriesContext(connection) as queries:
        assert verify_signals(100).counts["scanned"] == (50 if mix == "half dead" else 100)
    statements = [
        each["sql"]
        for each in queries
        if each["sql"].lstrip().startswith(("WITH", "SELECT", "SET"))
    ]
    assert len(statements) >= 6
    large = {table for table in TABLES if size(table) == ROWS}
    assert large == {*TABLES[:3], *(TABLES[3:] if MIXES[mix] else ())}
    for message in statements:
        statement = message.split(";\n")[-1]  # before it settings, or a lock
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
            ((plan,),) = cursor.fetchall()
        for node in nodes(plan[0]["Plan"]):
            if node["Node Type"] == "Seq Scan":
                assert node["Relation Name"] not in large, statement
            if node["Node Type"] == "Sort":
                assert node["Plan Rows"] <= CHUNK + SWEPT, statement


def size(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchall()[0][0])


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [each for child in plan.get("Plans", ()) for each in nodes(child)]
    return [plan, *inner]
