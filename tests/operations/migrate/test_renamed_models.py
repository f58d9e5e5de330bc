"""In the phase expand a renamed table goes on working under its old name, until contract."""

import json

import psycopg
import pytest

from tests.operations.migrate.phased_project import (
    EXPAND,
    KEY,
    contract,
    objects,
    query,
    release,
    running,
    write_step,
)
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import run_command

FIRST = f"""migrations.CreateModel("Tag", [{KEY}]),
migrations.CreateModel("Item", [
    {KEY},
    ("code", models.TextField(unique=True)),
    ("kind", models.IntegerField(null=True, db_index=True)),
    ("size", models.IntegerField(db_default=5)),
    ("tags", models.ManyToManyField("mill.Tag")),
    ("parts", models.ManyToManyField("self")),
]),
migrations.CreateModel("Shelf", [
    {KEY}, ("first", models.ForeignKey("mill.Item", models.CASCADE)),
    ("items", models.ManyToManyField("mill.Item", related_name="shelves")),
]),
"""
SECOND = 'operations.RenameTableIfNeeded("Item", "Thing"),'
ROWS = """CREATE SEQUENCE serials; INSERT INTO mill_tag DEFAULT VALUES;
INSERT INTO mill_item (code, kind) SELECT concat('code', n), n % 3 FROM generate_series(1, 500) n;
INSERT INTO mill_shelf (first_id) VALUES (1);
INSERT INTO mill_shelf_items (shelf_id, item_id) VALUES (1, 1)"""


def code(table: str, column: str, word: str) -> tuple[str, ...]:
    """Return the statements of a release that calls the table and the column like this."""
    return (
        f"""INSERT INTO mill_{table} (code, kind) VALUES (concat('{word}', nextval('serials')), 1)
        RETURNING id""",
        f"""INSERT INTO mill_{table} (code, kind) VALUES ('upsert', 1)
        ON CONFLICT (code) DO UPDATE SET kind = EXCLUDED.kind + mill_{table}.size""",
        f"UPDATE mill_{table} SET kind = 2 WHERE id = (SELECT max(id) FROM mill_{table})",
        f"SELECT id, code, kind, size FROM mill_{table} WHERE code = 'upsert' FOR UPDATE SKIP LOCKED",
        f"""DELETE FROM mill_{table} WHERE id = (SELECT max(id) FROM mill_{table}
        WHERE code LIKE '{word}%')""",
        f"""INSERT INTO mill_{table}_tags ({column}_id, tag_id) SELECT 2, 1
        ON CONFLICT ({column}_id, tag_id) DO NOTHING""",
        f"DELETE FROM mill_{table}_parts WHERE from_{column}_id = 5 AND to_{column}_id = 6",
        f"""INSERT INTO mill_{table}_parts (from_{column}_id, to_{column}_id) VALUES (3, 4)
        ON CONFLICT DO NOTHING""",
        f"""INSERT INTO mill_shelf_items (shelf_id, {column}_id) VALUES (1, 7)
        ON CONFLICT (shelf_id, {column}_id) DO NOTHING""",
        f"SELECT i.* FROM mill_{table} i JOIN mill_shelf_items s ON s.{column}_id = i.id",
    )


