"""A model is renamed, another one gets its old name: taken names of indexes are told before a change."""

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    KEY,
    migration_names,
    migration_text,
    run_command,
    write_history,
    write_migration,
)

INDEX = "mill_part_a_a5a3afb6"
FIELDS = f'{KEY}, ("a", models.IntegerField(db_index=True))'
PART = f'operations.CreateTableIfMissing("Part", [{FIELDS}])'
OF_OLD_TABLE = f'operations.CreateTableIfMissing("Cog", [{FIELDS}], {{"db_table": "mill_part"}})'
OTHER = f'operations.CreateTableIfMissing("Other", [{KEY}])'
RENAMES = {
    "the model": ('migrations.RenameModel("Part", "Box")', PART),
    "the table": ('migrations.AlterModelTable("Part", "mill_box")', OF_OLD_TABLE),
}
FREEING = {
    "renamed": 'migrations.RunSQL("ALTER INDEX mill_part_a_a5a3afb6 RENAME TO mill_box_a")',
    "removed": 'migrations.RemoveField("Box", "a")',
    "removed by ours": 'operations.RemoveColumnIfPresent("Box", "a")',
    "dropped": 'migrations.DeleteModel("Box")',
    "of code": "migrations.RunPython(migrations.RunPython.noop)",
}


def migrated(project: Project, count: int, *migrations: str) -> None:
    """Write the migrations and apply the first of them."""
    write_history(project, *migrations)
    for name in migration_names(project):
        text = migration_text(project, name)
        write_migration(project, name, f"from signals import operations\n{text}")
    if count:
        run_command(project, "migrate", "mill", f"{count:04}", "-v0")


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("what", RENAMES)
def test_the_name_of_an_index_that_went_with_its_table(
    unmigrated_project: Project, what: str, count: int
) -> None:
    project, (rename, creation) = unmigrated_project, RENAMES[what]
    migrated(project, count, PART, rename, OTHER, creation)
    run_command(project, "migrate", "contenttypes", "-v0")
    shown, _ = run_command(project, "migrate_preview", code=1)
    _, err = run_command(project, "migrate", "mill", code=1)
    for text in (shown, err):
        assert "an index of table " in text
        assert "mill_box" in text
        assert f'rename it: ALTER INDEX "{INDEX}" RENAME TO ...' in text
    assert "nothing was changed" in err
    tables = project.database.rows(
        "SELECT relname FROM pg_class WHERE relname LIKE 'mill_%' AND relkind = 'r'"
    )
    # What Django's operations do in front of the first of ours is done.
    assert tables == ([("mill_box",)] if count else [])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("how", FREEING)
def test_a_name_that_the_plan_frees_is_no_reason_to_stop(
    unmigrated_project: Project, how: str, count: int
) -> None:
    project = unmigrated_project
    migrated(project, min(count, 3), PART, RENAMES["the model"][0], FREEING[how], PART)
    if how == "of code":  # which may free it, and does not
        _, err = run_command(project, "migrate", "mill", code=1)
        assert f'rename it: ALTER INDEX "{INDEX}" RENAME TO ...' in err
        return
    shown, _ = run_command(project, "migrate_preview", "mill", code=1)
    assert "to fix" not in shown
    run_command(project, "migrate", "-v0")
    run_command(project, "verify_schema")


@pytest.mark.parametrize(
    ("kind", "word"), [("SEQUENCE", "SEQUENCE"), ("VIEW", "VIEW")], ids=["a sequence", "a view"]
)
def test_a_name_that_another_relation_has(
    unmigrated_project: Project, kind: str, word: str
) -> None:
    project = unmigrated_project
    migrated(project, 0, PART)
    project.psql(f"CREATE {kind} {INDEX}{' AS SELECT 1 AS one' if kind == 'VIEW' else ''}")
    for command in ("migrate_preview", "migrate"):
        texts = run_command(project, command, "mill", code=1)
        assert f'rename it: ALTER {word} "{INDEX}" RENAME TO ...' in "".join(texts)
