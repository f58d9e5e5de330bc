"""In the phase expand, code of the release before goes on writing rows of tables with new columns."""

import json

import psycopg
import pytest

from tests.operations.migrate.phased_project import (
    EXPAND,
    KEY,
    columns,
    contract,
    objects,
    query,
    release,
    running,
    write_step,
)
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import run_command

FIRST = f"""migrations.CreateModel("Item", [
    {KEY}, ("name", models.TextField()), ("grade", models.IntegerField(null=True)),
]),"""

GRADE = """
operations.SetNotNullIfNullable("Item", "grade", models.IntegerField(default=3)),
"""
KIND = 'operations.AddColumnIfMissing("Item", "kind", models.IntegerField(default=7)),'
LENGTH = """
operations.AddColumnIfMissing("Item", "length", models.IntegerField(null=True)),
operations.BackfillInBatches("Item", "length", functions.Length("name") * 10),
operations.SetNotNullIfNullable("Item", "length", models.IntegerField()),
"""
ADDED = f"""
{KIND}
operations.AddColumnIfMissing("Item", "label", models.CharField(max_length=9, blank=True, default="a'b%")),
operations.AddColumnIfMissing("Item", "stamp", models.UUIDField(default=uuid.uuid4)),
operations.AddColumnIfMissing("Item", "made", models.DateTimeField(auto_now_add=True)),
operations.AddColumnIfMissing("Item", "day", models.DateField(auto_now=True)),
operations.AddColumnIfMissing("Item", "more", models.JSONField(default=dict)),
operations.AddColumnIfMissing(
    "Item", "price", models.DecimalField(max_digits=9, decimal_places=2, default=1)
),
operations.AddColumnIfMissing("Item", "once", models.TextField(default="x"), preserve_default=False),
operations.AddColumnIfMissing("Item", "given", models.IntegerField(db_default=4)),
operations.AddColumnIfMissing("Item", "maybe", models.IntegerField(null=True, default=5)),
{LENGTH}
operations.BackfillInBatches("Item", "grade", models.Value(3)),
{GRADE}
"""
OLD_CODE = (
    "INSERT INTO mill_item (name, grade) VALUES ('abc', NULL)",
    "UPDATE mill_item SET grade = NULL, name = 'abcd' WHERE id = (SELECT max(id) FROM mill_item)",
    "SELECT id, name, grade FROM mill_item ORDER BY id DESC LIMIT 3",
)
NEW_CODE = (
    """INSERT INTO mill_item (name, grade, kind, label, stamp, made, day, more, price, once, given, maybe,
    length) VALUES ('a', 1, 1, '', gen_random_uuid(), now(), now(), '{}', 1, '', 1, 1, 9)""",
    "UPDATE mill_item SET kind = 8, grade = 2 WHERE id = (SELECT min(id) FROM mill_item)",
    "SELECT * FROM mill_item ORDER BY id DESC LIMIT 3",
)
KEPT = ("kind", "label", "stamp", "made", "day", "more", "price", "once")


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project whose first release is applied, with a row."""
    release(unmigrated_project, FIRST)
    query(unmigrated_project, "INSERT INTO mill_item (name) VALUES ('first')")
    return unmigrated_project


def awaiting(project: Project) -> set[tuple[str, str, str]]:
    """Return component, name and migration of what verify_schema shows as awaiting contract."""
    rows = json.loads(project.verify("--json", "mill").stdout)["databases"][0]["components"]
    return {
        (each["component"], each["name"], each["migration"])
        for each in rows
        if each["status"] == "awaiting"
    }


def last_row(project: Project, names: str) -> tuple[object, ...]:
    return query(project, f"SELECT {names} FROM mill_item ORDER BY id DESC LIMIT 1")[0]


def test_two_releases_write_before_during_and_after_expand(mill: Project) -> None:
    write_step(mill, ADDED)
    with running(mill, OLD_CODE):
        run_command(mill, "migrate", "mill", "-v0", **EXPAND)
        with running(mill, NEW_CODE):
            pass
    with running(mill, NEW_CODE):
        contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0


def test_rows_of_old_code_get_the_values_that_existing_rows_got(mill: Project) -> None:
    release(mill, ADDED)
    query(mill, OLD_CODE[0])
    names = "kind, label, more, price, once, given, maybe, length, grade"
    assert last_row(mill, names) == (7, "a'b%", {}, 1, "x", 4, None, 30, 3)
    before = last_row(mill, "stamp")
    query(mill, OLD_CODE[0])
    assert last_row(mill, "stamp") != before
    ((recent,),) = query(mill, "SELECT max(made) > now() - interval '1 hour' FROM mill_item")
    assert recent
    assert query(mill, "SELECT length, grade FROM mill_item ORDER BY id LIMIT 1") == [(50, 3)]


def test_contract_leaves_what_migrate_without_phases_makes(mill: Project) -> None:
    name = write_step(mill, ADDED)
    run_command(mill, "migrate", "mill", "-v0")
    without = objects(mill)
    run_command(mill, "migrate", "mill", "0001", "-v0")
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    expanded = objects(mill)
    assert expanded != without
    label = f"mill.{name}"
    assert awaiting(mill) == {
        *(("default", each, label) for each in KEPT),
        *(("trigger", f"convergent_migrations_fill_{each}", label) for each in ("length", "grade")),
    }
    listed, _ = contract(mill, "--dry-run")
    assert f'To remove: default kind of "mill_item" ({label})' in listed
    assert objects(mill) == expanded
    contract(mill)
    assert objects(mill) == without
    assert awaiting(mill) == set()
    assert query(mill, "SELECT proname FROM pg_proc WHERE prosrc LIKE '%new_row%'") == []
    again, _ = contract(mill)
    assert "Nothing to remove." in again


def test_going_back_before_contract_restores_the_first_release(mill: Project) -> None:
    before = objects(mill)
    release(mill, ADDED)
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert objects(mill) == before
    assert query(mill, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []


def test_old_code_may_write_null_where_the_field_has_a_default(mill: Project) -> None:
    query(mill, "UPDATE mill_item SET grade = 1")
    release(mill, GRADE)
    query(mill, OLD_CODE[0])
    assert last_row(mill, "grade") == (3,)
    contract(mill)
    with pytest.raises(psycopg.errors.NotNullViolation):
        query(mill, OLD_CODE[0])


def test_a_migration_that_died_before_its_record_begins_again(mill: Project) -> None:
    release(mill, LENGTH)
    before = objects(mill)
    run_command(mill, "migrate", "mill", "0001", "--fake", "-v0")
    run_command(mill, "migrate_preview", "mill", code=1)
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    assert objects(mill) == before


def test_a_database_default_that_goes_stays_until_contract(mill: Project) -> None:
    release(
        mill,
        'operations.AddColumnIfMissing("Item", "size", models.SmallIntegerField(db_default=4)),',
    )
    write_step(
        mill,
        'operations.AlterColumnTypeIfDifferent("Item", "size", models.IntegerField(), allow_rewrite=True),',
    )
    with running(mill, OLD_CODE):
        run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    assert last_row(mill, "size") == (4,)
    assert ("default", "size", "mill.0003_step") in awaiting(mill)
    run_command(mill, "migrate", "mill", "0002", "-v0")
    assert columns(mill)["size"] == "smallint t 4"
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    contract(mill)
    assert columns(mill)["size"] == "integer t"


def test_a_column_that_is_there_gets_the_default_that_it_lacks(mill: Project) -> None:
    query(mill, "ALTER TABLE mill_item ADD kind integer NOT NULL DEFAULT 7")
    query(mill, "ALTER TABLE mill_item ALTER kind DROP DEFAULT")
    release(mill, KIND)
    query(mill, OLD_CODE[0])
    assert last_row(mill, "kind") == (7,)


def test_a_default_made_by_hand_stays(mill: Project) -> None:
    query(mill, "ALTER TABLE mill_item ADD kind integer NOT NULL DEFAULT 7")
    release(mill, KIND)
    contract(mill)
    assert columns(mill)["kind"] == "integer t 7"


def test_a_column_without_a_value_for_old_code_is_refused(mill: Project) -> None:
    query(mill, "DELETE FROM mill_item")
    write_step(mill, 'operations.AddColumnIfMissing("Item", "kind", models.IntegerField()),')
    _, errors = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
    assert (
        "Add column kind to Item if missing: kind is NOT NULL and has no default, and the release before, "
        "which does not know it, could not write rows any more"
    ) in errors
    assert "give it a default or db_default, or null=True, then BackfillInBatches and" in errors
    assert "kind" not in columns(mill)
    run_command(mill, "migrate", "mill", "-v0")
    assert columns(mill)["kind"] == "integer t"


def test_a_unique_column_needs_a_default_for_each_row(mill: Project) -> None:
    release(
        mill,
        """operations.AddColumnIfMissing(
            "Item", "key", models.UUIDField(default=uuid.uuid4, unique=True)
        ),""",
    )
    query(mill, OLD_CODE[0])
    query(mill, OLD_CODE[0])
    write_step(
        mill,
        'operations.AddColumnIfMissing("Item", "code", models.IntegerField(default=0, unique=True)),',
    )
    _, errors = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
    assert "code is unique and has one default for all rows, and the release before" in errors


def test_a_table_that_the_run_creates_has_no_old_code(unmigrated_project: Project) -> None:
    release(unmigrated_project, f'migrations.CreateModel("Other", [{KEY}]),')
    release(
        unmigrated_project,
        f"""operations.CreateTableIfMissing("Item", [{KEY}]),
        operations.AddColumnIfMissing("Item", "kind", models.IntegerField()),
        operations.AddColumnIfMissing("Item", "size", models.IntegerField(default=1)),
        operations.RenameTableIfNeeded("Item", "Thing"),
        operations.RenameColumnIfNeeded("Thing", "id", "number"),
        operations.RemoveColumnIfPresent("Thing", "size"),""",
    )
    assert columns(unmigrated_project, "mill_thing") == {
        "number": "bigint t",
        "kind": "integer t",
    }
    assert awaiting(unmigrated_project) == set()


def test_without_phases_a_left_trigger_goes_with_its_column(mill: Project) -> None:
    release(mill, LENGTH)
    write_step(mill, 'operations.RemoveColumnIfPresent("Item", "length"),')
    run_command(mill, "migrate", "mill", "-v0", "--phase", "both")
    query(mill, "INSERT INTO mill_item (name) VALUES ('written')")
    assert query(mill, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []


def test_the_shadow_tells_nothing_of_what_awaits_contract(mill: Project) -> None:
    release(mill, ADDED)
    found = mill.verify("--shadow", "--strict", "--json")
    rows = json.loads(found.stdout)["databases"][0]["components"]
    assert [each for each in rows if each["status"] in ("undeclared", "different")] == []
    assert found.returncode == 0
