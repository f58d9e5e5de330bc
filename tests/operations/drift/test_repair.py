"""verify_schema --repair, the databases and schemas that it goes through, and what it prints."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from signals.operations.drift.survey import survey
from signals.operations.execution import migrators_lock
from signals.operations.execution.settings import in_schema
from tests.deadline import DEADLINE
from tests.operations.drift.hand_made_drifts import NOTE, add_rows
from tests.operations.projects.project import Project
from tests.operations.projects.stock_project import FOLDED
from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import ROOT, Database, process_environment
from tests.postgres.polling import lock_waiter, wait_until, wait_until_unused

EXPIRE = "django_session_expire_date_a5c62663"
DRIFT = f"DROP INDEX {EXPIRE}; ALTER TABLE auth_user DROP last_login"


def on_a_terminal(stock_project: Project, answer: str, *words: str, **env: str) -> tuple[int, str]:
    """Exit code and everything that is shown, where stdin, stdout and stderr are a terminal."""
    outer, inner = pty.openpty()
    variables = process_environment(stock_project.database.url) | stock_project.env(
        TERM="xterm", **env
    )
    if "NO_COLOR" not in env:
        del variables["NO_COLOR"]
    process = subprocess.Popen(
        [sys.executable, "manage.py", "verify_schema", *words],
        cwd=ROOT,
        env=variables,
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    os.write(outer, answer.encode())
    shown = b""
    try:
        while more := os.read(outer, 65536):
            shown += more
    except OSError:  # the terminal's end, as Linux tells it
        pass
    finally:
        os.close(outer)
    return process.wait(timeout=DEADLINE), shown.decode()


def test_a_terminal_gets_colours_unless_it_wants_none(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    code, shown = on_a_terminal(stock_project, "")
    assert code == 1
    assert "\x1b[31;1m✗ Missing\x1b[0m" in shown
    code, shown = on_a_terminal(stock_project, "", NO_COLOR="1")
    assert (code, "\x1b" in shown) == (1, False)
    assert "\x1b" not in stock_project.verify().stdout


def test_a_repair_asks_first_on_a_terminal(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    before = catalog_versions(stock_project.database)
    code, shown = on_a_terminal(stock_project, "n\n", "--repair")
    assert code == 1
    assert "Repair 2 components? [y/N]" in shown
    assert catalog_versions(stock_project.database) == before
    code, shown = on_a_terminal(stock_project, "y\n", "--repair")
    assert code == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_without_a_terminal_a_repair_needs_to_be_told_not_to_ask(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    before = catalog_versions(stock_project.database)
    done = stock_project.verify("--repair")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no terminal (use --no-input)" in done.stderr
    assert catalog_versions(stock_project.database) == before


def test_a_dry_run_prints_the_statements_and_changes_nothing(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    before = catalog_versions(stock_project.database)
    done = stock_project.verify("--repair", "--dry-run")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        'ALTER TABLE "auth_user" ADD COLUMN "last_login" timestamp with time zone NULL;\n'
        f'CREATE INDEX CONCURRENTLY "{EXPIRE}" ON "django_session" ("expire_date");\n'
    )
    assert catalog_versions(stock_project.database) == before


def test_a_repair_says_what_it_does_on_stderr_and_what_is_left_on_stdout(
    stock_project: Project,
) -> None:
    stock_project.psql(f"{DRIFT}; ALTER TABLE auth_user ALTER first_name TYPE text")
    done = stock_project.verify("--repair", "--no-input")
    assert done.returncode == 1
    assert done.stderr == (
        'repairing column last_login of "auth_user" (auth.0005_alter_user_last_login_null)\n'
        f'repairing index {EXPIRE} of "django_session" (sessions.0001_initial)\n'
    )
    assert "first_name" in done.stdout
    assert "last_login" not in done.stdout


def test_a_repair_of_one_app_leaves_the_others(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    assert stock_project.verify("sessions", "--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE, ("column", "last_login", "missing")}
    assert stock_project.not_as_declared("sessions") == set()
    assert stock_project.verify("auth", "0005", "--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_what_rows_stand_against_is_told_and_the_rest_repaired(stock_project: Project) -> None:
    add_rows(stock_project)
    stock_project.psql(
        f"{DRIFT}; ALTER TABLE crate_crate DROP CONSTRAINT crate_check;"
        "INSERT INTO crate_crate (weight, height) VALUES (1, -2)"
    )
    done = stock_project.verify("--repair", "--no-input")
    assert done.returncode == 1
    assert 'not repaired: check crate_check of "crate_crate": ' in done.stderr
    assert "Traceback" not in done.stderr
    assert stock_project.not_as_declared() == {NOTE, ("check", "crate_check", "unfinished")}


def test_killed_in_the_middle_the_next_repair_does_the_rest(stock_project: Project) -> None:
    add_rows(stock_project)
    stock_project.psql(DRIFT)
    with stock_project.database.connect(autocommit=False) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        words = ("verify_schema", "--repair", "--no-input")
        with stock_project.database.running(*words, env=stock_project.env()) as process:
            wait_until(
                lock_waiter(stock_project.database, "CREATE INDEX CONCURRENTLY"), "the build waits"
            )
            process.kill()
        found = stock_project.not_as_declared()
        assert ("column", "last_login", "missing") not in found
        assert found & {("index", EXPIRE, "building"), ("index", EXPIRE, "unfinished")}
    wait_until_unused(stock_project.database)
    assert stock_project.verify("--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_a_repair_waits_for_another_migrator_and_changes_nothing_beside_it(
    stock_project: Project,
) -> None:
    stock_project.psql(DRIFT)
    before = catalog_versions(stock_project.database)
    with migrators_lock.hold_migrators_lock(connections[stock_project.database.alias]):
        done = stock_project.verify(
            "--repair", "--no-input", CONVERGENT_MIGRATIONS_MIGRATORS_WAIT="0.3"
        )
    assert done.returncode == 1
    assert "another migrator is at work" in done.stderr
    assert catalog_versions(stock_project.database) == before


def test_two_schemas_with_the_same_tables_are_judged_and_repaired_apart(
    stock_project: Project,
) -> None:
    stock_project.psql("CREATE SCHEMA tenant")
    inside = Project(stock_project.folder, replace(stock_project.database, search_path="tenant"))
    for words in (("sessions",), ("crate", "0002")):
        assert inside.manage("migrate", "-v0", *words).returncode == 0
    stock_project.psql(f"DROP INDEX tenant.{EXPIRE}; DROP TABLE crate_crate")
    index, table = ("index", EXPIRE, "missing"), ("table", "crate_crate", "missing")
    assert stock_project.not_as_declared("--schema", "tenant") == {index}
    assert stock_project.not_as_declared() == {NOTE, table}
    shown = stock_project.json_report("--schema", "tenant")
    assert (shown["schema"], shown["migrations"]) == ("tenant", 3)
    stock_project.psql(stock_project.verify("--schema", "tenant", "--sql").stdout)
    assert stock_project.not_as_declared("--schema", "tenant") == set()
    assert stock_project.not_as_declared() == {NOTE, table}
    assert stock_project.verify("--schema", "public", "--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == {NOTE}


def test_the_search_path_is_what_it_was_after_a_survey_of_a_schema(stock_project: Project) -> None:
    connection = connections[stock_project.database.alias]
    stock_project.psql("CREATE SCHEMA tenant")
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO public, pg_catalog")

    def stumble() -> None:
        with in_schema(connection, "tenant"):
            assert survey(connection).schema == "tenant"
            raise LookupError

    with pytest.raises(LookupError):
        stumble()
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() == ("public, pg_catalog",)


def test_a_migration_that_is_not_applied_declares_nothing(stock_project: Project) -> None:
    assert not any(row["name"] == "later" for row in stock_project.json_report()["components"])
    assert stock_project.manage("migrate", "-v0", "crate").returncode == 0
    stock_project.psql("ALTER TABLE crate_crate DROP later")
    assert stock_project.not_as_declared() == {NOTE, ("column", "later", "missing")}


def declared(stock_project: Project, name: str) -> list[tuple[str, str]]:
    components = stock_project.json_report("folded")["components"]
    return [(each["migration"], each["status"]) for each in components if each["name"] == name]


def test_a_squashed_migration_counts_as_django_counts_it(stock_project: Project) -> None:
    squash = "folded.0001_squashed_0003"
    assert declared(stock_project, "second") == [(squash, "exists")]
    stock_project.psql(
        "DELETE FROM django_migrations WHERE app = 'folded' AND name LIKE '%third';"
        "DELETE FROM django_migrations WHERE app = 'folded' AND name LIKE '%squashed%';"
        "ALTER TABLE folded_fold DROP third, DROP second"
    )
    assert declared(stock_project, "second") == [("folded.0002_second", "missing")]
    assert declared(stock_project, "third") == []
    assert stock_project.verify("folded", "--repair", "--no-input").returncode == 0
    assert declared(stock_project, "second") == [("folded.0002_second", "exists")]


def test_each_component_is_credited_to_the_migration_that_had_the_last_word(
    stock_project: Project,
) -> None:
    told = {
        (each["component"], each["name"]): each["migration"]
        for each in stock_project.json_report("shop")["components"]
    }
    assert {
        key: told[key] for key in told if key[1] in ("name", "parent_id", "remark", "apart")
    } == {
        ("column", "name"): "shop.0002_history",
        ("column", "parent_id"): "shop.0001_initial",
        ("column", "remark"): "shop.0002_history",
        ("column", "apart"): "shop.0003_parting",
    }
    assert told["table", "shop_things"] == "shop.0002_history"
    assert told["table", "shop_tag"] == "shop.0001_initial"
    assert told["column", "slug"] == "shop.0001_initial"


def test_one_migration_of_stock_operations_is_shown_with_what_it_declares(
    stock_project: Project,
) -> None:
    stock_project.psql(f"DROP INDEX {EXPIRE}")
    done = stock_project.verify("sessions", "0001")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Component  Name ")
    assert f"index      {EXPIRE}  ✗ Missing\n" in done.stdout
    assert done.stdout.count("✓ Exists") == 4
    shown = json.loads(stock_project.verify("sessions", "0001", "--json").stdout)
    assert (shown["version"], shown["migration"], shown["clean"]) == (1, "0001_initial", False)


def test_the_table_shows_what_is_not_right_and_a_line_that_counts(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    done = stock_project.verify("auth")
    assert done.returncode == 1
    assert done.stdout == (
        "Component  Name        Table      Migration                             Status\n"
        "─────────  ──────────  ─────────  ────────────────────────────────────  ────────────\n"
        "column     last_login  auth_user  auth.0005_alter_user_last_login_null  ✗ Missing\n"
        "\n"
        "default, schema public: 52 components of 12 migrations: 51 exist, 1 missing\n"
    )
    assert stock_project.verify("auth", "--all").stdout.count("✓ Exists") == 51
    quiet = stock_project.verify("auth", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (1, "", "")


def test_the_json_has_stable_keys(stock_project: Project) -> None:
    stock_project.psql(DRIFT)
    shown = json.loads(stock_project.verify("--json").stdout)
    assert list(shown) == ["version", "clean", "databases", "errors"]
    assert (shown["version"], shown["clean"]) == (2, False)
    (one,) = shown["databases"]
    assert list(one) == [
        "database",
        "schema",
        "clean",
        "migrations",
        "counts",
        "stale_accepted",
        "shadow",
        "components",
    ]
    assert list(one["counts"]) == [
        *(
            "exists",
            "absent",
            "missing",
            "unfinished",
            "building",
            "different",
            "leftover",
            "awaiting",
        ),
        *("undeclared", "unjudged", "health"),
    ]
    assert one["counts"]["missing"] == 2
    assert next(each for each in one["components"] if each["name"] == "last_login") == {
        "component": "column",
        "name": "last_login",
        "table": '"auth_user"',
        "migration": "auth.0005_alter_user_last_login_null",
        "status": "missing",
        "found": "",
        "wanted": "",
        "fix": "",
        "note": "",
        "progress": "",
        "replaceable": False,
        "finding": True,
        "accepted": None,
    }


def test_all_databases_are_gone_through_and_what_is_no_postgresql_is_left_out(
    stock_project: Project,
) -> None:
    second = Database.new(stock_project.database.name)
    try:
        second.run(f"DROP INDEX {EXPIRE}")
        done = stock_project.verify("--all-databases", "--json", SECOND_URL=second.url)
        assert done.returncode == 1
        assert done.stderr == "the database 'lite' is SQLite, not PostgreSQL; left out\n"
        shown = json.loads(done.stdout)["databases"]
        assert [(each["database"], each["clean"]) for each in shown] == [
            ("default", True),
            ("second", False),
        ]
        alone_ = stock_project.verify("--database", "lite", SECOND_URL=second.url)
        assert (alone_.returncode, alone_.stdout) == (3, "")
    finally:
        second.drop()


def test_the_round_trips_grow_by_two_for_each_table(stock_project: Project) -> None:
    """The signals project's own: contrib tables, and two at most for what is spelled differently."""
    connection = connections[stock_project.database.alias]
    with CaptureQueriesContext(connection) as queries:
        tables = [row for row in survey(connection).rows if row.finding.component == "table"]
    assert len(tables) >= 8
    assert len(queries) <= 2 * len(tables) + 8


