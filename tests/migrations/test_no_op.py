"""What migration 0012 costs where everything is in place."""

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from signals.operations import Status
from signals.operations.report import judge, steps


@pytest.mark.django_db(transaction=True)
def test_it_asks_twice_for_each_component_and_sends_nothing() -> None:
    loader = MigrationLoader(connection)
    migration = loader.get_migration("signals", "0012_signal_state")
    state = loader.project_state(("signals", "0012_signal_state"), at_end=False)
    with (
        connection.schema_editor(atomic=False) as editor,
        CaptureQueriesContext(connection) as queries,
    ):
        for operation, before, after in steps(migration, state):
            operation.database_forwards("signals", editor, before, after)
    asked = [query["sql"].split(None, 1)[0] for query in queries]
    assert asked == ["SELECT", "BEGIN"] * 3
    assert all(query["sql"].endswith("ROLLBACK") for query in list(queries)[1::2])


@pytest.mark.django_db(transaction=True)
def test_its_components_stand_in_a_database_that_tests_made() -> None:
    loader = MigrationLoader(connection)
    state = loader.project_state(("signals", "0012_signal_state"), at_end=False)
    migration = loader.get_migration("signals", "0012_signal_state")
    found = [
        (finding.component, finding.name, finding.status)
        for operation, before, after in steps(migration, state)
        for finding in judge(connection, "signals", operation, before, after)  # type: ignore[arg-type]
    ]
    assert found == [
        ("column", "state", Status.EXISTS),
        ("check", "signals_state_check", Status.EXISTS),
        ("index", "idx_signals_state_created_at", Status.EXISTS),
    ]
