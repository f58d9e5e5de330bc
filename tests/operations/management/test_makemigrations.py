"""manage.py makemigrations --convergent: the files that it writes, and what becomes of a database by them."""

from pathlib import Path

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    ROOM,
    migration_names,
    migration_text,
    run_command,
)

SECOND = """
from django.db import models

class Shelf(models.Model):
    code = models.CharField(max_length=10)
    label = models.TextField(default="")

    class Meta:
        unique_together = [("code", "label")]

class Item(models.Model):
    name = models.TextField(default="none")
    shelf = models.ForeignKey(Shelf, models.CASCADE, verbose_name="the shelf")
    kind = models.IntegerField(default=0)
    weight = models.PositiveIntegerField(null=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["kind"], name="item_kind")]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__gte=0), name="item_kind_check"),
            models.UniqueConstraint(fields=["name", "weight"], name="item_unique"),
        ]

class Tag(models.Model):
    word = models.CharField(max_length=10)
"""

TAGGED = ROOM + '    tag = models.ForeignKey("mill.Tag", models.CASCADE, null=True)\n'

COLUMNS = "0002_tag_item_weight_shelf_label_alter_item_name_and_more"
STOCK = "0003_alter_shelf_code"
INDEXES = "0004_alter_shelf_unique_together_item_item_kind_and_more"

WRITTEN = f"""\
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('mill', '{STOCK}'),
    ]

    operations = [
        operations.AlterUniqueTogetherIfNeeded(
            name='shelf',
            unique_together={{('code', 'label')}},
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            model_name='item',
            index=models.Index(fields=['kind'], name='item_kind'),
        ),
        operations.AddCheckIfMissing(
            model_name='item',
            constraint=models.CheckConstraint(condition=models.Q(('kind__gte', 0)), name='item_kind_check'),
        ),
        operations.AddUniqueIfMissing(
            model_name='item',
            constraint=models.UniqueConstraint(fields=('name', 'weight'), name='item_unique'),
        ),
    ]
"""


def grown(project: Project) -> None:
    (project.folder / "mill/models.py").write_text(SECOND)
    (project.folder / "inn/models.py").write_text(TAGGED)


MAKE = ("makemigrations", "--no-input", "--no-header")


def test_the_files_migrate_heal_go_back_and_leave_nothing_to_find(
    unmigrated_project: Project,
) -> None:
    run_command(
        unmigrated_project,
        *MAKE,
        "mill",
        "inn",
        CONVERGENT_MIGRATIONS_CONVERT_NEW_MIGRATIONS="true",
    )
    assert (
        migration_names(unmigrated_project)
        == migration_names(unmigrated_project, "inn")
        == ["0001_initial"]
    )
    assert "    initial = True\n" in migration_text(unmigrated_project, "0001_initial")
    assert "atomic" not in migration_text(unmigrated_project, "0001_initial")
    run_command(unmigrated_project, "migrate", "-v0")
    unmigrated_project.database.run(
        "INSERT INTO mill_shelf (code) VALUES ('a')",
        "INSERT INTO mill_item (name, shelf_id, kind) VALUES (NULL, 1, 3)",
    )
    grown(unmigrated_project)

    _, told = run_command(unmigrated_project, *MAKE, "--convergent", "--check", code=1)
    assert migration_names(unmigrated_project) == ["0001_initial"]
    kept = "stays as it is, it removes the uniqueness of the column"
    assert told.splitlines() == [
        f"mill.{STOCK}: Alter field code on shelf: {kept}",
    ]
    out, _ = run_command(unmigrated_project, *MAKE, "--convergent", "--dry-run", "-v3")
    assert WRITTEN in out
    assert migration_names(unmigrated_project) == ["0001_initial"]

    run_command(unmigrated_project, *MAKE, "--convergent")
    assert migration_names(unmigrated_project) == ["0001_initial", COLUMNS, STOCK, INDEXES]
    assert migration_text(unmigrated_project, INDEXES) == WRITTEN
    assert "atomic" not in migration_text(unmigrated_project, STOCK)
    assert f"('mill', '{INDEXES}')" in migration_text(unmigrated_project, "0002_room_tag", "inn")
    out, told = run_command(unmigrated_project, "makemigrations", "--check", "--convergent")
    assert (out, told) == ("No changes detected\n", "")

    for name, undone, column in (
        (COLUMNS, "ALTER TABLE mill_shelf DROP COLUMN label", "weight"),
        (INDEXES, "ALTER TABLE mill_item DROP CONSTRAINT item_unique", "kind"),
    ):
        run_command(unmigrated_project, "migrate", "mill", name, "-v0")
        unmigrated_project.database.run(  # what a run leaves that is killed in the middle
            f"DELETE FROM django_migrations WHERE name = '{name}'",
            undone,
            "UPDATE pg_index SET indisvalid = false FROM pg_attribute WHERE attrelid = indrelid AND "
            f"attrelid = 'mill_item'::regclass AND attname = '{column}' AND indkey::text = attnum::text",
        )
    run_command(unmigrated_project, "migrate", "-v0")
    assert unmigrated_project.database.rows("SELECT name, kind, weight FROM mill_item") == [
        ("none", 3, None)
    ]
    run_command(unmigrated_project, "verify_schema", "--strict")
    unmigrated_project.database.run(
        "DELETE FROM mill_item"
    )  # whose shorter type would write them anew
    run_command(unmigrated_project, "migrate", "inn", "0001", "-v0")
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    run_command(unmigrated_project, "verify_schema", "--strict")


