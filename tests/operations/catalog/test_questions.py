"""What the questions to the catalog cost a server."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from signals.operations.catalog.questions import find_table
from signals.operations.drift.schemas import survey_schemas
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")


def test_no_question_looks_dear_enough_to_be_compiled(prepared: Callable[[str], Database]) -> None:
    """A server with JIT would compile it for seconds; that of the tests may have none."""
    database = prepared("clean")
    connection = connections[database.alias]
    asked: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, parameters: Any, *rest: Any) -> Any:
        asked.append((sql, parameters))
        return execute(sql, parameters, *rest)

    try:
        with connection.execute_wrapper(keep):
            assert find_table(connection, '"signals"')
            survey_schemas(connection, "public")
        (one, parameters), *others = (each for each in asked if "jsonb_to_recordset" in each[0])
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {one}", parameters)
            (plans,) = cursor.fetchone()
    finally:
        database.close()
    (plan,) = json.loads(plans) if isinstance(plans, str) else plans
    assert plan["Plan"]["Total Cost"] < 100_000  # jit_above_cost as it comes
    (all_schemas,) = (sql for sql, _ in others if "x.schema" in sql)
    assert "SET LOCAL jit = off" in all_schemas
