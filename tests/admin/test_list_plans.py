"""The plans of the lists' statements at the server's default settings, on large tables."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

pytestmark = pytest.mark.django_db

ROWS = 300_000
TABLES = (
    *("events", "signals", "signal_events", "signal_verifications", "onchain_features"),
    "verification_rules",
)
# Of each kind there is a value that nearly all rows have, one of three rows in the middle of time, one that
# only the oldest tenth has, and one that no row has.
KIND = """CASE WHEN n IN (%(rows)s / 2, %(rows)s / 2 + 50, %(rows)s / 2 + 99) THEN 'rare'
    WHEN n < %(rows)s / 10 AND n %% 2 = 0 THEN 'old' ELSE 'common' END"""
GIVEN = f"""(
    SELECT n, kind, now() - (%(rows)s - n) * interval '10 seconds' AS at,
        '0x' || lpad(to_hex(n %% 20000), 40, '0') AS address
    FROM (SELECT n, {KIND} AS kind FROM generate_series(1, %(rows)s) n) kinds
) given"""
FILL = (
    """INSERT INTO verification_rules (sha256, text)
    SELECT repeat(n::text, 64), '' FROM generate_series(1, 4) n""",
    f"""INSERT INTO events (event_key, type, refine_ok, start_ts, last_ts)
    SELECT 'ethereum:' || address || ':' || n, kind, CASE kind WHEN 'common' THEN true
        WHEN 'old' THEN false END, at, at FROM {GIVEN}""",
    f"""INSERT INTO signals (event_key, state, goplus_risk, market_type, source_level,
        onchain_confidence, created_at, ts)
    SELECT 'ethereum:' || address || ':' || n,
        CASE kind WHEN 'common' THEN 'candidate' WHEN 'old' THEN 'downgraded' ELSE 'verified' END,
        CASE kind WHEN 'common' THEN 'green' WHEN 'old' THEN 'yellow' ELSE 'red'
            END::goplus_risk_enum,
        kind, kind, CASE kind WHEN 'common' THEN 0.5 WHEN 'old' THEN 0.7 ELSE 1 END, at, at
    FROM {GIVEN} ORDER BY n""",
    f"""INSERT INTO signal_events (signal_id, event_key, previous_state, new_state, decision, note,
        confidence, rules_sha256, run, created_at, type)
    SELECT n, 'ethereum:' || address || ':' || n, 'candidate',
        CASE kind WHEN 'common' THEN 'candidate' WHEN 'old' THEN 'downgraded' ELSE 'verified' END,
        CASE kind WHEN 'common' THEN 'insufficient' WHEN 'old' THEN 'downgrade' ELSE 'upgrade' END,
        CASE kind WHEN 'common' THEN 'insufficient_evidence' ELSE '' END, 0.5, repeat('e', 64),
        md5((n / 1000)::text)::uuid, at, 'onchain_verify'
    FROM {GIVEN} ORDER BY n""",
    f"""INSERT INTO signal_verifications (signal_id, status, outcome, decision, note, updated_at,
        next_check_at, checks, rules_id, as_of, margin)
    SELECT n, CASE kind WHEN 'common' THEN 'waiting' WHEN 'old' THEN 'settled' ELSE 'dead' END,
        'evaluated',
        CASE kind WHEN 'common' THEN 'insufficient' WHEN 'old' THEN 'downgrade' ELSE 'hold' END,
        CASE kind WHEN 'common' THEN 'insufficient_evidence' ELSE '' END, at,
        CASE kind WHEN 'common' THEN at + interval '1 day' END, 1,
        CASE kind WHEN 'common' THEN 1 WHEN 'old' THEN 2 ELSE 3 END, at,
        CASE kind WHEN 'common' THEN -0.3 WHEN 'old' THEN 0.1 ELSE 0.9 END + n / 1e9
    FROM {GIVEN} ORDER BY n""",
    f"""INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, created_at)
    SELECT CASE kind WHEN 'common' THEN 'ethereum' WHEN 'old' THEN 'bsc' ELSE 'solana' END,
        address, at, CASE kind WHEN 'common' THEN 60 ELSE 30 END, at
    FROM {GIVEN} ORDER BY n""",
)


@pytest.fixture(scope="module", autouse=True)
def _filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # foreign keys are not looked up
        for statement in FILL:
            cursor.execute(statement, {"rows": ROWS} if "%(rows)s" in statement else None)
        cursor.execute("RESET session_replication_role")
        cursor.execute(f"VACUUM ANALYZE {', '.join(TABLES)}")
        yield
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY")


OF_RECORD = (
    *("decision=insufficient", "decision=downgrade", "decision=hold", "decision=upgrade"),
    *("note=insufficient_evidence", "note=feature_stale", "overdue=1", "rules=1", "rules=2"),
    *("rules=3", "rules=4", "margin_from=-40&margin_to=0", "margin_from=85&margin_to=95"),
    *("margin_from=5&margin_to=15", "margin_from=200", "evidence_age=min-a day"),
    *("evidence_age=max-90 minutes", "time=evidence&to=2000-01-01", "time=evidence&from=-30d"),
    *("time=verdict&from=-1h", "time=verdict&from=-30d&to=-33d", "time=verdict&to=-34d"),
    *("order=margin", "order=-margin&last=1", "order=evidence", "order=next_check"),
    *("order=verdict&at=-20d", "decision=downgrade&last=1", "margin_from=5&order=verdict"),
)
ASKED = {
    Signal: (
        *("", "last=1", "order=-arrival", "at=-20d", "order=verdict", "order=confidence"),
        *("state=candidate", "state=downgraded", "state=verified", "state=downgraded&last=1"),
        *("goplus_risk=green", "goplus_risk=yellow", "goplus_risk=red", "goplus_risk=gray"),
        *(f"{name}={kind}" for name in ("market_type", "source_level")
          for kind in ("common", "old", "rare", "none")),
        *("confidence_from=0.4&confidence_to=0.6", "confidence_from=0.95", "confidence_from=2"),
        *("confidence_from=0.6&confidence_to=0.8", "from=-1h", "from=-30d&to=-29d", "dead=1"),
        *("to=2000-01-01", "state=verified&time=verdict&from=-1h", "decision=hold&order=arrival"),
        *("state=candidate&goplus_risk=green", "state=downgraded&goplus_risk=green"),
        *("state=candidate&goplus_risk=yellow&market_type=old&decision=insufficient", "rules=2&from=-34d"),
        *OF_RECORD,
    ),
    SignalVerification: ("", "last=1", "status=dead", "status=settled", "status=waiting", *OF_RECORD),
    Event: (
        *("", "last=1", "at=-20d", "type=common", "type=old", "type=rare", "type=none"),
        *("refine_ok=1", "refine_ok=0", "from=-1h", "to=2000-01-01", "type=old&refine_ok=1"),
        *("type=old&to=-34d", "type=common&to=-34d", "type=common&last=1"),
    ),
    SignalEvent: (
        *("", "last=1", "at=-20d", "decision=insufficient", "decision=downgrade"),
        *("decision=upgrade", "decision=hold", "note=insufficient_evidence", "note=feature_stale"),
        *("new_state=candidate", "new_state=downgraded", "new_state=verified", "from=-1h"),
        *("type=onchain_verify", "to=2000-01-01", "decision=downgrade&new_state=candidate"),
    ),
    OnchainFeature: (
        *("", "last=1", "at=-20d", "order=measured", "order=-measured&last=1", "from=-1h"),
        *("chain=ethereum", "chain=bsc", "chain=solana", "chain=none", "window=60", "window=30"),
        *("window=180", "chain=bsc&window=60", "to=2000-01-01", "chain=bsc&order=number"),
    ),
}  # fmt: skip


def statements_of(client: Client, model: Any, query: str) -> tuple[Any, list[str]]:
    """Return the list and the statements that read one of the tables for it."""
    with CaptureQueriesContext(connection) as queries:
        response = client.get(f"/admin/signals/{model._meta.model_name}/?{query}")
    assert response.status_code == 200
    found = [each["sql"] for each in queries if re.search(r'FROM "(?:ev|signal|onch)', each["sql"])]
    return response.context["cl"], [sql for sql in found if not sql.startswith("EXPLAIN")]


@pytest.mark.parametrize(
    ("model", "query"), [(model, query) for model, queries in ASKED.items() for query in queries]
)
def test_a_list_reads_no_table_from_end_to_end(viewer: Client, model: Any, query: str) -> None:
    cl, statements = statements_of(viewer, model, query)
    assert statements
    assert len(statements) <= 12
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan" not in plan, f"{statement}\n{plan}"
        removed = [int(number) for number in re.findall(r"Rows Removed by \w+: (\d+)", plan)]
        assert max(removed, default=0) < ROWS / 10, f"{statement}\n{plan}"
        read = [int(number) for number in re.findall(r"rows=(\d+) loops=1\b", plan)]
        assert max(read, default=0) < ROWS / 10, f"{statement}\n{plan}"
    assert cl.result_list or cl.page.is_cut or cl.page.exact


@pytest.mark.parametrize(
    ("model", "query", "number"),
    [
        *((Signal, "state=verified", 3), (Signal, "goplus_risk=red", 3), (Signal, "dead=1", 3)),
        *((Signal, "market_type=rare", 3), (Signal, "source_level=rare", 3)),
        *((Signal, "confidence_from=0.95", 3), (Signal, "margin_from=85", 3)),
        *((Signal, "state=verified&goplus_risk=red&market_type=rare", 3), (Event, "type=rare", 3)),
        *((SignalEvent, "decision=upgrade", 3), (SignalVerification, "rules=3", 3)),
        *((OnchainFeature, "chain=solana", 3), (Signal, "goplus_risk=gray", 0)),
        (Signal, "state=verified&goplus_risk=green", 0),
    ],
)
def test_rare_rows_are_found_and_counted(
    viewer: Client, model: Any, query: str, number: int
) -> None:
    cl, _ = statements_of(viewer, model, query)
    assert (len(cl.result_list), cl.count_text) == (number, str(number))


@pytest.mark.parametrize("model", ASKED)
def test_a_large_list_says_about_how_many_rows_it_has(viewer: Client, model: Any) -> None:
    cl, _ = statements_of(viewer, model, "")
    assert cl.span().startswith("1 to 100 of ≈ 300,000 ")
