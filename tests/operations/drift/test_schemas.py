"""verify_schema --schemas: many schemas are judged together, as each would be alone, and repaired."""

import json
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.operations import migrators, session
from signals.operations.catalog import Catalog, Copy, Table, quoted
from signals.operations.schemas import Look, Result, repair_schemas, survey_schemas
from signals.operations.survey import Survey, patient_survey
from tests.operations.drift.prometheus_samples import parse_samples
from tests.operations.drift.round_trips import counting_relay
from tests.operations.projects.project import Project
from tests.postgres.databases import Database
from tests.postgres.polling import lock_waiter, wait_until, wait_until_unused

pytestmark = pytest.mark.usefixtures("unblocked_database")

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


def told(alias: str, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        call_command("verify_schema", *words, "--json", database=alias)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(capsys.readouterr().out)


def found(shown_lines: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (each["schema"], row["name"], row["status"])
        for each in shown_lines["databases"]
        for row in each["components"]
    }


def test_a_thousand_schemas_are_judged_in_as_few_round_trips_as_ten(
    many: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LONG", 600.0)  # who looks for blockers meanwhile asks by himself
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
    with counting_relay(many) as (relay, alias):
        connections[alias].ensure_connection()
        for pattern, number in (("tenant_9", 1), ("tenant_9_", 10), ("tenant_%", NUMBER)):
            before = relay.round_trips
            code, shown = told(alias, capsys, "signals", "0012", "--schemas", pattern)
            trips[number] = relay.round_trips - before
            assert shown["schemas"][0]["judged"] == number
    assert (code, found(shown)) == (1, drifted)
    assert shown["schemas"][0]["right"] == NUMBER - 3
    assert shown["schemas"][0]["counts"]["exists"] == 3 * NUMBER - len(drifted)
    assert trips[NUMBER] <= 5
    assert trips[NUMBER] - trips[1] <= 1  # the question of what is spelled otherwise


# What the first two migrations of crate make.
CRATE = """
CREATE SCHEMA {schema};
SET search_path TO {schema}, public;
CREATE TABLE django_migrations (LIKE public.django_migrations);
INSERT INTO django_migrations SELECT * FROM public.django_migrations WHERE app = 'crate';
CREATE TYPE crate_size AS ENUM ('small', 'large', 'huge');
CREATE TABLE crate_crate (id bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, weight integer,
    height integer NOT NULL, CONSTRAINT crate_unique UNIQUE (weight, height),
    CONSTRAINT crate_check CHECK (height > 0));
CREATE INDEX crate_weight ON crate_crate (weight);
"""
PARTITIONED = """
DROP TABLE crate_crate;
CREATE TABLE crate_crate (id bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, weight integer,
    height integer NOT NULL, CONSTRAINT crate_check CHECK (height > 0)) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF crate_crate DEFAULT;
CREATE INDEX crate_weight ON ONLY crate_crate (weight)
"""
UNPROVEN = """
ALTER TABLE crate_crate ADD extra integer, DROP CONSTRAINT crate_check;
ALTER TABLE crate_crate ADD CONSTRAINT crate_check CHECK (height > 0) NOT VALID
"""
ODD = 'tenant "odd" 100%'

# SQL done in a schema, and what is found there then.
DRIFTS = {
    "tenant_right": ("", set()),
    "tenant_same": ("", set()),
    "tenant_enum": (
        "ALTER TYPE crate_size RENAME TO other",
        {("enum", "crate_size", "missing")},
    ),
    "tenant_unique": (
        "ALTER TABLE crate_crate DROP CONSTRAINT crate_unique, ADD CONSTRAINT crate_unique UNIQUE (height)",
        {("unique", "crate_unique", "different")},
    ),
    "tenant_check": (
        UNPROVEN,
        {("check", "crate_check", "unfinished"), ("column", "extra", "undeclared")},
    ),
    "tenant_index": (
        "DROP INDEX crate_weight; CREATE INDEX crate_weight ON crate_crate (height)",
        {("index", "crate_weight", "different")},
    ),
    ODD: (
        "DROP INDEX crate_weight; CREATE INDEX crate_weight ON crate_crate (height)",
        {("index", "crate_weight", "different")},
    ),
    "tenant$": (  # PostgreSQL quotes it where it prints it
        "DROP INDEX crate_weight; CREATE INDEX crate_weight ON crate_crate (height)",
        {("index", "crate_weight", "different")},
    ),
    "tenant_table": ("DROP TABLE crate_crate", {("table", "crate_crate", "missing")}),
    "tenant_rows": (
        "ALTER TABLE crate_crate ALTER height DROP NOT NULL; INSERT INTO crate_crate (weight) VALUES (1)",
        {("column", "height", "different"), ("rows", "height", "unfinished")},
    ),
    "tenant_text": (
        "ALTER TABLE crate_crate DROP CONSTRAINT crate_check, ALTER height TYPE text",
        {
            ("column", "height", "different"),
            ("check", "crate_check", "missing"),
            ("unique", "crate_unique", "different"),
        },
    ),
    "tenant_parts": (
        PARTITIONED,
        {
            ("unique", "crate_unique", "missing"),
            ("index", "crate_weight", "unfinished"),
            ("index", "part", "missing"),
        },
    ),
    "tenant_early": (
        "DELETE FROM django_migrations WHERE name = '0002_more'; ALTER TABLE crate_crate DROP height",
        set(),
    ),
    "tenant_view": (
        "ALTER TABLE django_migrations RENAME TO o; CREATE VIEW django_migrations AS TABLE o",
        set(),
    ),
    "tenant_late": (
        "INSERT INTO django_migrations VALUES (100, 'crate', '0003_later', now())",
        {("column", "later", "missing")},
    ),
}

BOTH_WAYS = """
import json
from collections import Counter
from django.db import connection
from signals.operations import session
from signals.operations.catalog import quoted
from signals.operations.printing import _told
from signals.operations.schemas import survey_schemas
from signals.operations.survey import survey

def told(each):
    return sorted(json.dumps(_told(row)) for row in each.rows)

judged = survey_schemas(connection, "tenant%", "crate")
together = {each.schema: told(each) for each in judged.surveys}
apart = {}
for name in judged.names:
    with session.in_schema(connection, name):
        apart[name] = told(survey(connection, "crate"))
print(json.dumps({"together": together, "apart": apart, "names": judged.names,
    "counts": {status.name: count for status, count in judged.counts.items()}}))
"""


@pytest.fixture
def tenants(stock_project: Project) -> Project:
    scripts = [
        f"{CRATE.format(schema=quoted(name))}; {drift};" for name, (drift, _) in DRIFTS.items()
    ]
    stock_project.psql("\n".join(scripts))
    return stock_project


def test_each_schema_is_judged_as_it_would_be_alone(tenants: Project) -> None:
    done = tenants.manage("shell", "--no-imports", "-c", BOTH_WAYS)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert set(told["names"]) == set(DRIFTS)
    counted: Counter[str] = Counter()
    for name, rows in told["apart"].items():
        shown = [json.loads(row) for row in rows]
        counted.update(row["status"].upper() for row in shown)
        wrong = {(row["component"], row["name"], row["status"]) for row in shown}
        wrong = {each for each in wrong if each[2] != "exists"}
        assert (name, wrong) == (name, DRIFTS[name][1])
        assert (name, told["together"].get(name, [])) == (name, rows if wrong else [])
    assert told["counts"] == counted


def test_the_textfile_tells_all_together_and_those_with_findings(
    tenants: Project, tmp_path: Path
) -> None:
    file = tmp_path / "tenants.prom"
    done = tenants.verify("--schemas", "tenant_r%", "--prometheus", str(file), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    found = parse_samples(file.read_text())
    assert found["schemas", "default", "tenant_r%"] == 2
    assert found["run_success", "default"] == 1
    assert {key[2]: value for key, value in found.items() if key[0] == "findings"} == {
        "tenant_r%": 2,
        "tenant_rows": 2,
    }
    assert tenants.verify("--schemas", "tenant_rows", "--prometheus", str(file)).returncode == 1
    series = [line.rpartition(" ")[0] for line in file.read_text().splitlines()]
    assert len(series) == len(set(series))


def test_repairs_go_on_where_one_fails_and_say_what_came_of_each(tenants: Project) -> None:
    tenants.psql(
        "ALTER TABLE tenant_same.crate_crate DROP CONSTRAINT crate_unique;"
        "INSERT INTO tenant_same.crate_crate (weight, height) VALUES (1, 1), (1, 1)"
    )
    words = ("crate", "--schemas", "tenant%", "--repair", "--no-input", "--replace", "--jobs", "3")
    done = tenants.verify(*words)
    assert done.returncode == 1
    lines = set(done.stderr.splitlines())
    for name in ("tenant_enum", "tenant_table", "tenant_check", "tenant_index", ODD, "tenant_late"):
        assert f"{name}: repaired" in lines
    assert "tenant_same: not repaired: unique crate_unique of" in done.stderr
    assert "(1, 1)" in done.stderr
    left = done.stdout.splitlines()
    assert left[-1].startswith(f"default, {len(DRIFTS)} schemas like tenant%: ")
    shown = json.loads(tenants.verify("crate", "--schemas", "tenant%", "--json").stdout)
    assert found(shown) == {
        ("tenant_same", "crate_unique", "missing"),
        ("tenant_check", "extra", "undeclared"),
        ("tenant_parts", "crate_unique", "missing"),
        ("tenant_text", "height", "different"),
        ("tenant_text", "crate_check", "missing"),
        ("tenant_text", "crate_unique", "different"),
    }


FIRST_IS_DONE = (
    "SELECT FROM pg_constraint WHERE conname = 'crate_check' AND convalidated "
    "AND conrelid = 'tenant_right_1.crate_crate'::regclass"
)


@pytest.mark.parametrize(
    ("sent", "code", "jobs"),
    [(signal.SIGKILL, -signal.SIGKILL, 1), (signal.SIGINT, 130, 1), (signal.SIGINT, 130, 2)],
)
def test_a_repair_that_is_ended_is_continued_by_the_next_one(
    stock_project: Project, sent: signal.Signals, code: int, jobs: int
) -> None:
    words = ("crate", "--schemas", "tenant_right%", "--repair", "--no-input")
    for name in ("tenant_right_1", "tenant_right_2"):
        stock_project.psql(
            f"{CRATE.format(schema=name)}; ALTER TABLE crate_crate DROP CONSTRAINT crate_check"
        )
    with (
        stock_project.database.connect(autocommit=False) as reader,
        stock_project.database.running(
            "verify_schema",
            *words,
            f"--jobs={jobs}",
            env=stock_project.env(SIGNALS_OPERATIONS_LOCK_WAIT="60"),
        ) as process,
    ):
        reader.execute("SELECT FROM tenant_right_2.crate_crate")
        wait_until(
            lock_waiter(stock_project.database, "crate_crate"), "the repair waits for the reader"
        )
        wait_until(
            lambda: stock_project.database.rows(FIRST_IS_DONE), "the other schema is repaired"
        )
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
        assert process.returncode == code
        assert "Traceback" not in err
    wait_until_unused(stock_project.database)
    done = stock_project.verify(*words)
    assert done.returncode == 0
    assert "tenant_right_2: repaired" in done.stderr.splitlines()
    assert "tenant_right_1" not in done.stderr


def repairing(
    database: Database, names: Sequence[str], look: Look, jobs: int = 1
) -> Generator[Result]:
    connection = connections[database.alias]
    return repair_schemas(connection, names, look, jobs=jobs, say=lambda _: None)


def test_a_schema_that_was_dropped_is_not_repaired_in_the_next_one_of_the_path(
    copy: Callable[[str], Database],
) -> None:
    database = copy("clean")
    database.run(f"DROP INDEX {STATE}")
    (result,) = repairing(database, ["tenant_gone"], patient_survey)
    assert "schema tenant_gone: it is not there any more" in result.failure
    assert not database.rows("SELECT FROM pg_class WHERE relname = %s", [STATE])


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_failure_of_one_schema_is_one_of_the_next(
    copy: Callable[[str], Database], jobs: int
) -> None:
    database = copy("clean")
    names = ("tenant_1", "tenant_2", "tenant_3", "tenant_4")
    database.run(*(f"CREATE SCHEMA {name}" for name in names))

    def look(connection: BaseDatabaseWrapper) -> Survey:
        match Catalog(connection).place().schema:
            case "tenant_1":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            case "tenant_3":
                raise KeyError("unforeseen")
        return patient_survey(connection)

    results = {each.schema: each.failure for each in repairing(database, names, look, jobs)}
    assert sorted(results) == list(names)
    assert results["tenant_1"]
    assert results["tenant_3"] == "KeyError: 'unforeseen'"
    assert (results["tenant_2"], results["tenant_4"]) == ("", "")


def test_a_repair_that_is_ended_waits_for_no_migrator(
    copy: Callable[[str], Database], settings: Any
) -> None:
    database = copy("clean")
    settings.SIGNALS_OPERATIONS = {"MIGRATORS_WAIT": 60}
    database.run("CREATE SCHEMA tenant_1", "CREATE SCHEMA tenant_2", "CREATE SCHEMA tenant_3")
    with database.connect(autocommit=False) as other:
        for name in ("tenant_2", "tenant_3"):
            other.execute("SELECT pg_advisory_xact_lock(%s)", [migrators.key(name)])
        results = repairing(database, ["tenant_1", "tenant_2", "tenant_3"], patient_survey, jobs=3)
        assert next(results).schema == "tenant_1"
        begin = time.monotonic()
        results.close()
        assert time.monotonic() - begin < 30


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
        assert process.wait(timeout=30) == 0


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
    assert found(shown) == {("tenant_torn", "migrations", "different")}
    assert shown["databases"][0]["components"][0]["found"] == said
    for words in (("--schema", "tenant_torn"), ("--schemas", "tenant_torn")):
        done = stock_project.verify("crate", *words)
        assert (done.returncode, done.stderr) == (3, f"CommandError: {said}\n")


LINES = "tenant\nSELECT 'no comment' AS x; --"


def test_the_script_for_many_schemas_puts_each_right_whatever_its_name(
    stock_project: Project,
) -> None:
    for name in (LINES, "tenant_index"):
        drop = "ALTER TABLE crate_crate DROP CONSTRAINT crate_check;"
        stock_project.psql(f"{CRATE.format(schema=quoted(name))}; {drop}")
    script = stock_project.verify("crate", "--schemas", "tenant%", "--sql").stdout
    assert "\nSELECT 'no comment'" not in script.replace(f"TO {quoted(LINES)}", "")
    for _ in range(2):
        stock_project.psql(script)
    assert stock_project.verify("crate", "--schemas", "tenant%").returncode == 0


def test_one_refused_probe_of_many_costs_few_further_round_trips(
    copy: Callable[[str], Database],
) -> None:
    database = copy("clean")
    catalog = Catalog(connections[database.alias])
    found = catalog.table('"signals"')
    assert found is not None
    copies = [Copy(found, (f"ALTER TABLE probe ADD extra {kind}",)) for kind in ["int"] * 32]
    copies[7] = Copy(found, ("ALTER TABLE probe ADD extra unknown_type",))
    asked: list[str] = []

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with catalog.connection.execute_wrapper(count):
        answers = catalog.probes(copies, "probe")
    refused = [place for place, each in enumerate(answers) if isinstance(each, DatabaseError)]
    assert refused == [7]
    assert all(each.column("extra") for each in answers if isinstance(each, Table))
    assert len(asked) < 20


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
            assert Catalog(connection).table('"signals"')
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


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--schemas", "t%", "--schema", "t"), "--schema and --schemas exclude each other"),
        (("--schemas", "t%", "--jobs", "0", "--repair"), "--jobs is 1 or more"),
        (("--schemas", "t%", "--jobs", "2"), "--jobs goes with --schemas and --repair"),
        (("--schemas", "t\\"), "ends with a backslash"),
        (("--jobs", "2", "--repair"), "--jobs goes with --schemas and --repair"),
        (("--schemas", "nothing%"), "has a name LIKE 'nothing%'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    prepared: Callable[[str], Database], words: tuple[str, ...], text: str
) -> None:
    database = prepared("clean")
    try:
        with pytest.raises(CommandError, match=text) as refused:
            call_command("verify_schema", *words, database=database.alias)
    finally:
        database.close()
    assert refused.value.returncode == 2


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
