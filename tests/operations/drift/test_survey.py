"""verify_schema of a whole project: each drift made by hand is found, and nothing else."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.db import connections, models
from django.db.migrations.state import ModelState, ProjectState

from signals.operations.ledger import Ledger
from signals.operations.site import Site
from signals.operations.survey import Declared
from tests.migrations.server import Database, until, waiting, written
from tests.operations.projects.stock import Stock

Found = set[tuple[str, str, str]]

NOTE = ("column", "forsaken", "undeclared")  # taken out of the state alone
LONG = ("thing_" + "long_" * 13)[:63]


@dataclass(frozen=True, slots=True)
class Drift:
    """SQL done by hand, what is then found beside the NOTE, and what puts it right, if anything does."""

    sql: str
    found: Found
    by: str = ""

    def __str__(self) -> str:
        return self.sql[:60]


INVALID = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"

# What --repair puts right, and what the printed SQL does.
HEALED = [
    Drift("DROP TABLE django_redirect", {("table", "django_redirect", "missing")}),
    Drift("DROP TABLE auth_user_groups", {("table", "auth_user_groups", "missing")}),
    Drift("ALTER TABLE auth_user DROP last_login", {("column", "last_login", "missing")}),
    Drift(
        "ALTER TABLE shop_things DROP loud",
        {("column", "loud", "missing")},
    ),
    Drift(
        "ALTER TABLE crate_crate DROP height",
        {
            ("column", "height", "missing"),
            ("unique", "crate_unique", "missing"),
            ("check", "crate_check", "missing"),
        },
    ),
    Drift(
        "ALTER TABLE auth_group_permissions DROP CONSTRAINT "
        "auth_group_permissions_group_id_b120cbf9_fk_auth_group_id",
        {("foreign key", "group_id", "missing")},
    ),
    Drift(
        "ALTER TABLE auth_permission DROP CONSTRAINT "
        "auth_permission_content_type_id_2f476e4b_fk_django_co, ADD CONSTRAINT by_hand FOREIGN KEY "
        "(content_type_id) REFERENCES django_content_type NOT VALID",
        {("foreign key", "by_hand", "unfinished")},
    ),
    Drift(
        "ALTER TABLE django_admin_log DROP CONSTRAINT django_admin_log_action_flag_check",
        {("check", "django_admin_log_action_flag_check", "missing")},
    ),
    Drift(
        f"ALTER TABLE shop_things DROP CONSTRAINT {LONG}",
        {("check", LONG, "missing")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_amount, ADD CONSTRAINT thing_amount "
        "CHECK (amount < 1000 OR kind IN ('big', 'huge')) NOT VALID",
        {("check", "thing_amount", "unfinished")},
    ),
    Drift(
        "DROP INDEX django_session_expire_date_a5c62663",
        {("index", "django_session_expire_date_a5c62663", "missing")},
    ),
    Drift(
        "DROP INDEX auth_user_username_6821ab7c_like",
        {("index", "auth_user_username_6821ab7c_like", "missing")},
    ),
    Drift("DROP INDEX thing_lower", {("index", "thing_lower", "missing")}),
    Drift(INVALID.format("thing_partial"), {("index", "thing_partial", "unfinished")}),
    Drift("DROP INDEX crate_weight", {("index", "crate_weight", "missing")}),
    Drift(
        "ALTER TABLE django_site DROP CONSTRAINT django_site_domain_a2e37b91_uniq",
        {("unique", "django_site_domain_a2e37b91_uniq", "missing")},
    ),
    Drift(
        "ALTER TABLE auth_permission DROP CONSTRAINT "
        "auth_permission_content_type_id_codename_01ab375a_uniq",
        {("unique", "auth_permission_content_type_id_codename_01ab375a_uniq", "missing")},
    ),
    Drift("DROP INDEX thing_one", {("unique", "thing_one", "missing")}),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_deferred",
        {("unique", "thing_deferred", "missing")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_nulls;"
        "CREATE UNIQUE INDEX thing_nulls ON shop_things (tiny, born) NULLS NOT DISTINCT",
        {("unique", "thing_nulls", "unfinished")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_during",
        {("exclusion", "thing_during", "missing")},
    ),
    Drift("DROP TYPE crate_size", {("enum", "crate_size", "missing")}),
]

# What --repair --replace puts right.
REPLACED = [
    Drift("ALTER TABLE auth_user ALTER email DROP NOT NULL", {("column", "email", "different")}),
    Drift(
        "ALTER TABLE crate_crate DROP CONSTRAINT crate_check, "
        "ADD CONSTRAINT crate_check CHECK (height > 1)",
        {("check", "crate_check", "different")},
    ),
    Drift(
        "DROP INDEX thing_lower; CREATE INDEX thing_lower ON shop_things (amount)",
        {("index", "thing_lower", "different")},
    ),
    Drift(
        "DROP INDEX crate_weight; CREATE INDEX crate_weight ON crate_crate (weight DESC)",
        {("index", "crate_weight", "different")},
    ),
    Drift(
        "ALTER TABLE crate_crate DROP CONSTRAINT crate_unique, "
        "ADD CONSTRAINT crate_unique UNIQUE (height)",
        {("unique", "crate_unique", "different")},
    ),
]

# What a person decides.
LEFT = [
    Drift(
        "ALTER TABLE auth_user ALTER first_name TYPE varchar(100)",
        {("column", "first_name", "different")},
    ),
    Drift(
        "ALTER TABLE auth_user ALTER is_staff SET DEFAULT true",
        {("column", "is_staff", "different")},
    ),
    Drift(
        "ALTER TABLE django_flatpage_sites DROP CONSTRAINT django_flatpage_sites_pkey",
        {("table", "django_flatpage_sites", "different")},
    ),
    Drift(
        "DROP TABLE django_session; CREATE VIEW django_session AS SELECT 1 AS session_key",
        {("table", "django_session", "different")},
    ),
    Drift(
        "ALTER TABLE django_redirect DROP CONSTRAINT django_redirect_site_id_c3e37341_fk_django_site_id, "
        "ADD CONSTRAINT elsewhere FOREIGN KEY (site_id) REFERENCES auth_group",
        {("foreign key", "elsewhere", "different")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_during, "
        "ADD CONSTRAINT thing_during EXCLUDE USING gist (during WITH -|-)",
        {("exclusion", "thing_during", "different")},
    ),
    Drift(
        "DROP TYPE crate_size; CREATE TYPE crate_size AS ENUM ('large', 'small', 'huge')",
        {("enum", "crate_size", "different")},
    ),
    Drift("ALTER TABLE shop_things ADD obsolete integer", {("column", "obsolete", "leftover")}),
    Drift("CREATE INDEX thing_to_go ON shop_things (kind)", {("index", "thing_to_go", "leftover")}),
    Drift("CREATE TABLE shop_gone (id int)", {("table", "shop_gone", "leftover")}),
]

# Notes, which are no findings.
UNDECLARED = [
    Drift("ALTER TABLE auth_user ADD extra integer", {("column", "extra", "undeclared")}),
    Drift("ALTER TABLE crate_crate ADD later integer", {("column", "later", "undeclared")}),
    Drift("CREATE INDEX again ON django_session (expire_date)", {("index", "again", "undeclared")}),
    Drift(
        "ALTER TABLE auth_group ADD CONSTRAINT further CHECK (id > 0)",
        {("check", "further", "undeclared")},
    ),
    Drift(
        "ALTER TABLE auth_group ADD CONSTRAINT further UNIQUE (id, name)",
        {("unique", "further", "undeclared")},
    ),
    Drift(
        "ALTER TABLE auth_user ADD CONSTRAINT further FOREIGN KEY (id) REFERENCES auth_user",
        {("foreign key", "further", "undeclared")},
    ),
]


def test_a_project_of_stock_operations_is_clean_after_migrate(stock: Stock) -> None:
    before = written(stock.database)
    done = stock.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" exist; 1 undeclared\n")
    assert stock.wrong() == {NOTE}
    assert written(stock.database) == before
    assert stock.verify("--strict", "--quiet").returncode == 1


def test_this_project_is_clean_after_migrate_and_after_adoption(
    copy: Callable[[str], Database],
) -> None:
    for description in ("clean 0013", "adopted 011"):
        database = copy(description)
        done = database.manage("verify_schema", "signals")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("drift", [*HEALED, *REPLACED, *LEFT, *UNDECLARED], ids=str)
def test_a_drift_is_found_and_nothing_else(stock: Stock, drift: Drift) -> None:
    stock.psql(drift.sql)
    assert stock.wrong() == drift.found | {NOTE}


def together(stock: Stock, drifts: list[Drift]) -> Found:
    """All of the drifts in one database, but for what one of them takes from another."""
    for drift in drifts:
        stock.psql(drift.sql)
    return {found for drift in drifts for found in drift.found} | {NOTE}


def filled(stock: Stock) -> None:
    """Rows, so that nothing is built at once in an empty table."""
    stock.psql(
        "INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff,"
        " is_active, date_joined) VALUES ('u', '', '', '', '', false, false, true, now());"
        "INSERT INTO django_session VALUES ('k', '', now());"
        "INSERT INTO crate_crate (weight, height) VALUES (1, 2), (2, 3)"
    )


def compatible(drifts: list[Drift]) -> list[Drift]:
    """Those that do not drop what another one works on."""
    return [each for each in drifts if "DROP height" not in each.sql]


def test_the_printed_sql_puts_right_what_is_missing_or_unfinished(stock: Stock) -> None:
    filled(stock)
    found = together(stock, compatible(HEALED))
    assert stock.wrong() == found
    done = stock.verify("--sql")
    assert (done.returncode, done.stderr) == (1, "")
    for _ in range(2):
        stock.psql(done.stdout)
        assert stock.wrong() == {NOTE}
    assert stock.verify("--sql").returncode == 0


def test_a_repair_puts_right_what_is_missing_or_unfinished(stock: Stock) -> None:
    filled(stock)
    found = together(stock, [*compatible(HEALED), *compatible(REPLACED)[:1]])
    assert stock.wrong() == found
    done = stock.verify("--repair", "--no-input")
    assert done.returncode == 1
    assert stock.wrong() == {NOTE, ("column", "email", "different")}
    assert stock.verify("--repair", "--replace", "--no-input").returncode == 0
    assert stock.wrong() == {NOTE}


def test_what_differs_is_replaced_only_when_asked(stock: Stock) -> None:
    filled(stock)
    found = together(stock, REPLACED)
    before = written(stock.database)
    assert stock.verify("--repair", "--no-input").returncode == 1
    assert written(stock.database) == before
    assert stock.wrong() == found
    done = stock.verify("--repair", "--replace", "--no-input")
    assert (done.returncode, stock.wrong()) == (0, {NOTE})


def test_a_dropped_column_comes_back_with_what_stood_on_it(stock: Stock) -> None:
    stock.psql("ALTER TABLE crate_crate DROP height")
    assert stock.verify("--repair", "--no-input").returncode == 0
    assert stock.wrong() == {NOTE}


def test_the_printed_sql_of_what_differs_is_run_where_it_loses_nothing(stock: Stock) -> None:
    stock.psql(
        "ALTER TABLE auth_user ALTER is_staff SET DEFAULT true, ALTER email DROP NOT NULL,"
        " ALTER first_name TYPE varchar(100); ALTER TABLE shop_things ALTER kind DROP NOT NULL"
    )
    done = stock.verify("--sql")
    assert '-- to fix: ALTER TABLE "auth_user" ALTER COLUMN "first_name" TYPE' in done.stdout
    stock.psql(done.stdout)
    assert stock.wrong() == {NOTE, ("column", "first_name", "different")}


def test_rows_of_a_backfill_are_judged_where_the_column_lost_its_not_null(stock: Stock) -> None:
    stock.psql(
        "ALTER TABLE crate_crate ALTER height DROP NOT NULL;"
        "INSERT INTO crate_crate (weight) SELECT generate_series(1, 5)"
    )
    assert stock.wrong() == {
        NOTE,
        ("rows", "height", "unfinished"),
        ("column", "height", "different"),
    }
    assert stock.verify("--repair", "--replace", "--no-input").returncode == 0
    assert stock.wrong() == {NOTE}
    assert stock.database.rows("SELECT DISTINCT height FROM crate_crate") == [(7,)]


def test_a_missing_enum_value_is_added(stock: Stock) -> None:
    stock.psql("DROP TYPE crate_size; CREATE TYPE crate_size AS ENUM ('small', 'huge')")
    assert stock.wrong() == {NOTE, ("enum", "crate_size", "missing")}
    stock.psql(stock.verify("--sql").stdout)
    assert stock.wrong() == {NOTE}


def test_a_fallback_stands_where_the_table_lacks_the_column_of_the_best_index(
    stock: Stock,
) -> None:
    stock.psql(
        "ALTER TABLE crate_crate DROP weight; CREATE INDEX crate_fallback ON crate_crate (id, id DESC)"
    )
    assert stock.wrong() == {
        NOTE,
        ("column", "weight", "missing"),
        ("unique", "crate_unique", "missing"),
    }


def test_a_build_of_another_session_is_told_as_such(stock: Stock) -> None:
    filled(stock)
    stock.psql("DROP INDEX django_session_expire_date_a5c62663")
    build = "CREATE INDEX CONCURRENTLY django_session_expire_date_a5c62663 ON django_session (expire_date)"
    with stock.database.connect(autocommit=False) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        code = "import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute(sys.argv[2])"
        process = subprocess.Popen([sys.executable, "-c", code, stock.database.url, build])
        with process:
            until(waiting(stock.database, "CREATE INDEX CONCURRENTLY"), "the build waits")
            name = "django_session_expire_date_a5c62663"
            assert stock.wrong() == {NOTE, ("index", name, "building")}
            assert stock.verify("--sql").stdout.count("gexec") == 0
            old.rollback()
            assert process.wait(timeout=60) == 0
    assert stock.wrong() == {NOTE}


def test_what_a_not_null_that_died_half_way_left_is_healed(stock: Stock) -> None:
    filled(stock)
    site = Site(connections[stock.database.alias], User, "auth_user")
    proof = site.name_for(["email"], "_notnull")
    stock.psql(f"ALTER TABLE auth_user ADD CONSTRAINT {proof} CHECK (email IS NOT NULL) NOT VALID")
    assert stock.wrong() == {NOTE, ("column", "email", "unfinished")}
    stock.psql("ALTER TABLE auth_user ALTER email DROP NOT NULL")
    assert stock.wrong() == {NOTE, ("column", "email", "unfinished")}
    assert stock.verify("--repair", "--no-input").returncode == 0
    assert stock.wrong() == {NOTE}


def test_a_collation_that_plain_sql_gave_a_column_is_a_note(stock: Stock) -> None:
    stock.psql('ALTER TABLE django_site ALTER domain TYPE varchar(100) COLLATE "C"')
    assert stock.wrong() == {NOTE}
    components = stock.told()["components"]
    assert [each["note"] for each in components if each["note"]] == [
        'COLLATE "C" in the database, none in the declaration'
    ]
    assert stock.verify("sites").stdout.endswith("; 1 with a note (--all shows it)\n")


def test_a_state_that_contradicts_itself_is_told_and_the_others_are_judged(stock: Stock) -> None:
    connection = connections[stock.database.alias]
    key = ("id", models.AutoField(primary_key=True))
    index = models.Index(fields=["gone"], name="on_gone")
    state = ProjectState()
    for name, options in (("Wrong", {"indexes": [index]}), ("Right", {"db_table": "auth_group"})):
        state.add_model(ModelState("bench", name, [key], options))
    rows = list(Declared(connection, Ledger(state)).rows())
    assert [(row.finding.component, row.finding.name) for row in rows if row.is_wrong()] == [
        ("table", "bench_wrong")
    ]
    stock.psql("CREATE TABLE bench_wrong (id serial PRIMARY KEY)")
    (wrong,) = (row.finding for row in Declared(connection, Ledger(state)).rows() if row.is_wrong())
    assert (wrong.component, wrong.name, wrong.table) == ("declaration", "Wrong", '"bench_wrong"')
    assert "gone" in wrong.found


def test_an_index_of_a_partitioned_table_is_repaired_and_no_script_is_printed_for_its_parts(
    stock: Stock,
) -> None:
    stock.psql(
        "DROP TABLE django_session; CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY,"
        " session_data text NOT NULL, expire_date timestamptz NOT NULL) PARTITION BY HASH (session_key);"
        "CREATE TABLE half PARTITION OF django_session FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE other PARTITION OF django_session FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO django_session SELECT n::text, '', now() FROM generate_series(1, 9) n"
    )
    name = "django_session_expire_date_a5c62663"
    assert stock.wrong() == {NOTE, ("index", name, "missing")}
    stock.psql(f"CREATE INDEX {name} ON ONLY django_session (expire_date)")
    assert ("index", name, "unfinished") in stock.wrong()
    assert "-- the indexes of a partitioned table are finished by --repair" in (
        stock.verify("--sql").stdout
    )
    assert stock.verify("--repair", "--no-input").returncode == 0
    assert stock.wrong() == {NOTE}
