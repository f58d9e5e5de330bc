"""A partitioned table, the operations that index it, and what its partitions have."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import Index, UniqueConstraint

from signals import operations
from signals.operations.migrate.walk import operation_findings
from tests.operations import scratch_schema
from tests.operations.scratch_schema import APP, SCHEMA, part_model, project_state

STATE = project_state(part_model())
COLUMNS = "id bigint, label text, amount integer, made_at timestamptz"
ROWS = "INSERT INTO part (id, label, amount) SELECT n, 'x' || n, n FROM generate_series(0, 299) n;"
TREE = f"""
CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 (made_at timestamptz, label text, id bigint, amount integer) PARTITION BY RANGE (id);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (100) TO (200);
CREATE TABLE part_21 PARTITION OF part_2 FOR VALUES FROM (100) TO (150);
CREATE TABLE part_22 PARTITION OF part_2 DEFAULT;
CREATE TABLE part_rest PARTITION OF part DEFAULT;
{ROWS}
"""
FLAT = f"""
CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (300);
{ROWS}
"""


def index(**options: Any) -> Any:
    wanted = Index(fields=["label"], name="wanted")
    return operations.CreateIndexConcurrentlyIfMissing("part", wanted, **options)


def constraint(**options: Any) -> Any:
    wanted = UniqueConstraint(fields=["id", "label"], name="wanted")
    return operations.AddUniqueIfMissing("part", wanted, **options)


def unique_index(**options: Any) -> Any:
    wanted = UniqueConstraint("id", models.F("label").asc(), name="wanted")
    return operations.AddUniqueIfMissing("part", wanted, **options)


MAKES = {"index": index, "constraint": constraint, "unique index": unique_index}
each_make = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)


def attached_indexes(name: str = "wanted") -> dict[str, str]:
    """The tables with the index that is attached to that of the name, and the states of both."""
    question = """
    WITH RECURSIVE tree AS (
        SELECT to_regclass(%s)::oid AS number
        UNION ALL SELECT h.inhrelid FROM tree JOIN pg_inherits h ON h.inhparent = tree.number)
    SELECT i.indrelid::regclass::text, CASE WHEN i.indisvalid THEN 'valid' ELSE 'invalid' END
    FROM tree JOIN pg_index i ON i.indexrelid = tree.number
    """
    return dict(scratch_schema.rows(question, [name]))


def all_valid(*more: str) -> dict[str, str]:
    tables = ("part", "part_1", "part_2", "part_21", "part_22", "part_rest", *more)
    return dict.fromkeys(tables, "valid")


def index_oids() -> dict[str, int]:
    """Each index with its OID."""
    question = (
        "SELECT c.relname, c.oid::bigint FROM pg_class c "
        f"WHERE c.relkind IN ('i', 'I') AND c.relnamespace = '{SCHEMA}'::regnamespace"
    )
    return dict(scratch_schema.rows(question))


def findings_of(operation: Any) -> list[tuple[str, str, str, operations.Status]]:
    after = STATE.clone()
    operation.state_forwards(APP, after)
    found = operation_findings(connection, APP, operation, STATE, after)
    return [(each.component, each.name, each.table, each.status) for each in found]


def logged_statements(caplog: pytest.LogCaptureFixture, act: Callable[[], None]) -> list[str]:
    """The statements that were sent meanwhile."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "convergent_migrations"):
        act()
    return [line for record in caplog.records if (line := record.getMessage())[0].isupper()]


FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER bench_nowhere;"
    "CREATE SERVER bench_nowhere FOREIGN DATA WRAPPER bench_nowhere;"
    "CREATE FOREIGN TABLE part_far PARTITION OF part FOR VALUES FROM (1000) TO (2000) SERVER bench_nowhere"
)


ANOTHER_DEFINITION = {
    "index": "CREATE INDEX wanted ON part (amount)",
    "constraint": "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (id)",
    "unique index": "CREATE UNIQUE INDEX wanted ON part (id)",
}
