"""What sqlmigrate prints: run by a real psql, twice, both ways, on every kind of database."""

from collections.abc import Callable
from io import StringIO
from subprocess import run as execute
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.case import Case
from tests.operations.contract.cases import CASES
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import (
    FACTS,
    OTHER_SCHEMA,
    PART_TABLE,
    SCHEMA,
    catalog_versions,
    facts,
    forwards,
    part_model,
    printed_sql,
    project_state,
    psql,
    psql_binary,
    recreate,
)
from tests.postgres.databases import new_database

pytestmark = pytest.mark.usefixtures("committing_connection")

each_case = pytest.mark.parametrize("case", CASES, ids=str)
HALVES = [
    pytest.param(case, half, id=f"{case}, {half}") for case in CASES for half in case.unfinished
]


def run(case: Case, *, back: bool = False) -> None:
    ran = psql(printed_sql(case.make(), project_state(*case.models), back=back))
    assert (ran.returncode, ran.stderr) == (0, "")


@each_case
def test_printing_asks_the_database_nothing(case: Case) -> None:
    recreate()
    state = project_state(*case.models)
    printed_sql(case.make(), state)
    with CaptureQueriesContext(connection) as queries:
        forward, back = printed_sql(case.make(), state), printed_sql(case.make(), state, back=True)
    assert queries.captured_queries == []
    assert forward.startswith("--\n-- ")
    assert case.describes in forward
    has_no_way_back = case.name in ("backfill", "renamed index of index_together")
    assert has_no_way_back or back.count("\\gexec")


def test_printing_a_table_and_its_many_to_many_asks_the_database_nothing() -> None:
    """Rows would refuse the way back of a run; a script asks for them itself."""
    recreate(PART_TABLE)
    fields = [*part_model().fields.items(), ("twins", models.ManyToManyField("bench.part"))]
    operation = operations.CreateTableIfMissing("Part", fields, {"db_table": "part"})
    with CaptureQueriesContext(connection) as queries:
        forward = printed_sql(operation, project_state())
        back = printed_sql(operation, project_state(), back=True)
    assert queries.captured_queries == []
    assert forward.index('CREATE TABLE "part"') < forward.index('CREATE TABLE "part_twins"')
    assert back.index('DROP TABLE "part_twins"') < back.index('DROP TABLE "part"')


@each_case
def test_the_script_makes_the_same_as_a_clean_run_twice_and_goes_back_twice(case: Case) -> None:
    recreate(case.start, case.after_back or "")
    start = facts()
    recreate(case.start, case.done)
    wanted = facts()
    before = catalog_versions()
    run(case)
    assert case.name == "backfill" or catalog_versions() == before
    recreate(case.start)
    for back, expected in ((False, wanted), (False, wanted), (True, start), (True, start)):
        run(case, back=back)
        assert facts() == expected


@each_case
def test_what_the_script_made_is_present_for_the_operation(case: Case) -> None:
    recreate(case.start)
    run(case)
    before = catalog_versions()
    forwards(case.make(), project_state(*case.models))
    assert catalog_versions() == before


@pytest.mark.parametrize(("case", "half"), HALVES)
def test_half_done_is_completed_or_an_invalid_index_stops_the_script(case: Case, half: str) -> None:
    recreate(case.start, case.done)
    wanted = facts()
    recreate(case.start)
    step = case.unfinished[half]
    if callable(step):
        step()
    else:
        scratch_schema.execute(step)
    before = catalog_versions()
    invalid = scratch_schema.rows(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    )
    ran = psql(printed_sql(case.make(), project_state(*case.models)))
    if invalid and not case.removes:
        assert ran.returncode != 0
        assert f"index {invalid[0][0]} is invalid: drop it, and run again" in ran.stderr
        assert "table" in case.name or catalog_versions() == before
        scratch_schema.execute(f"DROP INDEX {invalid[0][0]}")
        run(case)
    else:
        assert (ran.returncode, ran.stderr) == (0, "")
    assert facts() == wanted


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.component in ("column", "check", "type") and not case.removes],
    ids=str,
)
def test_the_script_stops_at_an_error(case: Case) -> None:
    """Without the table the first step fails, and psql says so by its exit status."""
    recreate()
    script = printed_sql(case.make(), project_state(*case.models)) + "SELECT 'went on';\n"
    ran = psql(script)
    assert ran.returncode != 0
    assert "went on" not in ran.stdout


def test_the_adaptive_index_chooses_when_the_script_runs() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part",
        models.Index(fields=["label", "made_at"], name="best"),
        fallbacks=[
            models.Index(fields=["label", "amount"], name="second"),
            models.Index(fields=["label"], name="last"),
        ],
    )
    state = project_state(part_model())
    script, back = printed_sql(operation, state), printed_sql(operation, state, back=True)
    drops = [
        "",
        "ALTER TABLE part DROP COLUMN made_at;",
        "ALTER TABLE part DROP COLUMN made_at, DROP COLUMN amount;",
    ]
    for drop, name in zip(drops, ["best", "second", "last"], strict=True):
        recreate(PART_TABLE, drop)
        start = facts()
        for _ in range(2):
            assert psql(script).returncode == 0
            indexes = {row[2] for row in facts() if row[0] == "index"}
            assert indexes == {"part_pkey", name}
        for _ in range(2):
            assert psql(back).returncode == 0
            assert facts() == start