def test_a_broken_migration_graph_is_exit_code_3(stock_project: Project, tmp_path: Path) -> None:
    copytree(stock_project.folder, tmp_path / "broken")
    broken = replace(stock_project, folder=tmp_path / "broken")
    migration = broken.folder / "folded/migrations/0002_second.py"
    for dependency in ("('folded', '0000_lost')", "('sessions_', '__first__')"):
        migration.write_text(
            FOLDED.format(initial=False, replaces=[], dependencies=f"[{dependency}]", operations="")
        )
        done = broken.verify()
        assert (done.returncode, done.stdout) == (3, "")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("by", ["--sql", "--repair"])
def test_missing_tables_that_refer_to_each_other_come_back_with_their_foreign_keys(
    stock_project: Project, by: str
) -> None:
    stock_project.psql(
        "DROP TABLE shop_things, shop_things_tags, shop_special, shop_producer, shop_tag"
    )
    assert stock_project.not_as_declared() == {
        ("table", f"shop_{name}", "missing")
        for name in ("things", "things_tags", "special", "producer", "tag")
    }
    if by == "--sql":
        stock_project.psql(stock_project.verify("--sql").stdout)
    else:
        assert stock_project.verify("--repair", "--no-input").returncode == 0
    assert stock_project.not_as_declared() == set()


def test_the_script_builds_a_lost_primary_key_before_a_foreign_key_to_it(
    stock_project: Project,
) -> None:
    before = stock_project.not_as_declared()
    stock_project.psql(
        "SET client_min_messages = warning;"
        "ALTER TABLE shop_producer DROP CONSTRAINT shop_maker_pkey CASCADE;"
        "INSERT INTO shop_producer (code, slug) VALUES ('a', 'b')"
    )
    lost = stock_project.not_as_declared() - before
    assert ("table", "shop_producer", "different") in lost
    assert len([each for each in lost if each[0] == "foreign key"]) > 1
    script = stock_project.verify("--sql").stdout
    for _ in range(2):
        stock_project.psql(script)
    assert stock_project.not_as_declared() == before
