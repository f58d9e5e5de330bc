"""A probe leaves nothing behind, and many cost few round trips."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations.catalog.probes import Obstacle, Probe, probe_tables
from signals.operations.catalog.questions import find_table
from signals.operations.catalog.tables import Table
from signals.operations.errors import sqlstate
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    PART_TABLE,
    forwards,
    part_model,
    project_state,
    recreate,
)
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("committing_connection")


def test_the_probe_leaves_nothing_behind_in_a_transaction_that_goes_on() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN state text DEFAULT 'new' NOT NULL")
    operation: Any = operations.AddColumnIfMissing(
        "part", "state", models.TextField(db_default="new")
    )
    with transaction.atomic():
        for _ in range(3):
            forwards(operation, project_state(part_model()))
        found = scratch_schema.value(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'convergent_migrations%'"
        )
        assert found == 0
        scratch_schema.execute("INSERT INTO part (label) VALUES ('kept')")
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'kept'") == 1


def test_the_failure_of_a_probe_leaves_the_transaction_usable() -> None:
    """What is declared refers to a column that the table has not: the probe itself fails."""
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)")
    scratch_schema.execute("ALTER TABLE part RENAME COLUMN label TO title")
    condition = models.Q(label="x")
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )
    with transaction.atomic():
        with pytest.raises(Exception, match="label"):
            forwards(operation, project_state(part_model()))
        assert scratch_schema.value("SELECT count(*) FROM part") == 3


def signals_of(database: Database) -> tuple[BaseDatabaseWrapper, Table]:
    """Return a connection to the database, and its table of signals."""
    connection = connections[database.alias]
    found = find_table(connection, '"signals"')
    assert found is not None
    return connection, found


def test_refused_probes_of_many_cost_no_further_round_trip(
    copy: Callable[[str], Database],
) -> None:
    connection, found = signals_of(copy("clean"))
    copies = [Probe(found, (f"ALTER TABLE probe ADD extra {kind}",)) for kind in ["int"] * 32]
    for place in (7, 20):
        copies[place] = Probe(found, ("ALTER TABLE probe ADD extra unknown_type",))
    with CaptureQueriesContext(connection) as asked:
        answers: list[Any] = probe_tables(connection, copies, "probe")
    refused = [place for place, each in enumerate(answers) if isinstance(each, DatabaseError)]
    assert refused == [7, 20]
    (alone,) = probe_tables(connection, [copies[7]], "probe")
    assert isinstance(alone, DatabaseError)
    assert type(answers[7]) is type(alone)
    assert isinstance(alone, type(answers[20]))
    assert [sqlstate(each) for each in (answers[7], alone)] == ["42704", "42704"]
    assert str(answers[7]).startswith('type "unknown_type" does not exist')
    assert all(each.column("extra") for each in answers if isinstance(each, Table))
    assert len(asked) == 1


def test_what_keeps_every_probe_from_being_made_is_asked_once(
    copy: Callable[[str], Database],
) -> None:
    connection, found = signals_of(copy("clean"))
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        with CaptureQueriesContext(connection) as asked:
            answers = probe_tables(connection, [Probe(found, ("SELECT 1",))] * 32, "probe")
    states = [sqlstate(each.error) for each in answers if isinstance(each, Obstacle)]
    assert states == ["25006"] * 32
    assert len(asked) == 4  # the copies, one trial with its rollback, and what may be granted
