"""A field is renamed and another gets its old name: each has the indexes that are called after it."""

from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.state import ModelState, ProjectState

from signals import operations
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import run_command, write_migration
from tests.operations.scratch_schema import (
    APP,
    SERIAL,
    backwards,
    catalog_versions,
    execute,
    facts,
    forwards,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

FIELDS: dict[str, Any] = {
    "a number": models.IntegerField(null=True, db_index=True),
    "a slug": models.SlugField(null=True),
    "a unique text": models.CharField(max_length=9, null=True, unique=True),
}


def indexes() -> dict[str, str]:
    return {fact[2]: fact[3].partition("btree ")[2] for fact in facts() if fact[0] == "index"}


def renamed(field: Any) -> ProjectState:
    """Make a table whose field `name` has become `title`, its indexes made by an alteration."""
    plain = field.clone()
    plain.db_index = False
    plain._unique = False
    model = ModelState(APP, "Part", [("id", SERIAL), ("name", plain)], {"db_table": "part"})
    recreate()
    state = ProjectState()
    for operation in (
        migrations.CreateModel("Part", list(model.fields.items()), dict(model.options)),
        migrations.AlterField("part", "name", field.clone()),
        migrations.RenameField("part", "name", "title"),
    ):
        forwards(operation, state)
        operation.state_forwards(APP, state)
    return state


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("what", FIELDS)
def test_the_index_of_the_renamed_field_gets_its_name_and_the_new_field_its_own(
    what: str, filled: bool
) -> None:
    field = FIELDS[what]
    state = renamed(field)
    start = indexes()
    if filled:
        execute("INSERT INTO part DEFAULT VALUES")
    operation = operations.AddColumnIfMissing("part", "name", field.clone())
    forwards(operation, state)
    found = indexes()
    assert all(("_name_" in name) == ("(name" in keys) for name, keys in found.items())
    assert sorted(found.values()) == sorted(
        [
            *start.values(),
            *(each.replace("title", "name") for each in start.values() if "id" not in each),
        ]
    )
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert sorted(indexes().values()) == sorted(start.values())


SLUG = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    operations = [operations.CreateTableIfMissing("Item", [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.SlugField(null=True)),
    ])]
"""
AGAIN = """
from django.db import migrations, models
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("mill", "0001_initial")]
    operations = [
        migrations.RenameField("item", "name", "title"),
        operations.AddColumnIfMissing("item", "name", models.SlugField(null=True)),
    ]
"""


def test_the_preview_shows_the_new_names_and_the_schema_is_as_declared(
    unmigrated_project: Project,
) -> None:
    project = unmigrated_project
    write_migration(project, "0001_initial", SLUG)
    write_migration(project, "0002_again", AGAIN)
    run_command(project, "migrate", "mill", "0001", "-v0")
    project.database.run("INSERT INTO mill_item DEFAULT VALUES")
    shown, _ = run_command(project, "migrate_preview", code=1)
    assert 'ADD COLUMN "name" varchar(50)' in shown
    assert shown.count("ALTER INDEX") == 2
    run_command(project, "migrate", "-v0")
    run_command(project, "verify_schema", "--strict")
    shown, _ = run_command(project, "migrate_preview")
    assert "ALTER" not in shown


def test_a_new_model_of_a_renamed_ones_name_says_which_name_to_give_away() -> None:
    fields: list[tuple[str, Any]] = [("id", SERIAL), ("name", models.SlugField())]
    state = ProjectState()
    recreate()
    for operation in (
        operations.CreateTableIfMissing("Part", fields),
        migrations.RenameModel("Part", "Piece"),
    ):
        forwards(operation, state)
        operation.state_forwards(APP, state)
    start = facts()
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operations.CreateTableIfMissing("Part", fields), state)
    assert facts() == start
    assert "found:  an index of table bench_piece" in str(caught.value)
    assert 'to fix: rename it: ALTER INDEX "bench_part_name_' in str(caught.value)