OLD_CODE, NEW_CODE = code("item", "item", "old"), code("thing", "thing", "new")
VIEWS = "SELECT relname FROM pg_class WHERE relkind = 'v' AND relname LIKE 'mill%' ORDER BY 1"


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project whose first release is applied, with rows."""
    release(unmigrated_project, FIRST)
    query(unmigrated_project, ROWS)
    return unmigrated_project


def test_two_releases_write_before_during_and_after_expand(mill: Project) -> None:
    write_step(mill, SECOND)
    with running(mill, OLD_CODE):
        run_command(mill, "migrate", "mill", "-v0", **EXPAND)
        with running(mill, NEW_CODE):
            pass
    with running(mill, NEW_CODE):
        contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0


def test_contract_leaves_what_migrate_without_phases_makes(mill: Project) -> None:
    name = write_step(mill, SECOND)
    first = objects(mill)
    run_command(mill, "migrate", "mill", "-v0")
    without = objects(mill)
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert objects(mill) == first
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    assert query(mill, VIEWS) == [("mill_item",), ("mill_item_parts",), ("mill_item_tags",)]
    shown = json.loads(mill.verify("--strict", "mill", "--json").stdout)
    rows = shown["databases"][0]["components"]
    awaiting = {(each["name"], each["migration"]) for each in rows if each["status"] == "awaiting"}
    views = {(each, f"mill.{name}") for each in ("mill_item", "mill_item_parts", "mill_item_tags")}
    assert views < awaiting
    assert mill.verify("--strict", "mill").returncode == 0
    listed, _ = contract(mill, "--dry-run")
    assert f'To remove: view mill_item of "mill_thing" (mill.{name})' in listed
    contract(mill)
    assert objects(mill) == without
    assert query(mill, VIEWS) == []


def test_the_shadow_tells_nothing_of_the_views(mill: Project) -> None:
    release(mill, SECOND)
    found = mill.verify("--shadow", "--json")
    rows = json.loads(found.stdout)["databases"][0]["components"]
    statuses = ("undeclared", "different")
    odd = [(each["component"], each["name"]) for each in rows if each["status"] in statuses]
    assert odd == [("sequence", "serials")]  # the one that the test makes


def test_the_tables_are_those_that_django_makes(mill: Project) -> None:
    write_step(mill, SECOND.replace("operations.RenameTableIfNeeded", "migrations.RenameModel"))
    run_command(mill, "migrate", "mill", "-v0")
    stock = {(table, name) for table, name, _ in objects(mill)}
    run_command(mill, "migrate", "mill", "0001", "-v0")
    (mill.folder / "mill" / "migrations" / "0002_step.py").unlink()
    release(mill, SECOND)
    contract(mill)
    # Django makes the foreign keys again, under other names.
    assert _without_keys({(table, name) for table, name, _ in objects(mill)}) == _without_keys(
        stock
    )


def _without_keys(names: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(table, name) for table, name in names if "_fk_" not in name}


def test_going_back_before_contract_restores_the_first_release(mill: Project) -> None:
    before = objects(mill)
    release(mill, SECOND)
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert objects(mill) == before
    assert query(mill, VIEWS) == []


def test_old_code_keeps_its_rights_and_gets_no_others(mill: Project) -> None:
    query(mill, "DROP ROLE IF EXISTS mill_reader; CREATE ROLE mill_reader")
    query(
        mill,
        "GRANT SELECT ON mill_item TO mill_reader; GRANT UPDATE (kind) ON mill_item TO mill_reader",
    )
    query(mill, "ALTER TABLE mill_item ENABLE ROW LEVEL SECURITY")
    query(mill, "CREATE POLICY few ON mill_item USING (id < 4)")
    write_step(mill, SECOND)
    if query(mill, "SHOW server_version_num") < [("150000",)]:
        _, errors = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
        assert "a view would show all rows of a table with row security" in errors
        query(mill, "ALTER TABLE mill_item DISABLE ROW LEVEL SECURITY")
        query(mill, "DELETE FROM mill_item WHERE id > 3")
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    with psycopg.connect(mill.database.url, autocommit=True) as session:
        session.execute("SET ROLE mill_reader")
        assert session.execute("SELECT count(*) FROM mill_item").fetchone() == (3,)
        session.execute("UPDATE mill_item SET kind = 9 WHERE id = 2")
        for refused in ("UPDATE mill_item SET size = 9", "DELETE FROM mill_item"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(refused.encode())
    query(mill, "DROP OWNED BY mill_reader; DROP ROLE mill_reader")


def test_the_table_of_a_renamed_field_keeps_its_old_name_too(mill: Project) -> None:
    write_step(mill, 'operations.RenameColumnIfNeeded("Item", "tags", "labels"),')
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    assert query(mill, VIEWS) == [("mill_item_tags",)]
    with running(mill, OLD_CODE):
        pass
    contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0
    run_command(mill, "migrate", "mill", "0001", "-v0")
    with running(mill, OLD_CODE):
        pass


def test_contract_drops_the_view_before_a_removed_column(mill: Project) -> None:
    release(mill, 'operations.RemoveColumnIfPresent("Item", "kind"),' + SECOND)
    with running(mill, OLD_CODE):
        pass
    contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0


def test_two_tables_stop_the_run(mill: Project) -> None:
    query(mill, "CREATE TABLE mill_thing (id int)")
    write_step(mill, SECOND)
    for phase in ("both", "expand"):
        _, errors = run_command(mill, "migrate", "mill", "--phase", phase, "-v0", code=1)
        assert 'found:  a table beside "mill_item"' in errors
    query(mill, "DROP TABLE mill_thing")
    run_command(mill, "migrate", "mill", "-v0")


def test_a_rename_by_hand_is_completed(mill: Project) -> None:
    query(mill, "ALTER TABLE mill_item RENAME TO mill_thing")
    query(mill, "ALTER TABLE mill_item_tags RENAME TO mill_thing_tags")
    release(mill, SECOND)
    with running(mill, OLD_CODE), running(mill, NEW_CODE):
        pass
    contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0


def test_later_operations_of_the_run_find_the_renamed_table(mill: Project) -> None:
    write_step(
        mill,
        SECOND
        + """operations.AddColumnIfMissing("Thing", "more", models.IntegerField(default=1)),
        operations.CreateIndexConcurrentlyIfMissing("Thing", models.Index(fields=["more"], name="by_more")),
        operations.RenameColumnIfNeeded("Thing", "code", "sku"),""",
    )
    shown, _ = run_command(mill, "migrate_preview", "mill", code=1)
    assert 'ALTER TABLE "mill_item" RENAME TO "mill_thing";' in shown
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    with running(mill, OLD_CODE):
        pass
    contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0
