"""The plans of the searches' statements at the server's default settings, on large tables."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.admin import search_data as data
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.pages import listed

pytestmark = pytest.mark.django_db

ROWS = 300_000
OF_TOKENS = (Event, Signal, SignalEvent, SignalVerification)
TEXTS = {
    "hot symbol": data.HOT,
    "old symbol": f"${data.OLD.lower()}",
    "rare symbol": data.RARE,
    "absent symbol": data.ABSENT,
    "hot address": data.HOT_ADDRESS,
    "old address": data.OLD_ADDRESS,
    "rare address": data.RARE_ADDRESS.upper(),
    "absent address": data.ABSENT_ADDRESS,
    "hot topic": data.HOT_TOPIC,
    "old topic": data.OLD_TOPIC,
    "rare topic": data.RARE_TOPIC,
    "all keys": "ethereum:",
    "keys of a hot token": f"ethereum:{data.HOT_ADDRESS}",
    "keys of an old token": f"ethereum:{data.OLD_ADDRESS}:",
    "keys of a rare token": f"solana:{data.RARE_ADDRESS}",
    "two words": f"{data.HOT} {data.HOT_TOPIC}",
    "rare and hot": f"{data.HOT} {ROWS - 97}",
    "number": "150000",
    "absent number": "999999999",
    "old run": data.OLD_RUN,
    "new run": data.NEW_RUN,
}


@pytest.fixture(scope="module", autouse=True)
def _filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # foreign keys are not looked up
        for statement in data.FILL:
            cursor.execute(statement, {"rows": ROWS})
        cursor.execute("RESET session_replication_role")
        cursor.execute(f"VACUUM ANALYZE {', '.join(data.TABLES)}")
        yield
        cursor.execute(f"TRUNCATE {', '.join(data.TABLES)} RESTART IDENTITY")


def statements_of(client: Client, address: str, **parameters: str) -> list[str]:
    """Return the page's statements that read one of the tables."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address, parameters).status_code == 200
    return [
        each["sql"] for each in queries if re.search(r'FROM "(?:events|signal|onch)', each["sql"])
    ]


def assert_reads_no_table_from_end_to_end(statements: list[str]) -> None:
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan" not in plan, f"{statement}\n{plan}"
        removed = [int(number) for number in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
        assert max(removed, default=0) < ROWS / 10, f"{statement}\n{plan}"


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("model", OF_TOKENS)
def test_a_search_reads_no_table_from_end_to_end(viewer: Client, model: Any, kind: str) -> None:
    address = f"/admin/signals/{model._meta.model_name}/"
    assert_reads_no_table_from_end_to_end(statements_of(viewer, address, q=TEXTS[kind]))


@pytest.mark.parametrize(
    "text",
    [
        *(data.HOT_ADDRESS, data.OLD_ADDRESS, data.ABSENT_ADDRESS, f"eth:{data.OLD_ADDRESS}"),
        *(f"bsc:{data.RARE_ADDRESS}", "150000"),
    ],
)
def test_a_search_of_features_reads_no_table_from_end_to_end(viewer: Client, text: str) -> None:
    statements = statements_of(viewer, "/admin/signals/onchainfeature/", q=text)
    assert_reads_no_table_from_end_to_end(statements)


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if "run" not in kind])
def test_an_autocomplete_reads_no_table_from_end_to_end(staff: Staff, kind: str) -> None:
    client = staff("change_signal", "view_event")
    field = {"app_label": "signals", "model_name": "signal", "field_name": "event"}
    statements = statements_of(client, "/admin/autocomplete/", term=TEXTS[kind], **field)
    assert_reads_no_table_from_end_to_end(statements)


@pytest.mark.parametrize("model", OF_TOKENS)
def test_the_newest_rows_of_a_hot_symbol_come_first(viewer: Client, model: Any) -> None:
    path = {Event: "", Signal: "event__"}.get(model, "signal__event__")
    wanted = model.objects.filter(**{f"{path}symbol": data.HOT}).order_by(f"-{path}last_ts")
    assert listed(viewer, model, q="hot") == [
        row.pk for row in wanted[: len(listed(viewer, model, q="hot"))]
    ]
    assert len(listed(viewer, model, q="hot")) == 100


@pytest.mark.parametrize("model", [*OF_TOKENS, OnchainFeature])
def test_a_search_costs_the_same_number_of_statements_whatever_the_rows(
    viewer: Client, model: Any
) -> None:
    address = f"/admin/signals/{model._meta.model_name}/"
    hot = data.HOT_ADDRESS
    counts = [len(statements_of(viewer, address, q=text)) for text in (hot, data.OLD_ADDRESS)]
    assert counts[0] == counts[1] <= 13


def test_the_front_page_reads_no_table_from_end_to_end(superuser: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO verification_runs (id, started_at, heartbeat_at, host, pid, mode, rules_sha256) "
            "SELECT gen_random_uuid(), t, t, 'a', 1, 'on', '' "
            "FROM generate_series(now() - interval '14 days', now(), interval '1 minute') t"
        )
        cursor.execute("ANALYZE verification_runs")
    with CaptureQueriesContext(connection) as queries:
        assert superuser.get("/admin/").status_code == 200
    statements = [each["sql"] for each in queries if "pg_catalog." in each["sql"]]
    assert len(statements) == 2
    assert_reads_no_table_from_end_to_end(statements)
