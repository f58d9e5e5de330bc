"""manage.py verify_schema: what it prints, what it exits with, and what it is asked wrongly."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import Database

Copy = Callable[[str], Database]

pytestmark = pytest.mark.usefixtures("unblocked_database")

CLEAN = """\
Component  Name                          Status
─────────  ────────────────────────────  ────────────
column     state                         ✓ Exists
check      signals_state_check           ✓ Exists
index      idx_signals_state_created_at  ✓ Exists
"""
KEYS = ["version", "app", "migration", "database", "clean", "components", "errors"]
COMPONENT = ["component", "name", "table", "status", "found", "wanted", "fix", "note"]


def statuses(database: Database, migration: str = "0012") -> dict[str, str]:
    _, shown = database.verify(migration, "--json")
    return {each["name"]: each["status"] for each in json.loads(shown)["components"]}


def test_a_clean_database_is_a_table_and_exit_code_0(copy: Copy) -> None:
    database = copy("adopted 011")
    before = catalog_versions(database)
    done = database.manage("verify_schema", "signals", "0012")
    assert (done.returncode, done.stdout, done.stderr) == (0, CLEAN, "")
    assert catalog_versions(database) == before


def test_the_same_as_json_is_one_object_with_stable_keys(copy: Copy) -> None:
    done = copy("adopted 011").manage("verify_schema", "signals", "0012", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert list(shown) == KEYS
    assert {key: shown[key] for key in KEYS if key != "components"} == {
        "version": 1,
        "app": "signals",
        "migration": "0012_signal_state",
        "database": "default",
        "clean": True,
        "errors": [],
    }
    assert [list(each) for each in shown["components"]] == [COMPONENT] * 3
    assert shown["components"][0] == {
        "component": "column",
        "name": "state",
        "table": '"signals"',
        "status": "exists",
        "found": "text DEFAULT 'candidate'::text NOT NULL",
        "wanted": shown["components"][0]["wanted"],
        "fix": "",
        "note": "",
    }


def test_what_is_missing_unfinished_and_different_is_told_apart(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run(
        "DROP INDEX idx_signals_state_created_at",
        "ALTER TABLE signals DROP CONSTRAINT signals_state_check",
        "ALTER TABLE signals ADD CONSTRAINT signals_state_check"
        " CHECK (state IN ('candidate', 'verified', 'downgraded')) NOT VALID",
        "ALTER TABLE signals ALTER COLUMN state DROP NOT NULL",
    )
    done = database.manage("verify_schema", "signals", "0012")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "Component  Name                          Status\n"
        "─────────  ────────────────────────────  ────────────\n"
        "column     state                         ≠ Different\n"
        "check      signals_state_check           ! Unfinished\n"
        "index      idx_signals_state_created_at  ✗ Missing\n"
        "\n"
        'column state of "signals"\n'
        "  found:  text DEFAULT 'candidate'::text\n"
        "  wanted: text DEFAULT 'candidate'::text NOT NULL\n"
        '  to fix: ALTER TABLE "signals" ALTER COLUMN "state" SET NOT NULL;\n'
    )
    done = database.manage("verify_schema", "signals", "0012", "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    assert shown["clean"] is False
    assert [each["status"] for each in shown["components"]] == [
        "different",
        "unfinished",
        "missing",
    ]
    assert (
        shown["components"][0]["fix"] == 'ALTER TABLE "signals" ALTER COLUMN "state" SET NOT NULL;'
    )


@pytest.mark.parametrize(
    ("statement", "name", "status"),
    [
        ("ALTER TABLE signals DROP COLUMN state", "state", "missing"),
        ("ALTER TABLE signals ALTER COLUMN state TYPE varchar(20)", "state", "different"),
        (
            "ALTER TABLE signals DROP CONSTRAINT signals_state_check",
            "signals_state_check",
            "missing",
        ),
        (
            (
                "ALTER TABLE signals DROP CONSTRAINT signals_state_check,"
                " ADD CONSTRAINT signals_state_check CHECK (state <> '')"
            ),
            "signals_state_check",
            "different",
        ),
        (
            (
                "DROP INDEX idx_signals_state_created_at;"
                " CREATE INDEX idx_signals_state_created_at ON events (last_ts)"
            ),
            "idx_signals_state_created_at",
            "different",
        ),
        (
            (
                "ALTER TABLE signals DROP COLUMN state; ALTER TABLE signals ADD CONSTRAINT"
                " signals_state_check CHECK (id > 0)"
            ),
            "state",
            "missing",
        ),
    ],
)
def test_each_thing_done_by_hand_is_seen(
    copy: Copy, statement: str, name: str, status: str
) -> None:
    database = copy("adopted 011")
    database.run(*statement.split("; "))
    assert statuses(database)[name] == status
    assert database.verify("0012")[0] == 1


@pytest.mark.parametrize("number", range(1, 13))
@pytest.mark.parametrize("description", ["empty", "legacy 001", "legacy 006", "legacy 012"])
def test_before_any_migration_every_report_is_made_and_nothing_changed(
    prepared: Callable[[str], Database], description: str, number: int
) -> None:
    database = prepared(description)
    before = catalog_versions(database)
    code, shown = database.verify(f"{number:04}", "--json")
    database.close()
    components = json.loads(shown)["components"]
    found = {each["status"] for each in components}
    assert code == (0 if found <= {"exists"} else 1)
    assert found <= {"exists", "missing"} or description != "empty"
    if description == "empty":
        assert found == ({"missing"} if components else set())
    assert catalog_versions(database) == before


def test_a_migration_without_components_is_clean(copy: Copy) -> None:
    assert copy("clean").verify("0005") == (
        0,
        "Component  Name  Status\n─────────  ────  ────────────\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing", "0012"), "the app 'nothing' has no migrations"),
        (
            ("signals", "0099"),
            "'0099' names no single migration of signals (use one of 0001_events_and_signals, ",
        ),
        (
            ("signals", "00"),
            "'00' names no single migration of signals (use one of 0001_events_and_signals, ",
        ),
        (
            ("signals", "0012", "--database", "other"),
            "there is no database 'other' (use one of default",
        ),
    ],
)
def test_a_wrong_question_is_exit_code_2_and_a_way_out(
    copy: Copy, words: tuple[str, ...], message: str
) -> None:
    done = copy("empty").manage("verify_schema", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.removeprefix("CommandError: ").startswith(message)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--replace",),
        ("--dry-run",),
        ("--json", "--sql"),
        ("--repair", "--sql"),
        ("--repair", "--dry-run", "--json"),
        ("--database", "default", "--all-databases"),
        ("signals", "0012", "--all-databases"),
        ("--schema", "nowhere"),
        ("nothing",),
        ("--unknown",),
    ],
)
def test_what_makes_no_sense_is_exit_code_2(copy: Copy, words: tuple[str, ...]) -> None:
    done = copy("empty").manage("verify_schema", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_where_nothing_was_migrated_nothing_is_declared(copy: Copy) -> None:
    done = copy("empty").manage("verify_schema", "--allow-empty")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "default, schema public: 0 components of 0 migrations: none\n"


def test_a_database_that_is_not_there_is_exit_code_4() -> None:
    done = Database("test_mig_that_is_not_there").manage("verify_schema", "signals", "0012")
    assert (done.returncode, done.stdout) == (4, "")
    assert "the database 'default' cannot be read: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_does_not_answer_is_exit_code_4(copy: Copy) -> None:
    done = copy("empty").manage(
        "verify_schema",
        "signals",
        "0012",
        env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=5"},
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "Traceback" not in done.stderr


def test_a_call_from_python_raises_with_the_same_code(copy: Copy) -> None:
    database = copy("empty")
    with pytest.raises(CommandError) as stopped:
        call_command("verify_schema", "nothing", "0012", database=database.alias)
    assert stopped.value.returncode == 2


@pytest.mark.parametrize(
    ("description", "code", "word"), [("adopted 011", 0, "Exists"), ("legacy 011", 1, "Missing")]
)
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_an_output_that_knows_only_ascii_gets_a_readable_report(
    copy: Copy, description: str, code: int, word: str, option: tuple[str, ...]
) -> None:
    done = copy(description).manage_by_new_interpreter(
        "verify_schema",
        "signals",
        "0012",
        *option,
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.isascii()
    if option:
        assert json.loads(done.stdout)["components"][0]["status"] == word.lower()
    else:
        assert done.stdout.count(word) == 3
        assert "\\u" not in done.stdout


def test_a_schema_of_its_own_is_reported_and_not_its_namesake(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run("CREATE SCHEMA other", "CREATE TABLE other.signals (id int)")
    inside = replace(database, search_path="other, public")
    assert statuses(inside) == dict.fromkeys(
        ("state", "signals_state_check", "idx_signals_state_onlystate"), "missing"
    ) or set(statuses(inside).values()) == {"missing"}


def test_another_on_delete_of_a_foreign_key_is_a_note_and_no_finding(copy: Copy) -> None:
    database = copy("adopted 011")
    done = database.manage("verify_schema", "signals", "0001")
    assert (done.returncode, done.stderr) == (0, "")
    note = "ON DELETE CASCADE in the database, NO ACTION in the declaration; left as it is"
    assert done.stdout.endswith(
        f'\n\nforeign key signals_event_key_fkey of "signals"\n  note:   {note}\n'
    )
    shown = json.loads(database.manage("verify_schema", "signals", "0001", "--json").stdout)
    assert [each["note"] for each in shown["components"] if each["note"]] == [note]


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
