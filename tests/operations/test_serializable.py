"""A session in SERIALIZABLE, whose snapshot may be older than its locks."""

import pytest
from django.db import models, transaction
from django.db.migrations.state import ProjectState

from signals import operations
from tests.operations.scratch_schema import (
    SERIAL,
    Sessions,
    backwards,
    execute,
    facts,
    forwards,
    recreate,
    rows,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

CREATE = operations.CreateTableIfMissing(
    "Part", [("id", SERIAL), ("kinds", models.ManyToManyField("bench.part"))], {"db_table": "part"}
)


@pytest.fixture
def serializable() -> None:
    recreate()
    execute("SET default_transaction_isolation = 'serializable'")


def test_an_atomic_migration_of_a_table_goes_forward_and_back(serializable: None) -> None:
    start = facts()
    forwards(CREATE, ProjectState(), atomic=True)
    assert rows("SELECT to_regclass('part') IS NOT NULL") == [(True,)]
    backwards(CREATE, ProjectState(), atomic=True)
    assert facts() == start


def test_a_row_that_the_snapshot_does_not_show_is_not_lost(
    serializable: None, sessions: Sessions
) -> None:
    forwards(CREATE, ProjectState(), atomic=True)
    with transaction.atomic():
        assert rows("SELECT count(*) FROM part") == [(0,)]
        sessions().execute("INSERT INTO part DEFAULT VALUES")
        with pytest.raises(operations.RowsViolate) as caught:
            backwards(CREATE, ProjectState(), atomic=True)
    assert caught.value.reason.startswith('table "part" has rows')
    assert rows("SELECT count(*) FROM part") == [(1,)]
