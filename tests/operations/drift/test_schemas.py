"""verify_schema --schemas: many schemas are judged together, as each would be alone."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from signals.operations.execution import progress
from tests.deadline import DEADLINE
from tests.operations.drift.prometheus_samples import parse_samples
from tests.operations.drift.round_trips import counting_relay
from tests.operations.drift.tenant_schemas import CRATE, DRIFTED_SCHEMAS, STATE_INDEX, found_rows
from tests.operations.projects.project import Project
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")

NUMBER = 1000

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
    EXECUTE format('CREATE INDEX {STATE_INDEX} ON tenant_%s.signals (state, created_at)', n);
    COMMIT;
  END LOOP;
END $$
"""


def fail_to_build(database: Database, schema: str, index: str) -> None:
    """Leaves what a build leaves that gave up its wait for a writer."""
    with database.connect(autocommit=False) as writer, database.connect() as builder:
        writer.execute(f"LOCK TABLE {schema}.signals IN ROW EXCLUSIVE MODE".encode())
        builder.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            builder.execute(index.encode())


@pytest.fixture
def many(prepared: Callable[[str], Database], unblocked_database: None) -> Iterator[Database]:
    database = Database.new(prepared("clean").name)
    database.run(MANY)
    yield database
    database.drop()


def json_of(
    alias: str, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        call_command("verify_schema", *words, "--json", database=alias)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(capsys.readouterr().out)


def test_a_thousand_schemas_are_judged_in_as_few_round_trips_as_ten(
    many: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        progress, "LONG_STEP", 600.0
    )  # who looks for blockers meanwhile asks by himself
    assert json_of(many.alias, capsys, "signals", "0012", "--schemas", "tenant_%")[0] == 0
    many.run("ALTER TABLE tenant_17.signals DROP state")
    many.run("ALTER TABLE tenant_300.signals DROP CONSTRAINT signals_state_check")
    many.run(f"DROP INDEX tenant_999.{STATE_INDEX}")
    state_index = (
        f"CREATE INDEX CONCURRENTLY {STATE_INDEX} ON tenant_999.signals (state, created_at)"
    )
    fail_to_build(many, "tenant_999", state_index)
    drifted = {
        ("tenant_17", "state", "missing"),
        ("tenant_17", "signals_state_check", "missing"),
        ("tenant_17", STATE_INDEX, "missing"),
        ("tenant_300", "signals_state_check", "missing"),
        ("tenant_999", STATE_INDEX, "unfinished"),
    }
    trips = {}
    with counting_relay(many) as (relay, alias):
        connections[alias].ensure_connection()
        for pattern, number in (("tenant_9", 1), ("tenant_9_", 10), ("tenant_%", NUMBER)):
            before = relay.round_trips
            code, shown = json_of(alias, capsys, "signals", "0012", "--schemas", pattern)
            trips[number] = relay.round_trips - before
            assert shown["schemas"][0]["judged"] == number
    assert (code, found_rows(shown)) == (1, drifted)
    assert shown["schemas"][0]["right"] == NUMBER - 3
    assert shown["schemas"][0]["counts"]["exists"] == 3 * NUMBER - len(drifted)
    assert trips[NUMBER] <= 6
    assert trips[NUMBER] - trips[1] <= 1  # the question of what is spelled otherwise


BOTH_WAYS = """
import json
from collections import Counter
from django.db import connection
from signals.operations.drift.printing import row_as_json
from signals.operations.drift.schemas import survey_schemas
from signals.operations.drift.survey import survey
from signals.operations.execution.settings import in_schema

def told(each):
    return sorted(json.dumps(row_as_json(row)) for row in each.rows)

judged = survey_schemas(connection, "tenant%", "crate")
together = {each.schema: told(each) for each in judged.surveys}
apart = {}
for name in judged.names:
    with in_schema(connection, name):
        apart[name] = told(survey(connection, "crate"))
print(json.dumps({"together": together, "apart": apart, "names": judged.names,
    "counts": {status.name: count for status, count in judged.counts.items()}}))
"""


def test_each_schema_is_judged_as_it_would_be_alone(tenant_schemas: Project) -> None:
    done = tenant_schemas.manage("shell", "--no-imports", "-c", BOTH_WAYS)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert set(told["names"]) == set(DRIFTED_SCHEMAS)
    counted: Counter[str] = Counter()
    for name, rows in told["apart"].items():
        shown = [json.loads(row) for row in rows]
        counted.update(row["status"].upper() for row in shown)
        wrong = {(row["component"], row["name"], row["status"]) for row in shown}
        wrong = {each for each in wrong if each[2] != "exists"}
        assert (name, wrong) == (name, DRIFTED_SCHEMAS[name][1])
        assert (name, told["together"].get(name, [])) == (name, rows if wrong else [])
    assert told["counts"] == counted


def test_the_textfile_tells_all_together_and_those_with_findings(
    tenant_schemas: Project, tmp_path: Path
) -> None:
    file = tmp_path / "tenants.prom"
    done = tenant_schemas.verify("--schemas", "tenant_r%", "--prometheus", str(file), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    found = parse_samples(file.read_text())
    assert found["schemas", "default", "tenant_r%"] == 2
    assert found["run_success", "default"] == 1
    assert {key[2]: value for key, value in found.items() if key[0] == "findings"} == {
        "tenant_r%": 2,
        "tenant_rows": 2,
    }
    assert (
        tenant_schemas.verify("--schemas", "tenant_rows", "--prometheus", str(file)).returncode == 1
    )
    series = [line.rpartition(" ")[0] for line in file.read_text().splitlines()]
    assert len(series) == len(set(series))


def test_who_has_locked_what_is_read_is_said(stock_project: Project) -> None:
    stock_project.psql(CRATE.format(schema="tenant_locked"))
    words = ("verify_schema", "crate", "--schemas", "tenant%")
    with (
        stock_project.database.connect(autocommit=False) as other,
        stock_project.database.running(*words, env=stock_project.env()) as process,
    ):
        other.execute("LOCK TABLE tenant_locked.crate_crate")
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith(f"waiting for a table that is read: pid {other.info.backend_pid}")
        other.rollback()
        assert process.wait(timeout=DEADLINE) == 0


def test_a_record_that_lacks_migrations_is_a_finding_of_its_schema_alone(
    stock_project: Project,
) -> None:
    for name in ("tenant_right", "tenant_torn"):
        stock_project.psql(CRATE.format(schema=name))
    stock_project.psql("DELETE FROM tenant_torn.django_migrations WHERE name = '0001_initial'")
    said = (
        "crate.0002_more is recorded as applied, and it depends on crate.0001_initial, which is not"
    )
    done = stock_project.verify("crate", "--schemas", "tenant%", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    shown = json.loads(done.stdout)
    assert found_rows(shown) == {("tenant_torn", "migrations", "different")}
    assert shown["databases"][0]["components"][0]["found"] == said
    for words in (("--schema", "tenant_torn"), ("--schemas", "tenant_torn")):
        done = stock_project.verify("crate", *words)
        assert (done.returncode, done.stderr) == (3, f"CommandError: {said}\n")


def test_a_schema_that_may_not_be_read_is_named(
    copy: Callable[[str], Database], capsys: pytest.CaptureFixture[str]
) -> None:
    database = copy("clean")
    role = f"reader_{secrets.token_hex(4)}"
    database.run(
        f"CREATE ROLE {role}",
        f"CREATE SCHEMA open_1; GRANT USAGE ON SCHEMA open_1 TO {role}",
        f"GRANT SELECT ON django_migrations TO {role}",
        "CREATE SCHEMA open_2",
    )
    try:
        with connections[database.alias].cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
        with pytest.raises(CommandError, match="the schemas open_2 ") as refused:
            call_command("verify_schema", "--schemas", "open%", database=database.alias)
    finally:
        database.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert refused.value.returncode == 4
    assert "1 schema like open%: 0 right, 1 not" in capsys.readouterr().out
