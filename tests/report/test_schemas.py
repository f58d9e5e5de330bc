"""verify_schema --schemas: many schemas are judged together, as each would be alone, and repaired."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from project.environment import database_from_url
from signals.operations import session
from signals.operations.schemas import survey_schemas
from signals.operations.survey import Survey, survey
from tests.migrations.server import Database, alone, until, waiting
from tests.report.stock import Stock
from tests.report.test_whole import LONG
from tests.report.wire import Wire, wired

NUMBER = 1000
STATE = "idx_signals_state_created_at"

# The table of signals, as the platform has it, in each schema with its own record of migrations.
MANY = f"""
DO $$
BEGIN
  FOR n IN 1..{NUMBER} LOOP
    EXECUTE format('CREATE SCHEMA tenant_%s', n);
    EXECUTE format('CREATE TABLE tenant_%s.django_migrations (LIKE public.django_migrations)', n);
    EXECUTE format('INSERT INTO tenant_%s.django_migrations TABLE public.django_migrations', n);
    EXECUTE format('CREATE TABLE tenant_%s.signals (LIKE public.signals INCLUDING DEFAULTS '
                   'INCLUDING CONSTRAINTS, PRIMARY KEY (id))', n);
    EXECUTE format('CREATE INDEX {STATE} ON tenant_%s.signals (state, created_at)', n);
    COMMIT;
  END LOOP;
END $$
"""


def fail_to_build(database: Database, schema: str, index: str) -> None:
    """Leaves what a build leaves that gave up its wait for a writer."""
    with (
        database.connect(autocommit=False) as writer,
        database.connect() as builder,
        pytest.raises(psycopg.errors.LockNotAvailable),
    ):
        writer.execute(f"LOCK TABLE {schema}.signals IN ROW EXCLUSIVE MODE".encode())
        builder.execute("SET lock_timeout = '100ms'")
        builder.execute(index.encode())


@pytest.fixture
def many(prepared: Callable[[str], Database]) -> Iterator[Database]:
    database = Database.new(prepared("clean").name)
    database.run(MANY)
    yield database
    database.drop()


def told(alias: str, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        call_command("verify_schema", *words, "--json", database=alias)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(capsys.readouterr().out)


def found(shown: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (each["schema"], row["name"], row["status"])
        for each in shown["databases"]
        for row in each["components"]
    }


def test_a_thousand_schemas_are_judged_in_as_few_round_trips_as_ten(
    many: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(many.alias, capsys, "signals", "0012", "--schemas", "tenant_%")[0] == 0
    many.run("ALTER TABLE tenant_17.signals DROP state")
    many.run("ALTER TABLE tenant_300.signals DROP CONSTRAINT signals_state_check")
    many.run(f"DROP INDEX tenant_999.{STATE}")
    state_index = f"CREATE INDEX CONCURRENTLY {STATE} ON tenant_999.signals (state, created_at)"
    fail_to_build(many, "tenant_999", state_index)
    drifted = {
        ("tenant_17", "state", "missing"),
        ("tenant_17", "signals_state_check", "missing"),
        ("tenant_17", STATE, "missing"),
        ("tenant_300", "signals_state_check", "missing"),
        ("tenant_999", STATE, "unfinished"),
    }
    trips = {}
    with wired(many) as (wire, url):
        alias = "wired"
        defaults = connections.configure_settings({"default": database_from_url(url)})
        connections.databases[alias] = defaults["default"]
        connections[alias].ensure_connection()
        for pattern, number in (("tenant_9", 1), ("tenant_9_", 10), ("tenant_%", NUMBER)):
            before = wire.answers
            code, shown = told(alias, capsys, "signals", "0012", "--schemas", pattern)
            trips[number] = wire.answers - before
            assert shown["schemas"][0]["judged"] == number
        connections[alias].close()
        del connections[alias], connections.databases[alias]
    assert (code, found(shown)) == (1, drifted)
    assert shown["schemas"][0]["right"] == NUMBER - 3
    assert shown["schemas"][0]["counts"]["exists"] == 3 * NUMBER - len(drifted)
    assert trips[NUMBER] <= 5
    assert trips[NUMBER] - trips[1] <= 1  # the question of what is spelled otherwise
