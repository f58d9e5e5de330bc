"""verify_schema of a whole project: each drift made by hand is found, and nothing else."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connections, models
from django.db.migrations.state import ModelState, ProjectState

from signals.operations.drift.history import History
from signals.operations.drift.survey import Declared
from signals.operations.site import Site
from tests.deadline import DEADLINE
from tests.operations.drift.hand_made_drifts import (
    LEFT_TO_A_PERSON,
    NOTE,
    REPAIRED,
    REPLACED,
    UNDECLARED,
    Drift,
    add_rows,
    apply_drifts,
    without_conflicts,
)
from tests.operations.projects.project import Project
from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import Database
from tests.postgres.polling import lock_waiter, wait_until


def test_a_project_of_stock_operations_is_clean_after_migrate(stock_project: Project) -> None:
    before = catalog_versions(stock_project.database)
    done = stock_project.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" exist; 1 undeclared\n")
    assert stock_project.not_as_declared() == {NOTE}
    assert catalog_versions(stock_project.database) == before
    assert stock_project.verify("--strict", "--quiet").returncode == 1


def test_this_project_is_clean_after_migrate_and_after_adoption(
    copy: Callable[[str], Database],
) -> None:
    for description in ("clean 0013", "adopted 011"):
        database = copy(description)
        done = database.manage("verify_schema", "signals")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("drift", [*REPAIRED, *REPLACED, *LEFT_TO_A_PERSON, *UNDECLARED], ids=str)
def test_a_drift_is_found_and_nothing_else(stock_project: Project, drift: Drift) -> None:
    found = apply_drifts(stock_project, [drift])
    assert stock_project.not_as_declared() == found


def test_the_printed_sql_puts_right_what_is_missing_or_unfinished(stock_project: Project) -> None:
    add_rows(stock_project)
    found = apply_drifts(stock_project, without_conflicts(REPAIRED))
    assert stock_project.not_as_declared() == found
    done = stock_project.verify("--sql")
    assert (done.returncode, done.stderr) == (1, "")
    for _ in range(2):
        stock_project.psql(done.stdout)
        assert stock_project.not_as_declared() == {NOTE}
    assert stock_project.verify("--sql").returncode == 0


def test_a_repair_puts_right_what_is_missing_or_unfinished(stock_project: Project) -> None:
    add_rows(stock_project)
    found = apply_drifts(
        stock_project, [*without_conflicts(REPAIRED), *without_conflicts(REPLACED)[:1]]
    )
    assert stock_project.not_as_declared() == found
    done = stock_project.verify("--repair", "--no-input")
    assert done.returncode == 1
    assert stock_project.not_as_declared() == {NOTE, ("column", "email", "different")}
    assert stock_project.verify("--repair", "--replace", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_what_differs_is_replaced_only_when_asked(stock_project: Project) -> None:
    add_rows(stock_project)
    found = apply_drifts(stock_project, REPLACED)
    before = catalog_versions(stock_project.database)
    assert stock_project.verify("--repair", "--no-input").returncode == 1
    assert catalog_versions(stock_project.database) == before
    assert stock_project.not_as_declared() == found
    done = stock_project.verify("--repair", "--replace", "--no-input")
    assert (done.returncode, stock_project.not_as_declared()) == (0, {NOTE})


def test_a_dropped_column_comes_back_with_what_stood_on_it(stock_project: Project) -> None:
    stock_project.psql("ALTER TABLE crate_crate DROP height")
    assert stock_project.verify("--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_the_printed_sql_of_what_differs_is_run_where_it_loses_nothing(
    stock_project: Project,
) -> None:
    stock_project.psql(
        "ALTER TABLE auth_user ALTER is_staff SET DEFAULT true, ALTER email DROP NOT NULL,"
        " ALTER first_name TYPE varchar(100); ALTER TABLE shop_things ALTER kind DROP NOT NULL"
    )
    done = stock_project.verify("--sql")
    assert '-- to fix: ALTER TABLE "auth_user" ALTER COLUMN "first_name" TYPE' in done.stdout
    stock_project.psql(done.stdout)
    assert stock_project.not_as_declared() == {NOTE, ("column", "first_name", "different")}


def test_rows_of_a_backfill_are_judged_where_the_column_lost_its_not_null(
    stock_project: Project,
) -> None:
    stock_project.psql(
        "ALTER TABLE crate_crate ALTER height DROP NOT NULL;"
        "INSERT INTO crate_crate (weight) SELECT generate_series(1, 5)"
    )
    assert stock_project.not_as_declared() == {
        NOTE,
        ("rows", "height", "unfinished"),
        ("column", "height", "different"),
    }
    assert stock_project.verify("--repair", "--replace", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}
    assert stock_project.database.rows("SELECT DISTINCT height FROM crate_crate") == [(7,)]


def test_a_missing_enum_value_is_added(stock_project: Project) -> None:
    stock_project.psql("DROP TYPE crate_size; CREATE TYPE crate_size AS ENUM ('small', 'huge')")
    assert stock_project.not_as_declared() == {NOTE, ("enum", "crate_size", "missing")}
    stock_project.psql(stock_project.verify("--sql").stdout)
    assert stock_project.not_as_declared() == {NOTE}


def test_a_fallback_stands_where_the_table_lacks_the_column_of_the_best_index(
    stock_project: Project,
) -> None:
    stock_project.psql(
        "ALTER TABLE crate_crate DROP weight; CREATE INDEX crate_fallback ON crate_crate (id, id DESC)"
    )
    assert stock_project.not_as_declared() == {
        NOTE,
        ("column", "weight", "missing"),
        ("unique", "crate_unique", "missing"),
    }


def test_a_build_of_another_session_is_told_as_such(stock_project: Project) -> None:
    add_rows(stock_project)
    stock_project.psql("DROP INDEX django_session_expire_date_a5c62663")
    build = "CREATE INDEX CONCURRENTLY django_session_expire_date_a5c62663 ON django_session (expire_date)"
    with stock_project.database.connect(autocommit=False) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        code = "import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute(sys.argv[2])"
        process = subprocess.Popen([sys.executable, "-c", code, stock_project.database.url, build])
        with process:
            wait_until(
                lock_waiter(stock_project.database, "CREATE INDEX CONCURRENTLY"), "the build waits"
            )
            name = "django_session_expire_date_a5c62663"
            assert stock_project.not_as_declared() == {NOTE, ("index", name, "building")}
            assert stock_project.verify("--sql").stdout.count("gexec") == 0
            old.rollback()
            assert process.wait(timeout=DEADLINE) == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_what_a_not_null_that_died_half_way_left_is_healed(stock_project: Project) -> None:
    add_rows(stock_project)
    site = Site(connections[stock_project.database.alias], User, "auth_user")
    proof = site.name_for(["email"], "_notnull")
    stock_project.psql(
        f"ALTER TABLE auth_user ADD CONSTRAINT {proof} CHECK (email IS NOT NULL) NOT VALID"
    )
    assert stock_project.not_as_declared() == {NOTE, ("column", "email", "unfinished")}
    stock_project.psql("ALTER TABLE auth_user ALTER email DROP NOT NULL")
    assert stock_project.not_as_declared() == {NOTE, ("column", "email", "unfinished")}
    assert stock_project.verify("--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_a_collation_that_plain_sql_gave_a_column_is_a_note(stock_project: Project) -> None:
    stock_project.psql('ALTER TABLE django_site ALTER domain TYPE varchar(100) COLLATE "C"')
    assert stock_project.not_as_declared() == {NOTE}
    components = stock_project.json_report()["components"]
    assert [each["note"] for each in components if each["note"]] == [
        'COLLATE "C" in the database, none in the declaration'
    ]
    assert stock_project.verify("sites").stdout.endswith("; 1 with a note (--all shows it)\n")


def test_a_state_that_contradicts_itself_is_told_and_the_others_are_judged(
    stock_project: Project,
) -> None:
    connection = connections[stock_project.database.alias]
    key = ("id", models.AutoField(primary_key=True))
    index = models.Index(fields=["gone"], name="on_gone")
    state = ProjectState()
    stock_project.psql("CREATE TABLE bench_right (id serial PRIMARY KEY)")
    for name, options in (("Wrong", {"indexes": [index]}), ("Right", {})):
        state.add_model(ModelState("bench", name, [key], options))
    rows = list(Declared(connection, History(state)).rows())
    assert [(row.finding.component, row.finding.name) for row in rows if row.is_wrong()] == [
        ("table", "bench_wrong")
    ]
    stock_project.psql("CREATE TABLE bench_wrong (id serial PRIMARY KEY)")
    (wrong,) = (
        row.finding for row in Declared(connection, History(state)).rows() if row.is_wrong()
    )
    assert (wrong.component, wrong.name, wrong.table) == ("declaration", "Wrong", '"bench_wrong"')
    assert "gone" in wrong.found


def test_an_index_of_a_partitioned_table_is_repaired_and_no_script_is_printed_for_its_parts(
    stock_project: Project,
) -> None:
    stock_project.psql(
        "DROP TABLE django_session; CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY,"
        " session_data text NOT NULL, expire_date timestamptz NOT NULL) PARTITION BY HASH (session_key);"
        "CREATE TABLE half PARTITION OF django_session FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE other PARTITION OF django_session FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO django_session SELECT n::text, '', now() FROM generate_series(1, 9) n"
    )
    name = "django_session_expire_date_a5c62663"
    assert stock_project.not_as_declared() == {NOTE, ("index", name, "missing")}
    stock_project.psql(f"CREATE INDEX {name} ON ONLY django_session (expire_date)")
    assert ("index", name, "unfinished") in stock_project.not_as_declared()
    assert "-- the indexes of a partitioned table are built by --repair" in (
        stock_project.verify("--sql").stdout
    )
    assert stock_project.verify("--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}
