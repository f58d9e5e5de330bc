"""The plans of the actions' statements on large tables."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals.action_models import SignalAction
from signals.admin.actions import batches
from signals.models import Signal
from tests.admin.actions import LIST, confirmed, start

pytestmark = pytest.mark.django_db

ROWS = 200_000
TABLES = "signals, signal_verifications, signal_events, signal_actions, signal_action_rows"
LARGE = re.compile(r"Seq Scan on (signals|signal_verifications|signal_events|signal_action_rows)\b")


@pytest.fixture(scope="module", autouse=True)
def _filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO signals (state) SELECT CASE WHEN mod(n, 50) = 0 THEN 'verified' ELSE 'candidate' END"
            " FROM generate_series(1, %s) n",
            [ROWS],
        )
        cursor.execute(
            "INSERT INTO signal_verifications (signal_id, status, next_check_at, outcome, error)"
            " SELECT id, CASE WHEN mod(id, 100) = 0 THEN 'dead' ELSE 'waiting' END,"
            " CASE WHEN mod(id, 100) = 0 THEN NULL ELSE now() END, 'skipped', '' FROM signals"
        )
        cursor.execute(f"VACUUM ANALYZE {TABLES}")
        yield
        cursor.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")


@pytest.fixture
def chief() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    return client


def assert_no_table_is_read(statements: list[dict[str, str]], most: int) -> None:
    """Assert that none of the statements reads a large table from end to end, and that they are so few."""
    assert len(statements) <= most
    for statement in statements:
        if re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)", statement["sql"]):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {statement['sql']}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
            assert not LARGE.search(plan), f"{statement['sql'][:200]}\n{plan[:2000]}"


def freezing(queries: CaptureQueriesContext) -> list[dict[str, str]]:
    """Return the statements that name the signals of an action; those of the list have their own test."""
    return [each for each in queries if "signal_action" in each["sql"]]


@pytest.mark.parametrize("action", ["override", "recheck", "revive"])
def test_choosing_and_a_batch_look_each_signal_up(chief: Client, action: str) -> None:
    filters = "?state=verified"
    with CaptureQueriesContext(connection) as queries:
        response = start(chief, action, across=True, filters=filters)
    assert_no_table_is_read(freezing(queries), 6)
    confirmed(chief, response, state="downgraded", reason="because")
    made = SignalAction.objects.get()
    assert made.number == ROWS / 50 / (2 if action == "revive" else 1)
    user = User.objects.get()
    with CaptureQueriesContext(connection) as queries:
        batches._try_batch(made.pk, user)
    assert_no_table_is_read(list(queries), 12)
    made.refresh_from_db()
    assert made.done == batches.BATCH


def test_each_statement_of_a_choice_of_all_is_bounded(chief: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = start(chief, "recheck", across=True)
    assert response.status_code == 302
    assert SignalAction.objects.get().number == ROWS
    assert_no_table_is_read(freezing(queries), 12)


def test_the_list_looks_for_unfinished_actions_by_an_index(chief: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert chief.get(LIST).status_code == 200
    found = [each for each in queries if "signal_actions" in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # the table is small
        cursor.execute(f"EXPLAIN {found[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "ix_signal_actions_person" in plan


def test_an_export_goes_along_the_primary_key(chief: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        response: Any = start(chief, "export_csv", across=True)
        assert b"".join(response.streaming_content).count(b"\n") == ROWS + 1
    (first,) = [
        each for each in queries if "LEFT OUTER JOIN" in each["sql"] and "2000" in each["sql"]
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {first['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "signals_pkey" in plan
    assert not LARGE.search(plan)
    assert Signal.objects.count() == ROWS
