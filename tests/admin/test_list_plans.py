"""The plans of the lists' statements at the server's default settings, on large tables."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.admin.list_data import FILL, TABLES
from benchmarks.admin.list_queries import ASKED
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

pytestmark = pytest.mark.django_db

ROWS = 300_000


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
