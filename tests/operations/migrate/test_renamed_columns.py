"""In the phase expand a renamed column goes on working under its old name, until contract."""

import json

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

FIRST = f"""migrations.CreateModel("Shelf", [{KEY}]),
migrations.CreateModel("Item", [
    {KEY},
    ("code", models.TextField(unique=True)),
    ("kind", models.IntegerField(null=True, db_index=True)),
    ("size", models.IntegerField(db_default=5)),
    ("more", models.JSONField()),
    ("shelf", models.ForeignKey("mill.Shelf", models.CASCADE)),
], options={{"db_table_comment": "things"}}),
"""
RENAMES = {"code": "sku", "kind": "sort", "size": "length", "more": "details", "shelf": "rack"}
SECOND = "\n".join(
    f'operations.RenameColumnIfNeeded("Item", "{old}", "{new}"),' for old, new in RENAMES.items()
)
ROWS = """INSERT INTO mill_shelf DEFAULT VALUES; CREATE SEQUENCE serials;
INSERT INTO mill_item (code, kind, more, shelf_id)
SELECT concat('code', n), NULLIF(n % 3, 0), '{"n": 1}', 1 FROM generate_series(1, 9000) n"""
OLD_CODE = (
    """INSERT INTO mill_item (code, kind, more, shelf_id)
    VALUES (concat('old', nextval('serials')), 1, '{"old": 1}', 1)""",
    """INSERT INTO mill_item (code, kind, more, shelf_id) VALUES ('upsert', 1, '{"old": 1}', 1)
    ON CONFLICT (code) DO UPDATE SET kind = EXCLUDED.kind + mill_item.size""",
    "UPDATE mill_item SET kind = 2, more = '[]' WHERE id = (SELECT max(id) FROM mill_item)",
    "SELECT id, code, kind, size, more, shelf_id FROM mill_item WHERE code = 'upsert' OR kind = 77",
    "DELETE FROM mill_item WHERE id = (SELECT max(id) FROM mill_item WHERE code LIKE 'old%')",
)
NEW_CODE = (
    """INSERT INTO mill_item (sku, sort, length, details, rack_id)
    VALUES (concat('new', nextval('serials')), 1, 2, '{"new": 1}', 1)""",
    """INSERT INTO mill_item (sku, sort, details, rack_id) VALUES ('upsert', 1, '{"old": 1}', 1)
    ON CONFLICT (sku) DO UPDATE SET sort = EXCLUDED.sort + mill_item.length""",
    "UPDATE mill_item SET sort = 3, details = '{}' WHERE id = (SELECT max(id) FROM mill_item)",
    "SELECT id, sku, sort, length, details, rack_id FROM mill_item WHERE sku = 'upsert' OR sort = 77",
    "DELETE FROM mill_item WHERE id = (SELECT max(id) FROM mill_item WHERE sku LIKE 'new%')",
)
DIFFERENT = """SELECT count(*) FROM mill_item WHERE code IS DISTINCT FROM sku OR kind IS DISTINCT FROM sort
OR size IS DISTINCT FROM length OR more IS DISTINCT FROM details OR shelf_id IS DISTINCT FROM rack_id"""


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project whose first release is applied, with rows."""
    release(unmigrated_project, FIRST)
    query(unmigrated_project, ROWS)
    return unmigrated_project


def row(project: Project, names: str, where: str) -> tuple[object, ...]:
    return query(project, f"SELECT {names} FROM mill_item WHERE {where}")[0]


def test_two_releases_write_before_during_and_after_expand(mill: Project) -> None:
    write_step(mill, SECOND)
    with running(mill, OLD_CODE):
        run_command(mill, "migrate", "mill", "-v0", **EXPAND)
        with running(mill, NEW_CODE):
            pass
    assert query(mill, DIFFERENT) == [(0,)]
    with running(mill, NEW_CODE):
        contract(mill)
    assert mill.verify("--strict", "mill").returncode == 0


def test_each_release_reads_what_the_other_one_writes(mill: Project) -> None:
    release(mill, SECOND)
    query(mill, OLD_CODE[0])
    query(mill, NEW_CODE[0])
    old, new = ("code LIKE 'old%'", "code LIKE 'new%'")
    assert row(mill, "sku, sort, length, details, rack_id", old) == ("old1", 1, 5, {"old": 1}, 1)
    assert row(mill, "code, kind, size, more, shelf_id", new) == ("new2", 1, 2, {"new": 1}, 1)
    query(mill, f"UPDATE mill_item SET kind = NULL, size = 8 WHERE {old}")
    assert row(mill, "sort, length", old) == (None, 8)
    query(mill, f"UPDATE mill_item SET sort = 6, details = '[1]' WHERE {old}")
    assert row(mill, "kind, more", old) == (6, [1])
    assert query(mill, DIFFERENT) == [(0,)]


def test_contract_leaves_what_migrate_without_phases_makes(mill: Project) -> None:
    write_step(mill, SECOND)
    first = objects(mill)
    run_command(mill, "migrate", "mill", "-v0")
    without = objects(mill)
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert objects(mill) == first
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    shown = json.loads(mill.verify("--strict", "mill", "--json").stdout)
    rows = shown["databases"][0]["components"]
    awaiting = {each["name"] for each in rows if each["status"] == "awaiting"}
    assert {"code", "kind", "size", "more", "shelf_id"} < awaiting
    assert mill.verify("--strict", "mill").returncode == 0
    contract(mill)
    assert objects(mill) == without
    assert query(mill, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    assert (
        query(mill, "SELECT proname FROM pg_proc WHERE prosrc LIKE '%NEW.%' AND prolang > 20") == []
    )


def test_going_back_before_contract_restores_the_first_release(mill: Project) -> None:
    before = objects(mill)
    release(mill, SECOND)
    query(mill, NEW_CODE[0])
    run_command(mill, "migrate", "mill", "0001", "-v0")
    assert objects(mill) == before
    assert row(mill, "kind, size", "code LIKE 'new%'") == (1, 2)


def test_migrate_without_phases_ends_what_expand_left(mill: Project) -> None:
    release(mill, SECOND)
    run_command(mill, "migrate", "mill", "0001", "--fake", "-v0")
    run_command(mill, "migrate", "mill", "--phase", "both", "-v0")
    assert set(columns(mill)) == {"id", "sku", "sort", "length", "details", "rack_id"}


def test_the_old_name_has_the_indexes_of_the_column(mill: Project) -> None:
    query(
        mill,
        """CREATE INDEX by_kind ON mill_item (kind DESC, upper('kind' || "kind"::text)) WHERE kind > 0""",
    )
    release(mill, SECOND)
    found = query(mill, "SELECT indexdef FROM pg_indexes WHERE tablename = 'mill_item'")
    definitions = {text.partition(" USING ")[2]: "UNIQUE" in text for (text,) in found}
    for old, new in (("code", "sku"), ("kind", "sort")):
        assert definitions[f"btree ({old})"] == definitions[f"btree ({new})"]
    for name in ("kind", "sort"):
        expression = f"upper(('kind'::text || ({name})::text))"
        assert f"btree ({name} DESC, {expression}) WHERE ({name} > 0)" in definitions


def test_both_names_by_hand_stop_the_run(mill: Project) -> None:
    query(mill, "ALTER TABLE mill_item ADD sku text")
    write_step(mill, SECOND)
    for words in (("--phase", "both"), ("--phase", "expand")):
        _, errors = run_command(mill, "migrate", "mill", *words, "-v0", code=1)
        assert "found:  a column beside code" in errors
    assert "code" in columns(mill)


def test_an_atomic_migration_is_refused_before_it_changes_anything(mill: Project) -> None:
    write_step(mill, SECOND.splitlines()[0])
    file = mill.folder / "mill" / "migrations" / "0002_step.py"
    file.write_text(file.read_text().replace("atomic = False", "atomic = True"))
    before = objects(mill)
    _, errors = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
    assert "atomic = False" in errors
    assert objects(mill) == before
    run_command(mill, "migrate", "mill", "-v0", "--phase", "both")
    assert "sku" in columns(mill)


def test_what_cannot_have_two_names_is_refused_with_the_fix(mill: Project) -> None:
    write_step(mill, 'operations.RenameColumnIfNeeded("Item", "id", "number"),')
    _, errors = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
    assert "both names cannot work: it is a primary key" in errors
    assert 'db_column="id"' in errors
    run_command(mill, "migrate", "mill", "-v0", "--phase", "both")
    assert "number" in columns(mill)


def test_a_second_rename_waits_for_contract(mill: Project) -> None:
    release(mill, SECOND)
    write_step(mill, 'operations.RenameColumnIfNeeded("Item", "sort", "order"),')
    _, errors = run_command(mill, "migrate", "mill", "-v0", code=1, **EXPAND)
    warning = (
        "warning: what mill.0002_step made for the release before it awaits contract: trigger "
    )
    assert warning in errors
    assert "what an earlier release left on it still awaits contract" in errors
    contract(mill)
    run_command(mill, "migrate", "mill", "-v0", **EXPAND)
    query(mill, "INSERT INTO mill_item (sku, sort, details, rack_id) VALUES ('s', 9, '{}', 1)")
    assert row(mill, '"order"', "sku = 's'") == (9,)