def test_the_adaptive_index_stops_where_the_table_allows_none() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(fields=["made_at"], name="best")
    )
    recreate(PART_TABLE, "ALTER TABLE part DROP COLUMN made_at")
    assert psql(printed_sql(operation, project_state(part_model()))).returncode != 0


def test_a_worse_variant_that_is_invalid_does_not_stop_the_script() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part",
        models.Index(fields=["label", "made_at"], name="best"),
        fallbacks=[models.Index(fields=["label"], name="last")],
    )
    recreate(PART_TABLE)
    cancelled_build("CREATE INDEX CONCURRENTLY last ON part (label)")()
    assert psql(printed_sql(operation, project_state(part_model()))).returncode == 0


def test_a_name_that_another_table_holds_stops_the_script() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(fields=["label"], name="wanted")
    )
    recreate(PART_TABLE, "CREATE TABLE other (label text); CREATE INDEX wanted ON other (label)")
    before = catalog_versions()
    ran = psql(printed_sql(operation, project_state(part_model())))
    assert ran.returncode != 0
    assert catalog_versions() == before


def test_rows_that_violate_stop_the_script() -> None:
    recreate(PART_TABLE)
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=models.Q(amount__gt=3), name="wanted")
    )
    script = printed_sql(operation, project_state(part_model()))
    for _ in range(2):
        assert psql(script).returncode != 0
    scratch_schema.execute("UPDATE part SET amount = 9")
    assert psql(script).returncode == 0
    assert ("constraint", "part", "wanted", "c", "CHECK ((amount > 3))", "true") in facts()


def test_a_table_with_rows_stops_the_script_on_the_way_back() -> None:
    operation = operations.CreateTableIfMissing(
        "Piece", [("id", scratch_schema.SERIAL)], {"db_table": "piece"}
    )
    recreate("CREATE TABLE piece (id bigserial PRIMARY KEY); INSERT INTO piece DEFAULT VALUES")
    before = catalog_versions()
    ran = psql(printed_sql(operation, project_state(), back=True))
    assert ran.returncode != 0
    assert 'table "piece" has rows' in ran.stderr
    assert catalog_versions() == before


@pytest.mark.parametrize(
    ("field", "using", "made"),
    [
        (models.CharField(max_length=20, null=True), "upper(label) || '!'", "BOLT!"),
        (
            models.TimeField(null=True),
            "time '10:00' + interval '1 hour' * length(label)",
            "14:00:00",
        ),
    ],
    ids=["varchar", "time"],
)
def test_a_conversion_by_an_expression_happens_once(field: Any, using: str, made: str) -> None:
    """Run twice, the file converts once, however the type is spelled."""
    recreate(PART_TABLE)
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", field, using=using, allow_rewrite=True
    )
    script = printed_sql(operation, project_state(part_model()))
    for _ in range(2):
        ran = psql(script)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert scratch_schema.value("SELECT label::text FROM part WHERE id = 1") == made


def test_a_conversion_to_an_enum_runs_twice() -> None:
    class Kind(models.TextField):  # type: ignore[type-arg]
        def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
            return '"kind"'

    recreate(PART_TABLE, "CREATE TYPE kind AS ENUM ('bolt', 'nut', 'cog')")
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", Kind(null=True), allow_rewrite=True
    )
    state, start = project_state(part_model()), facts()
    for back in (False, False, True, True):
        ran = psql(printed_sql(operation, state, back=back))
        assert (ran.returncode, ran.stderr) == (0, "")
        kind = scratch_schema.value("SELECT pg_typeof(label)::text FROM part LIMIT 1")
        assert kind == ("text" if back else "kind")
    assert facts() == start


def sqlmigrate(name: str, *, back: bool = False) -> str:
    text = StringIO()
    call_command("sqlmigrate", "signals", name, backwards=back, stdout=text, no_color=True)
    return text.getvalue()


def dump(url: str) -> list[tuple[Any, ...]]:
    question = FACTS.replace(f"IN ('{SCHEMA}', '{OTHER_SCHEMA}')", "IN ('public')")
    with psycopg.connect(url) as session:
        return sorted(session.execute(question).fetchall())  # type: ignore[arg-type]


def psql_on(url: str) -> Callable[[str], Any]:
    def on(script: str) -> Any:
        command = [psql_binary(), "-X", "-q", "-d", url]
        return execute(command, input=script, capture_output=True, text=True, check=False)

    return on


CHAIN = [f"{number:04}" for number in range(1, 14)]


def test_the_scripts_of_the_whole_chain_run_twice_and_back_twice() -> None:
    scripts = {name: (sqlmigrate(name), sqlmigrate(name, back=True)) for name in CHAIN}
    with new_database() as url:
        run_script = psql_on(url)
        empty = dump(url)
        for name in CHAIN:
            ran = run_script(scripts[name][0] * 2)
            assert (name, ran.returncode, ran.stderr) == (name, 0, "")
        assert {
            ("relation", "public", name) for name in ("signals", "events", "signal_events")
        } <= {row[:3] for row in dump(url)}
        for name in reversed(CHAIN):
            ran = run_script(scripts[name][1] * 2)
            assert (name, ran.returncode, ran.stderr) == (name, 0, "")
        kept = {row[2] for row in dump(url) if row[0] == "relation"} - {row[2] for row in empty}
        assert kept == set()
