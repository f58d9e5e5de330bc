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
from tests.databases import new_database
from tests.operations import bench
from tests.operations.bench import PART, facts, forwards, fresh, marks, part, printed, psql
from tests.operations.contract.cases import CASES, Case, cancelled_build

pytestmark = pytest.mark.usefixtures("empty_bench")

each_case = pytest.mark.parametrize("case", CASES, ids=str)
HALVES = [pytest.param(case, half, id=f"{case}, {half}") for case in CASES for half in case.halves]


def run(case: Case, *, back: bool = False) -> None:
    ran = psql(printed(case.make(), bench.project(*case.models), back=back))
    assert (ran.returncode, ran.stderr) == (0, "")


@each_case
def test_printing_asks_the_database_nothing(case: Case) -> None:
    fresh()
    state = bench.project(*case.models)
    printed(case.make(), state)
    with CaptureQueriesContext(connection) as queries:
        forward, back = printed(case.make(), state), printed(case.make(), state, back=True)
    assert queries.captured_queries == []
    assert forward.startswith("--\n-- ")
    assert case.describes in forward
    assert case.name == "backfill" or back.count("\\gexec")


def test_printing_a_table_and_its_many_to_many_asks_the_database_nothing() -> None:
    """Rows would refuse the way back of a run; a script asks for them itself."""
    fresh(PART)
    fields = [*part().fields.items(), ("twins", models.ManyToManyField("bench.part"))]
    operation = operations.CreateTableIfMissing("Part", fields, {"db_table": "part"})
    with CaptureQueriesContext(connection) as queries:
        forward = printed(operation, bench.project())
        back = printed(operation, bench.project(), back=True)
    assert queries.captured_queries == []
    assert forward.index('CREATE TABLE "part"') < forward.index('CREATE TABLE "part_twins"')
    assert back.index('DROP TABLE "part_twins"') < back.index('DROP TABLE "part"')


@each_case
def test_the_script_makes_the_same_as_a_clean_run_twice_and_goes_back_twice(case: Case) -> None:
    fresh(case.start, case.after_back or "")
    start = facts()
    fresh(case.start, case.done)
    wanted = facts()
    before = marks()
    run(case)
    assert case.name == "backfill" or marks() == before
    fresh(case.start)
    for back, expected in ((False, wanted), (False, wanted), (True, start), (True, start)):
        run(case, back=back)
        assert facts() == expected


@each_case
def test_what_the_script_made_is_present_for_the_operation(case: Case) -> None:
    fresh(case.start)
    run(case)
    before = marks()
    forwards(case.make(), bench.project(*case.models))
    assert marks() == before


@pytest.mark.parametrize(("case", "half"), HALVES)
def test_half_done_is_completed_or_an_invalid_index_stops_the_script(case: Case, half: str) -> None:
    fresh(case.start, case.done)
    wanted = facts()
    fresh(case.start)
    step = case.halves[half]
    if callable(step):
        step()
    else:
        bench.execute(step)
    before = marks()
    invalid = bench.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    ran = psql(printed(case.make(), bench.project(*case.models)))
    if invalid and not case.removes:
        assert ran.returncode != 0
        assert f"index {invalid[0][0]} is invalid: drop it, and run again" in ran.stderr
        assert "table" in case.name or marks() == before
        bench.execute(f"DROP INDEX {invalid[0][0]}")
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
    fresh()
    script = printed(case.make(), bench.project(*case.models)) + "SELECT 'went on';\n"
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
    state = bench.project(part())
    script, back = printed(operation, state), printed(operation, state, back=True)
    drops = [
        "",
        "ALTER TABLE part DROP COLUMN made_at;",
        "ALTER TABLE part DROP COLUMN made_at, DROP COLUMN amount;",
    ]
    for drop, name in zip(drops, ["best", "second", "last"], strict=True):
        fresh(PART, drop)
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
    fresh(PART, "ALTER TABLE part DROP COLUMN made_at")
    assert psql(printed(operation, bench.project(part()))).returncode != 0


def test_a_worse_variant_that_is_invalid_does_not_stop_the_script() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part",
        models.Index(fields=["label", "made_at"], name="best"),
        fallbacks=[models.Index(fields=["label"], name="last")],
    )
    fresh(PART)
    cancelled_build("CREATE INDEX CONCURRENTLY last ON part (label)")()
    assert psql(printed(operation, bench.project(part()))).returncode == 0


def test_a_name_that_another_table_holds_stops_the_script() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(fields=["label"], name="wanted")
    )
    fresh(PART, "CREATE TABLE other (label text); CREATE INDEX wanted ON other (label)")
    before = marks()
    ran = psql(printed(operation, bench.project(part())))
    assert ran.returncode != 0
    assert marks() == before


def test_rows_that_violate_stop_the_script() -> None:
    fresh(PART)
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=models.Q(amount__gt=3), name="wanted")
    )
    script = printed(operation, bench.project(part()))
    for _ in range(2):
        assert psql(script).returncode != 0
    bench.execute("UPDATE part SET amount = 9")
    assert psql(script).returncode == 0
    assert ("constraint", "part", "wanted", "c", "CHECK ((amount > 3))", "true") in facts()


def test_a_table_with_rows_stops_the_script_on_the_way_back() -> None:
    operation = operations.CreateTableIfMissing(
        "Piece", [("id", bench.SERIAL)], {"db_table": "piece"}
    )
    fresh("CREATE TABLE piece (id bigserial PRIMARY KEY); INSERT INTO piece DEFAULT VALUES")
    before = marks()
    ran = psql(printed(operation, bench.project(), back=True))
    assert ran.returncode != 0
    assert 'table "piece" has rows' in ran.stderr
    assert marks() == before


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
    fresh(PART)
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", field, using=using, allow_rewrite=True
    )
    script = printed(operation, bench.project(part()))
    for _ in range(2):
        ran = psql(script)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert bench.value("SELECT label::text FROM part WHERE id = 1") == made


def test_a_conversion_to_an_enum_runs_twice() -> None:
    class Kind(models.TextField):  # type: ignore[type-arg]
        def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
            return '"kind"'

    fresh(PART, "CREATE TYPE kind AS ENUM ('bolt', 'nut', 'cog')")
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", Kind(null=True), allow_rewrite=True
    )
    state, start = bench.project(part()), facts()
    for back in (False, False, True, True):
        ran = psql(printed(operation, state, back=back))
        assert (ran.returncode, ran.stderr) == (0, "")
        kind = bench.value("SELECT pg_typeof(label)::text FROM part LIMIT 1")
        assert kind == ("text" if back else "kind")
    assert facts() == start


def sqlmigrate(name: str, *, back: bool = False) -> str:
    text = StringIO()
    call_command("sqlmigrate", "signals", name, backwards=back, stdout=text, no_color=True)
    return text.getvalue()


def dump(url: str) -> list[tuple[Any, ...]]:
    question = bench.FACTS.replace(f"IN ('{bench.SCHEMA}', '{bench.ASIDE}')", "IN ('public')")
    with psycopg.connect(url) as session:
        return sorted(session.execute(question).fetchall())  # type: ignore[arg-type]


def psql_on(url: str) -> Callable[[str], Any]:
    def on(script: str) -> Any:
        command = [bench.psql_binary(), "-X", "-q", "-d", url]
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
