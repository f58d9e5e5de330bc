"""manage.py convergent_migration leaves a project whose migrations load and declare what they did."""

from pathlib import Path

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    KEY,
    migration_text,
    run_command,
    write_history,
    write_migration,
)

CONVERTED = (
    f"migrations.CreateModel('Book', [{KEY}, ('a', models.IntegerField())]), "
    "migrations.RunPython(migrations.RunPython.noop), "
    "migrations.AddIndex('book', models.Index(fields=['a'], name='book_a'))"
)

TAKING = """
from importlib import import_module
from django.db import migrations

first = import_module("mill.migrations.0001_step").Migration


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_step")]
    operations = [{operations}]
"""

OWN_FUNCTION = """
from django.db import migrations, models


def number():
    return 7


class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Book", [
        ("id", models.BigAutoField(primary_key=True)),
        ("a", models.IntegerField(default=number)),
    ], options={"indexes": [models.Index(fields=["a"], name="book_a")]})]
"""


def files(project: Project) -> dict[Path, str]:
    return {path: path.read_text() for path in project.folder.rglob("migrations/*.py")}


def write_atomic(project: Project) -> None:
    """Write a migration that has to be divided."""
    write_history(project, CONVERTED)
    text = migration_text(project, "0001_step").replace("    atomic = False\n", "")
    write_migration(project, "0001_step", text)


def test_operations_that_another_migration_takes(unmigrated_project: Project) -> None:
    write_atomic(unmigrated_project)
    taking = TAKING.format(operations="first.operations[1]")
    write_migration(unmigrated_project, "0002_taking", taking)
    before = files(unmigrated_project)
    _, err = run_command(unmigrated_project, "convergent_migration", "mill", "0001", code=1)
    assert (
        "CommandError: nothing was changed: with the converted operations the migrations do not load: "
        "IndexError: list index out of range"
    ) in err
    assert files(unmigrated_project) == before
    run_command(unmigrated_project, "showmigrations", "mill")
    taking = TAKING.format(operations="*first.operations[9:]")
    write_migration(unmigrated_project, "0002_taking", taking)
    out, _ = run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    assert len(out.splitlines()) > 1


def test_another_migration_that_would_declare_something_else(unmigrated_project: Project) -> None:
    taking = (
        "migrations.CreateModel(type(first.operations[0]).__name__, first.operations[0].fields)"
    )
    write_history(unmigrated_project, CONVERTED)
    write_migration(unmigrated_project, "0002_taking", TAKING.format(operations=taking))
    before = files(unmigrated_project)
    _, err = run_command(unmigrated_project, "convergent_migration", "mill", "0001", code=1)
    assert "with the converted operations the migrations would declare mill.create" in err
    assert files(unmigrated_project) == before


def test_functions_of_the_file_are_the_same_after_it_is_written(
    unmigrated_project: Project,
) -> None:
    write_migration(unmigrated_project, "0001_own", OWN_FUNCTION)
    run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    assert "operations.CreateTableIfMissing(" in migration_text(unmigrated_project, "0001_own")


def test_a_dependency_on_another_app_that_is_lacking_is_told(unmigrated_project: Project) -> None:
    write_history(unmigrated_project, f"migrations.CreateModel('Book', [{KEY}])")
    key = "models.ForeignKey('mill.Book', models.CASCADE)"
    source = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = {}
    operations = [{}]
"""
    write_migration(
        unmigrated_project,
        "0001_first",
        source.format([], f"migrations.CreateModel('Room', [{KEY}, ('book', {key})])"),
        app="inn",
    )
    write_migration(
        unmigrated_project,
        "0002_second",
        source.format(
            [("inn", "0001_first")],
            f"migrations.AlterField('room', 'book', {key[:-1]}, null=True, db_index=False))",
        ),
        app="inn",
    )
    before = files(unmigrated_project)
    _, err = run_command(unmigrated_project, "convergent_migration", "inn", "0002", code=3)
    assert (
        "CommandError: inn.0002_second cannot be replayed on the migrations that it depends on: "
        "ValueError: The field inn.Room.book was declared with a lazy reference to 'mill.book'"
    ) in err
    assert "(add to its dependencies the one that brings this)" in err
    assert files(unmigrated_project) == before
