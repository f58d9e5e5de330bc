"""What migration 0012 costs where everything is in place."""

from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from signals.operations import Status
from signals.operations.migrate.walk import operation_findings, steps


@pytest.mark.django_db(transaction=True)
def test_it_asks_twice_for_each_component_and_sends_nothing() -> None:
    loader = MigrationLoader(connection)
    migration = loader.get_migration("signals", "0012_signal_state")
    state = loader.project_state(("signals", "0012_signal_state"), at_end=False)
    with (
        connection.schema_editor(atomic=False) as editor,
        CaptureQueriesContext(connection) as queries,
    ):
        for operation, before, after in steps(migration.operations, migration.app_label, state):
            operation.database_forwards("signals", editor, before, after)
    asked = [query["sql"].split(None, 1)[0] for query in queries]
    assert asked == ["SELECT", "BEGIN"] * 3
    assert all(query["sql"].endswith("ROLLBACK") for query in list(queries)[1::2])


def counted(watcher: Any) -> int:
    """The transactions that the server has counted for this session's database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    question = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
    return int(watcher.execute(question, [connection.settings_dict["NAME"]]).fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_the_server_counts_six_transactions_of_it() -> None:
    """Each question is a transaction of its own; a background worker may add one, so the least counts."""
    loader = MigrationLoader(connection)
    migration = loader.get_migration("signals", "0012_signal_state")
    given = connection.get_connection_params()
    known = {key: given[key] for key in ("host", "port", "user", "password") if key in given}
    counts = []
    with psycopg.connect(**known, dbname="postgres", autocommit=True) as watcher:
        for _ in range(5):
            state = loader.project_state(("signals", "0012_signal_state"), at_end=False)
            before = counted(watcher)
            with connection.schema_editor(atomic=False) as editor:
                migration.apply(state, editor)
            counts.append(counted(watcher) - before - 1)  # less the one that asks for the flush
    assert min(counts) == 6


@pytest.mark.django_db(transaction=True)
def test_its_components_stand_in_a_database_that_tests_made() -> None:
    loader = MigrationLoader(connection)
    state = loader.project_state(("signals", "0012_signal_state"), at_end=False)
    migration = loader.get_migration("signals", "0012_signal_state")
    found = [
        (finding.component, finding.name, finding.status)
        for operation, before, after in steps(migration.operations, migration.app_label, state)
        for finding in operation_findings(connection, "signals", operation, before, after)  # type: ignore[arg-type]
    ]
    assert found == [
        ("column", "state", Status.EXISTS),
        ("check", "signals_state_check", Status.EXISTS),
        ("index", "idx_signals_state_created_at", Status.EXISTS),
    ]
