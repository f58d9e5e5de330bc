"""`migrate --phase expand` leaves what old code uses, and `migrate --phase contract` removes it."""

import json
import signal
from pathlib import Path

import psycopg
import pytest

from tests.deadline import DEADLINE
from tests.operations.migrate.phased_project import (
    COLUMNS,
    EXPAND,
    FIRST,
    KEY,
    NEW_CODE,
    OLD_CODE,
    SECOND,
    SERIALS,
    columns,
    contract,
    objects,
    query,
    release,
    running,
    write_step,
)
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import migration_names, run_command
from tests.operations.waiting_migrators import MigrateProcess
from tests.postgres.polling import wait_until

REMOVE_KIND = 'operations.RemoveColumnIfPresent("Item", "kind"),'
REMOVE_LABEL = 'operations.RemoveColumnIfPresent("Item", "label"),'
KIND = 'column kind of "mill_item" (mill.0002_step)'


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project whose first release is applied."""
    release(unmigrated_project, FIRST)
    query(unmigrated_project, SERIALS)
    return unmigrated_project


def recorded_days_ago(project: Project, name: str, days: int) -> None:
    query(
        project,
        f"UPDATE django_migrations SET applied = now() - interval '{days} days' WHERE name = '{name}'",
    )


def test_two_releases_write_before_during_and_after_expand(mill: Project) -> None:
    write_step(mill, SECOND)
    with running(mill, OLD_CODE):
        run_command(mill, "migrate", "mill", "--phase", "expand", "-v0")
        with running(mill, NEW_CODE):
            pass
    with running(mill, NEW_CODE):
        contract(mill)
    assert set(columns(mill)) == {"id", "name"}
    assert columns(mill, "mill_old") == columns(mill, "mill_item_tags") == {}
    assert mill.verify("--strict", "mill").returncode == 0


def test_expand_lets_inserts_leave_the_columns_out(mill: Project) -> None:
    before = columns(mill)
    release(mill, SECOND)
    strict = {
        "kind": "integer t 7",
        "label": "character varying(9) t ''::character varying",
        "made": "timestamp with time zone t now()",
        "more": "jsonb t '{}'::jsonb",
    }
    loose = {
        "stamp": "uuid f",
        "serial": "integer f",
        "note": "text f",
        "shelf_id": "bigint f",
    }
    assert columns(mill) == {**before, **strict, **loose}
    kept = {(table, name) for table, name, _ in objects(mill)}
    assert ("mill_item", "by_name") in kept
    assert ("mill_item", "name_early") not in kept
    assert ("mill_item", "one_name") not in kept
    assert query(mill, "SELECT FROM pg_constraint WHERE contype = 'f'") == []


def test_going_back_before_contract_restores_all_of_it(mill: Project) -> None:
    with running(mill, OLD_CODE):
        pass
    before = objects(mill)
    release(mill, SECOND)
    assert objects(mill) != before
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert objects(mill) == before
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    contract(mill)
    assert set(columns(mill)) == {"id", "name"}


def test_going_back_names_the_rows_that_new_code_has_left_without_a_value(mill: Project) -> None:
    release(mill, 'operations.RemoveColumnIfPresent("Item", "note"),')
    values = "'a', 1, '', gen_random_uuid(), 1, now(), '{}', 1"
    names = "name, kind, label, stamp, serial, made, more, shelf_id"
    query(mill, f"INSERT INTO mill_item ({names}) VALUES ({values})")
    done = mill.manage("migrate", "mill", "0001", "-v0")
    assert done.returncode == 1
    assert "note" in done.stderr
    query(mill, "UPDATE mill_item SET note = ''")
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert columns(mill)["note"] == "text t"


def test_the_preview_shows_what_the_phase_sends(mill: Project) -> None:
    write_step(mill, REMOVE_KIND)
    drop, ease = "DROP COLUMN", 'ALTER COLUMN "kind" SET DEFAULT 7'
    plain, _ = run_command(mill, "migrate_preview", "mill", code=1)
    phased, _ = run_command(mill, "migrate_preview", "mill", "--phase", "expand", code=1)
    assert (drop in plain, ease in plain) == (True, False)
    assert (drop in phased, ease in phased) == (False, True)


def test_plain_migrate_removes_at_once(mill: Project) -> None:
    write_step(mill, SECOND)
    run_command(mill, "migrate", "mill", "-v0")
    assert set(columns(mill)) == {"id", "name"}


def test_an_empty_database_has_no_old_code(unmigrated_project: Project) -> None:
    write_step(unmigrated_project, FIRST)
    write_step(unmigrated_project, SECOND)
    _, said = run_command(unmigrated_project, "migrate", "mill", "-v0", **EXPAND)
    assert said == ""
    assert set(columns(unmigrated_project)) == {"id", "name"}


def test_contract_removes_once_and_tells_what(mill: Project) -> None:
    release(mill, REMOVE_KIND, REMOVE_LABEL)
    said, _ = contract(mill, "--dry-run")
    label = 'column label of "mill_item" (mill.0003_step)'
    assert said == f"  To remove: {KIND}\n  To remove: {label}\n"
    assert {"kind", "label"} <= set(columns(mill))
    said, _ = contract(mill, "--after", "0.01")
    waiting = "Waiting 0.01 s for processes of the release before to end\n"
    assert said == f"{waiting}  Removed {KIND}\n  Removed {label}\n"
    assert {"kind", "label"}.isdisjoint(columns(mill))
    assert contract(mill, "--after", "3600") == ("  Nothing to remove.\n", "")


def test_contract_of_one_app_leaves_the_others(mill: Project) -> None:
    release(mill, REMOVE_KIND)
    write_step(mill, f'migrations.CreateModel("Room", [{KEY}])', "inn")
    assert contract(mill, "inn") == ("  Nothing to remove.\n", "")
    assert "kind" in columns(mill)
    assert contract(mill, "mill") == (f"  Removed {KIND}\n", "")


def test_contract_leaves_alone_what_is_younger(mill: Project) -> None:
    release(mill, REMOVE_KIND)
    recorded_days_ago(mill, "0002_step", 10)
    said, _ = contract(mill, "--older-than", "20")
    young = f"  Left alone: {KIND}: recorded less than 20 days ago\n"
    assert said == f"{young}  Nothing to remove.\n"
    assert contract(mill, "--older-than", "5") == (f"  Removed {KIND}\n", "")


def test_contract_leaves_alone_what_another_release_has_left(mill: Project) -> None:
    release(mill, REMOVE_KIND, REMOVE_LABEL)
    path = Path(mill.folder, "mill", "migrations", "0003_step.py")
    source = path.read_text()
    path.unlink()
    said, _ = contract(mill)
    unknown = "it is recorded, and this code does not have it"
    named = f"what mill.0003_step removed: {unknown}; the release that has it removes it"
    later = f"{KIND}: mill.0003_step may declare it again, and {unknown}"
    assert said == f"  Left alone: {named}\n  Left alone: {later}\n  Nothing to remove.\n"
    recorded_days_ago(mill, "0003_step", 10)  # before 0002, which it then cannot have undone
    assert contract(mill)[0] == f"  Left alone: {named}\n  Removed {KIND}\n"
    assert "label" in columns(mill)
    path.write_text(source)
    assert contract(mill)[0] == '  Removed column label of "mill_item" (mill.0003_step)\n'


def test_contract_leaves_alone_what_is_declared_again(mill: Project) -> None:
    add = "migrations.RunSQL('ALTER TABLE mill_item ALTER kind DROP DEFAULT')"
    field = 'migrations.AddField("Item", "kind", models.IntegerField())'
    release(mill, REMOVE_KIND)
    state = f"migrations.SeparateDatabaseAndState([{add}], [{field}])"
    release(mill, state)
    assert contract(mill) == ("  Nothing to remove.\n", "")
    assert "kind" in columns(mill)


def test_contract_leaves_alone_a_column_of_another_type(mill: Project) -> None:
    release(mill, REMOVE_KIND)
    query(mill, "ALTER TABLE mill_item ALTER kind DROP DEFAULT, ALTER kind TYPE text")
    said, _ = contract(mill)
    assert f"Left alone: {KIND}: it is not what was declared" in said
    assert "kind" in columns(mill)


def test_contract_finds_a_table_that_was_renamed_since(mill: Project) -> None:
    release(mill, REMOVE_KIND, 'migrations.RenameModel("Item", "Thing"),')
    assert contract(mill)[0] == '  Removed column kind of "mill_thing" (mill.0002_step)\n'
    assert "kind" not in columns(mill, "mill_thing")


def test_contract_removes_the_others_before_it_refuses_a_table_with_rows(mill: Project) -> None:
    remove_tag = 'operations.RemoveTableIfPresent("Tag"),'
    release(mill, 'operations.RemoveColumnIfPresent("Item", "tags"),', remove_tag, REMOVE_KIND)
    _, said = contract(mill, code=1)
    assert "has rows, and removing it would lose them" in said
    assert "kind" not in columns(mill)
    query(mill, "DELETE FROM mill_tag")
    assert contract(mill)[0] == '  Removed table mill_tag of "mill_tag" (mill.0003_step)\n'


def test_a_killed_contract_is_continued(mill: Project) -> None:
    release(mill, SECOND)
    with psycopg.connect(mill.database.url, application_name="a report") as report:
        report.execute("SELECT count(*) FROM mill_old")
        run = MigrateProcess(mill.database.url, "migrate", "--phase", "contract", **mill.env())
        wait_until(lambda: run.says("a report"), f"it waits: {run.err}")
        run.process.send_signal(signal.SIGKILL)
        run.process.wait(timeout=DEADLINE)
        run.close()
    assert "kind" not in columns(mill)
    assert columns(mill, "mill_old") != {}
    said, _ = contract(mill)
    assert said == '  Removed table mill_old of "mill_old" (mill.0002_step)\n'


def test_verify_schema_shows_what_awaits_contract_and_finds_no_fault(
    mill: Project, tmp_path: Path
) -> None:
    release(mill, SECOND)
    done = mill.verify("mill", "--strict")
    assert done.returncode == 0
    row = [line for line in done.stdout.splitlines() if line.startswith("column     kind ")]
    assert [line.split()[3:] for line in row] == [["mill.0002_step", "…", "Awaiting", "contract"]]
    assert "to fix: manage.py migrate --phase contract" in done.stdout
    assert mill.verify("mill", "0002_step").returncode == 0
    shown = json.loads(mill.verify("--json").stdout)
    awaiting = {
        each["name"] for each in shown["databases"][0]["components"] if each["status"] == "awaiting"
    }
    left = {*COLUMNS, "shelf_id", "by_name", "mill_old", "mill_item_tags"} - {"shelf"}
    of_columns = {
        name
        for _, name, text in objects(mill)
        if text.startswith(("CREATE", "UNIQUE")) and ("serial" in name or "shelf_id" in name)
    }
    assert len(of_columns) == 2
    assert awaiting == left | of_columns
    path = tmp_path / "schema.prom"
    assert mill.verify("--prometheus", str(path)).returncode == 0
    count = f'status="awaiting"}} {len(awaiting)}\n'
    assert count in path.read_text()


@pytest.mark.parametrize("words", [("--schemas", "publi_"), ("--shadow",)])
def test_other_ways_to_look_show_it_too(mill: Project, words: tuple[str, ...]) -> None:
    release(mill, REMOVE_KIND, 'operations.RemoveTableIfPresent("Old"),')
    done = mill.verify(*words)
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line for line in done.stdout.splitlines() if line.endswith("… Awaiting contract")]
    assert [line.split()[:2] for line in shown] == [["column", "kind"], ["table", "mill_old"]]


def test_verify_schema_finds_what_refuses_the_rows_of_new_code(mill: Project) -> None:
    release(mill, REMOVE_KIND, 'operations.RemoveCheckIfPresent("Item", "name_early"),')
    query(
        mill,
        "ALTER TABLE mill_item ALTER kind DROP DEFAULT, ADD CONSTRAINT name_early CHECK (name < 'x')",
    )
    found = {("column", "kind", "leftover"), ("check", "name_early", "leftover")}
    assert found <= mill.not_as_declared("mill")
    assert len(contract(mill)[0].splitlines()) == 2
    assert mill.verify("mill").returncode == 0


def test_expand_warns_of_what_stock_operations_drop_at_once(mill: Project) -> None:
    stock = 'migrations.RemoveField("Item", "kind"), migrations.DeleteModel("Old"),'
    name = write_step(mill, stock)
    _, said = run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    at_once = "dropped at once in the phase expand, and the release before may still use it"
    written = f"manage.py convergent_migration mill {name} writes RemoveColumnIfPresent"
    assert said == (
        f"warning: mill.{name}: Remove field kind from Item: {at_once} ({written})\n"
        f"warning: mill.{name}: Delete model Old: {at_once} (write RemoveTableIfPresent)\n"
    )
    assert "kind" not in columns(mill)


def test_an_index_makes_room_for_another_of_its_name(mill: Project) -> None:
    release(
        mill,
        'operations.DropIndexConcurrentlyIfPresent("Item", "by_name"),'
        'operations.CreateIndexConcurrentlyIfMissing("Item", models.Index(fields=["kind"], name="by_name")),',
    )
    made = {name: text for _, name, text in objects(mill)}
    assert "(kind)" in made["by_name"]
    assert contract(mill) == ("  Nothing to remove.\n", "")


def test_records_that_do_not_fit_together_are_named(mill: Project) -> None:
    release(mill, REMOVE_KIND)
    query(mill, "DELETE FROM django_migrations WHERE name = '0001_step'")
    done = mill.manage("migrate", "--phase", "contract")
    assert done.returncode == 3
    lacks = "mill.0002_step is recorded as applied, and it depends on mill.0001_step, which is not"
    assert done.stderr == f"CommandError: {lacks}\n"


def test_a_column_that_is_added_again_is_refused_before_anything_of_it_changes(
    mill: Project,
) -> None:
    before = objects(mill)
    add = 'operations.AddColumnIfMissing("Item", "kind", models.TextField(null=True)),'
    write_step(mill, REMOVE_KIND + add)
    _, said = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
    assert "adds kind again, and the phase expand leaves the old column until contract" in said
    assert objects(mill) == before
    run_command(mill, "migrate", "mill", "-v0")
    assert columns(mill)["kind"] == "text f"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ("--phase", "contract", "mill", "0001"),
            "the phase contract does not take the name of a migration (leave it out)",
        ),
        (
            ("--phase", "contract", "--fake"),
            "the phase contract does not take --fake (leave it out)",
        ),
        (("--dry-run",), "the phase both does not take --dry-run (add --phase contract)"),
        (("--phase", "contract", "none"), "the app 'none' has no migrations"),
        (
            ("--phase", "contract", "--after", "-1"),
            "argument --after: '-1' is no number from 0 on",
        ),
    ],
)
def test_options_of_another_phase_are_refused(
    mill: Project, words: tuple[str, ...], error: str
) -> None:
    done = mill.manage("migrate", *words)
    assert done.returncode == 2
    assert error in done.stderr


def test_a_wrong_phase_in_the_settings_is_refused(mill: Project) -> None:
    done = mill.manage("migrate", CONVERGENT_MIGRATIONS_PHASE="contract")
    assert (done.returncode, done.stderr) == (
        3,
        "CommandError: CONVERGENT_MIGRATIONS_PHASE is 'contract' (use both or expand)\n",
    )


def test_lint_lets_removals_pass_where_expand_is_the_default(mill: Project) -> None:
    write_step(mill, SECOND)
    assert migration_names(mill) == ["0001_step", "0002_step"]
    plain = mill.manage("lint_migrations", "mill", "--format", "json")
    phased = mill.manage("lint_migrations", "mill", "--format", "json", **EXPAND)
    found = [
        {each["rule"] for each in json.loads(done.stdout)["findings"]} for done in (plain, phased)
    ]
    assert {"L201", "L202"} <= found[0]
    assert {"L201", "L202"}.isdisjoint(found[1])
