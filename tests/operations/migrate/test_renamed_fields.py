"""A field is renamed, and what refers to it, declares it or removes it goes forwards and backwards."""

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    migration_text,
    run_command,
    write_migration,
)
from tests.postgres.catalog_facts import facts

REFERRED = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    operations = [
        {module}.{create}("Shelf", [
            ("id", models.BigAutoField(primary_key=True)),
            ("code", models.CharField(max_length=10, unique=True)),
        ]),
        {module}.{create}("Item", [
            ("id", models.BigAutoField(primary_key=True)),
            ("shelf", models.ForeignKey("mill.Shelf", models.CASCADE, to_field="code")),
        ]),
    ]
"""
RENAME = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = [migrations.RenameField("shelf", "code", "mark")]
"""
AFTER = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("mill", "0002_rename")]
    operations = [
        operations.AddColumnIfMissing("item", "other", models.ForeignKey(
            "mill.Shelf", models.CASCADE, null=True, to_field="mark", related_name="+")),
        operations.AlterColumnTypeIfDifferent("item", "other", models.ForeignKey(
            "mill.Shelf", models.CASCADE, null=True, to_field="mark", related_name="+", db_index=True)),
    ]
"""


@pytest.mark.parametrize(
    ("module", "create"), [("operations", "CreateTableIfMissing"), ("migrations", "CreateModel")]
)
def test_a_foreign_key_to_a_field_that_is_renamed_goes_both_ways(
    unmigrated_project: Project, module: str, create: str
) -> None:
    project = unmigrated_project
    write_migration(project, "0001_initial", REFERRED.format(module=module, create=create))
    write_migration(project, "0002_rename", RENAME)
    write_migration(project, "0003_after", AFTER)
    run_command(project, "migrate_preview", code=1)
    run_command(project, "migrate", "-v0")
    run_command(project, "verify_schema", "--strict")
    run_command(project, "verify_schema", "mill", "0003")
    made = facts(project.database)
    run_command(project, "migrate_preview", "mill", "zero", code=1)
    run_command(project, "migrate", "mill", "zero", "-v0")
    assert project.database.rows("SELECT to_regclass('mill_shelf')") == [(None,)]
    run_command(project, "migrate", "-v0")
    assert facts(project.database) == made


PARTS = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    operations = [
        operations.CreateTableIfMissing("Item", [
            ("id", models.BigAutoField(primary_key=True)),
            ("kind", models.IntegerField()),
        ]),
        operations.AddCheckIfMissing("item", models.CheckConstraint(
            condition=models.Q(kind__gt=0), name="a_check")),
        operations.AddUniqueIfMissing("item", models.UniqueConstraint(fields=["kind"], name="a_unique")),
        operations.AddUniqueIfMissing("item", models.UniqueConstraint(
            fields=["kind"], condition=models.Q(kind__lt=9), name="a_unique_index")),
        operations.CreateIndexConcurrentlyIfMissing("item", models.Index(fields=["kind"], name="an_index")),
    ]
"""
REMOVAL = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("mill", "0001_initial")]
    operations = [
        migrations.RenameField("item", "kind", "sort"),
        {check}("item", "a_check"),
        {unique}("item", "a_unique"),
        {unique}("item", "a_unique_index"),
        {index}("item", "an_index"),
    ]
"""
STOCK = {
    "check": "migrations.RemoveConstraint",
    "unique": "migrations.RemoveConstraint",
    "index": "migrations.RemoveIndex",
}
OURS = {
    "check": "operations.RemoveCheckIfPresent",
    "unique": "operations.RemoveUniqueIfPresent",
    "index": "operations.DropIndexConcurrentlyIfPresent",
}
LEFT = """
SELECT conname FROM pg_constraint WHERE conname LIKE 'a_%' AND conrelid = 'mill_item'::regclass
UNION SELECT relname FROM pg_class WHERE relname LIKE 'a_%' AND relkind = 'i'
"""


def test_what_uses_a_renamed_field_is_removed_by_its_name(unmigrated_project: Project) -> None:
    project = unmigrated_project
    write_migration(project, "0001_initial", PARTS)
    write_migration(project, "0002_removal", REMOVAL.format(**OURS))
    run_command(project, "migrate", "mill", "0001", "-v0")
    shown, _ = run_command(project, "migrate_preview", code=1)
    for name in ("a_check", "a_unique", "a_unique_index", "an_index"):
        assert f'"{name}"' in shown
    run_command(project, "sqlmigrate", "mill", "0002")
    before, _ = run_command(project, "verify_schema", "mill", "0002", code=1)
    assert before.count("Leftover") == 4
    run_command(project, "migrate", "-v0")
    assert project.database.rows(LEFT) == []
    run_command(project, "verify_schema", "mill", "0002")
    run_command(project, "verify_schema", "--strict")


def test_what_was_removed_by_its_name_is_not_built_again_and_that_is_said(
    unmigrated_project: Project,
) -> None:
    project = unmigrated_project
    write_migration(project, "0001_initial", PARTS)
    write_migration(project, "0002_removal", REMOVAL.format(**OURS))
    run_command(project, "migrate", "-v0")
    _, told = run_command(project, "migrate", "mill", "0001", "-v0", code=1)
    assert told == (
        "Refused: Drop index an_index from item concurrently if present, backwards: its declaration "
        "names a field that was renamed before: Item has no field named 'kind'; nothing was changed. "
        "To fix: build it by hand, and record the step with migrate --fake\n"
    )
    shown = "".join(run_command(project, "migrate_preview", "mill", "0001", code=1))
    assert shown.count("names a field that was renamed before") == 4
    _, told = run_command(project, "sqlmigrate", "mill", "0002", "--backwards", code=1)
    assert "names a field that was renamed before" in told


def test_the_preview_of_djangos_own_removals_is_shown(unmigrated_project: Project) -> None:
    project = unmigrated_project
    write_migration(project, "0001_initial", PARTS)
    write_migration(project, "0002_removal", REMOVAL.format(**STOCK))
    run_command(project, "migrate", "mill", "0001", "-v0")
    run_command(project, "migrate_preview", code=1)
    run_command(project, "convergent_migration", "mill", "0002")
    assert "operations.RemoveCheckIfPresent(" in migration_text(project, "0002_removal")
    run_command(project, "migrate", "-v0")
    assert project.database.rows(LEFT) == []