def test_the_rest_of_the_command_is_djangos(unmigrated_project: Project) -> None:
    run_command(unmigrated_project, *MAKE, "mill", "--convergent", "-n", "first")
    assert migration_names(unmigrated_project) == ["0001_first"]
    with (unmigrated_project.folder / "mill/models.py").open("a") as models:
        models.write(
            "    more = models.ForeignKey(Shelf, models.CASCADE, null=True, related_name='+')\n"
        )
    run_command(unmigrated_project, *MAKE, "mill", "--convergent", "--update")
    (updated,) = migration_names(unmigrated_project)
    assert (
        migration_text(unmigrated_project, updated).count("operations.CreateTableIfMissing(") == 2
    )
    assert "'more'" in migration_text(unmigrated_project, updated)
    assert "AddField" not in migration_text(unmigrated_project, updated)

    grown(unmigrated_project)
    _, told = run_command(unmigrated_project, *MAKE, "mill", "--convergent", "--update", code=2)
    assert told.splitlines()[-1] == (
        "CommandError: the updated migration of mill would have to be split in two, one of them with "
        "atomic = False (write a new one, without --update)"
    )
    assert migration_names(unmigrated_project) == [updated]

    out, told = run_command(
        unmigrated_project, *MAKE, "mill", "--convergent", "--scriptable", "-n", "grown"
    )
    assert [Path(line).stem for line in out.splitlines()] == migration_names(unmigrated_project)[1:]
    assert migration_names(unmigrated_project)[1:] == ["0002_grown", "0003_grown", "0004_grown"]
    assert told.count("stays as it is") == 1
    run_command(unmigrated_project, *MAKE, "mill", "--convergent", "--empty", "-n", "void")
    assert "operations = [\n    ]" in migration_text(unmigrated_project, "0005_void")
    (unmigrated_project.folder / "mill/migrations/0005_other.py").write_text(
        migration_text(unmigrated_project, "0005_void").replace("0005_void", "0005_other")
    )
    run_command(unmigrated_project, *MAKE, "mill", "--convergent", "--merge")
    assert migration_names(unmigrated_project)[-1] == "0006_merge_0005_other_0005_void"


def test_without_the_option_it_writes_djangos_and_without_a_postgresql_it_refuses(
    unmigrated_project: Project,
) -> None:
    on = {"CONVERGENT_MIGRATIONS_CONVERT_NEW_MIGRATIONS": "true"}
    out, _ = run_command(unmigrated_project, *MAKE, "mill", "--dry-run")
    assert "+ Create model Shelf" in out
    out, _ = run_command(unmigrated_project, *MAKE, "mill", "--dry-run", "--no-convergent", **on)
    assert "+ Create model Shelf" in out
    _, told = run_command(unmigrated_project, *MAKE, "mill", **on, LITE="1", code=3)
    assert told == (
        "CommandError: none of the databases is a PostgreSQL, which convergent operations need "
        "(use --no-convergent)\n"
    )
    _, told = run_command(
        unmigrated_project, *MAKE, "mill", CONVERGENT_MIGRATIONS_CONVERT_NEW_MIGRATIONS="7", code=3
    )
    assert told == (
        "CommandError: CONVERGENT_MIGRATIONS_CONVERT_NEW_MIGRATIONS is 7.0 (use True or False)\n"
    )
