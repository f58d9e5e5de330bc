"""The plans of the statements of pages, at the server's default settings, on many rows."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals.admin.token import token_url
from signals.models import Event, Signal, SignalEvent
from tests.admin.pages import page_url

pytestmark = pytest.mark.django_db

MANY = 200_000
"""Rows of the one token, event and signal that has many; others have as many together."""
ADDRESS = "0x" + "ab" * 20
KEY = f"ethereum:{ADDRESS}:1"
SHA256 = "e" * 64

FILL = (
    f"""
    INSERT INTO events (event_key, start_ts, last_ts, symbol)
    SELECT 'ethereum:' || CASE WHEN n <= 5000 THEN '{ADDRESS}' ELSE '0x' || lpad(to_hex(n), 40, '0') END
        || ':' || n, now(), now() - n * interval '1 second', 'S' || n
    FROM generate_series(1, %(many)s / 10) n
    """,
    f"""
    INSERT INTO signals (event_key, ts, state, market_type)
    SELECT CASE WHEN n %% 2 = 0 THEN '{KEY}' ELSE 'ethereum:{ADDRESS}:' || (n %% 50000 + 1) END,
        now() - n * interval '1 second', 'candidate', 'dex'
    FROM generate_series(1, %(many)s) n
    """,
    f"""
    INSERT INTO signal_events (signal_id, event_key, previous_state, new_state, decision, confidence,
        rules_sha256, run, created_at)
    SELECT CASE WHEN n %% 2 = 0 THEN 1 ELSE n END, '', 'candidate', 'candidate', 'hold', 0.5, '{SHA256}',
        gen_random_uuid(), now() - (%(many)s - n) * interval '1 second'
    FROM generate_series(1, %(many)s) n
    """,
    f"""
    INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, addr_active, growth_ratio,
        top10_share, self_loop_ratio, calc_version)
    SELECT 'ethereum', CASE WHEN n %% 2 = 0 THEN '{ADDRESS}' ELSE '0x' || lpad(to_hex(n), 40, '0') END,
        now() - n * interval '1.5 second', 60, n %% 1000, 1.5, 0.5, 0.1, 2
    FROM generate_series(1, %(many)s * 2) n
    """,
)
LOG = (
    """
    INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,
        is_active, date_joined)
    VALUES (1000000, '', false, 'somebody', '', '', '', true, true, now())
    """,
    """
    INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr,
        action_flag, change_message)
    SELECT now() - (%(many)s - n) * interval '1 second', 1000000, c.id,
        CASE WHEN n %% 2 = 0 THEN '1' ELSE n::text END, '', 2, 'a note'
    FROM generate_series(1, %(many)s) n, django_content_type c
    WHERE (c.app_label, c.model) = ('signals', 'signal')
    """,
)
TABLES = ("django_admin_log", "events", "signals", "signal_events", "onchain_features")


@pytest.fixture(scope="module", autouse=True)
def _filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY")  # of other tests
        cursor.execute("SET session_replication_role = replica")  # foreign keys are not looked up
        for statement in (*FILL, *LOG):
            cursor.execute(statement, {"many": MANY})
        cursor.execute("RESET session_replication_role")
        cursor.execute(f"VACUUM ANALYZE {', '.join(TABLES)}")
        yield
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY")
        cursor.execute("DELETE FROM auth_user")


def addresses() -> dict[str, str]:
    return {
        "signal": page_url(Signal, 1),
        "history": page_url(Signal, 1).replace("change", "history"),
        "later": page_url(Signal, 1).replace(
            "change/", f"history/?event={MANY // 2}&log={MANY // 2}"
        ),
        "event": page_url(Event, KEY),
        "verdict": page_url(SignalEvent, MANY),
        "token": token_url("eth", ADDRESS),
    }


def rows_read(plan: str) -> int:
    """Return the most rows that a scan of a table has read, over all its loops."""
    scans = re.findall(r"Scan .*?actual rows=([\d.]+) loops=(\d+)", plan)
    removed = re.findall(r"Rows Removed by (?:Filter|Index Recheck): (\d+)", plan)
    read = [float(rows) * int(loops) for rows, loops in scans]
    return int(max([*read, *map(float, removed)], default=0))


@pytest.mark.parametrize("page", ["signal", "history", "later", "event", "verdict", "token"])
def test_a_page_reads_few_rows_by_indexes_however_many_there_are(
    superuser: Client, page: str
) -> None:
    address = addresses()[page]
    with CaptureQueriesContext(connection) as queries:
        assert superuser.get(address).status_code == 200
    for query in queries:
        statement = query["sql"]
        if not re.search(r'(?:FROM|JOIN) "?(?:events|signal|onchain|django_admin_log)', statement):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        for table in TABLES:
            assert f"Seq Scan on {table}" not in plan, f"{statement}\n{plan}"
        assert rows_read(plan) <= 6_000, f"{statement}\n{plan}"
