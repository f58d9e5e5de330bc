"""migrate --refuse-drift stops before the first statement where what the plan touches has drifted."""

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    INITIAL,
    migration_names,
    run_command,
    write_migration,
)
from tests.postgres.catalog_facts import catalog_versions

SECOND = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = [
        {operation},
    ]
"""
ADD = "migrations.AddField('item', 'weight', models.IntegerField(null=True))"
REFER = (
    "migrations.AddField('shelf', 'of', models.ForeignKey('mill.Item', models.CASCADE, null=True))"
)
SQL = "migrations.RunSQL('SELECT 1', '')"
CREATE = "migrations.CreateModel('Box', [('id', models.BigAutoField(primary_key=True))])"
DROPPED = "ALTER TABLE mill_item DROP COLUMN kind"

LEFT_BEHIND = (
    "ALTER TABLE mill_item ADD COLUMN left_behind integer; "
    "CREATE UNIQUE INDEX left_behind ON mill_item (left_behind)"
)


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project with a migration that is applied, for the operation of the second one."""
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    run_command(unmigrated_project, "migrate")
    return unmigrated_project


def plan(project: Project, operation: str) -> None:
    write_migration(project, "0002_second", SECOND.format(operation=operation))


@pytest.mark.parametrize("operation", [ADD, REFER, SQL])
def test_what_the_plan_touches_stops_it_if_it_has_drifted(mill: Project, operation: str) -> None:
    plan(mill, operation)
    mill.database.run(DROPPED)
    before = catalog_versions(mill.database)
    _, said = run_command(mill, "migrate", "--refuse-drift", code=1)
    assert said.endswith(
        "CommandError: nothing was changed: tables that these migrations touch are not as the applied ones "
        "declare:\n"
        '  ✗ Missing: column kind of "mill_item" (mill.0001_initial)\n'
        "  to fix: see manage.py verify_schema, repair or accept the rows, and run again\n"
    )
    assert catalog_versions(mill.database) == before
    run_command(mill, "verify_schema", "--repair", "--no-input")
    run_command(mill, "migrate", "--refuse-drift")


def test_the_way_back_is_stopped_too(mill: Project) -> None:
    plan(mill, ADD)
    run_command(mill, "migrate", "--refuse-drift")
    mill.database.run("ALTER TABLE mill_item DROP COLUMN weight")
    _, said = run_command(mill, "migrate", "mill", "0001", "--refuse-drift", code=1)
    assert 'column weight of "mill_item" (mill.0002_second)' in said


@pytest.mark.parametrize(
    ("operation", "sql"),
    [
        (ADD, "ALTER TABLE mill_shelf DROP COLUMN code"),
        (CREATE, DROPPED),
        (ADD, LEFT_BEHIND),
    ],
)
def test_other_tables_and_what_nobody_declares_do_not_stop_it(
    mill: Project, operation: str, sql: str
) -> None:
    plan(mill, operation)
    mill.database.run(sql)
    run_command(mill, "migrate", "--refuse-drift")


def test_a_setting_turns_it_on_and_a_run_that_only_records_is_not_stopped(mill: Project) -> None:
    plan(mill, ADD)
    mill.database.run(DROPPED)
    on = {"CONVERGENT_MIGRATIONS_REFUSE_DRIFT": "on"}
    _, said = run_command(mill, "migrate", code=1, **on)
    assert "nothing was changed" in said
    run_command(mill, "migrate", "--fake", **on)
    run_command(mill, "migrate", **on)  # with nothing to do


def test_an_empty_database_has_no_drift(unmigrated_project: Project) -> None:
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    run_command(unmigrated_project, "migrate", "--refuse-drift")
    assert migration_names(unmigrated_project) == ["0001_initial"]


def test_rows_that_are_accepted_do_not_stop_it(mill: Project) -> None:
    plan(mill, ADD)
    mill.database.run(DROPPED)
    file = mill.folder / "accepted.toml"
    file.write_text(
        '[[accepted]]\nrow = \'column kind of "mill_item"\'\nstatus = "missing"\n'
        'reason = "it is gone"\nwho = "Ada"\nuntil = 9999-12-31\n'
    )
    accepted = {"CONVERGENT_MIGRATIONS_ACCEPTED_FINDINGS": str(file)}
    run_command(mill, "migrate", "--refuse-drift", **accepted)
