"""The phases of `migrate` in a project of django-tenants, in both orders of the two apps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.tenants_project import MAKE, write_tenants_project
from tests.operations.projects.unmigrated_project import run_command, write_migration
from tests.postgres.databases import Database

OWN_MIGRATE = (
    'TENANT_BASE_MIGRATE_COMMAND = "signals.operations.management.commands.migrate.Command"\n'
)
FRONT = 'INSTALLED_APPS.insert(0, INSTALLED_APPS.pop(INSTALLED_APPS.index("signals.operations")))\n'
CHECK = ("check", "--tag", "convergent_migrations")
REMOVAL = """
from django.db import migrations
from signals import operations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("things", "0001_initial")]
    operations = [operations.RemoveColumnIfPresent("thing", "amount")]
"""
COLUMNS = """
SELECT n.nspname, pg_get_expr(adbin, adrelid) FROM pg_attribute a
JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
WHERE attname = 'amount' AND relname = 'things_thing' AND NOT attisdropped ORDER BY 1
"""
EXPANDED = [("tenant_a", "0"), ("tenant_b", "0")]


@pytest.fixture
def project(tmp_path: Path, unblocked_database: None) -> Iterator[Project]:
    made = Project(tmp_path, Database.new())
    yield made
    made.database.drop()


def write(project: Project, settings: str) -> None:
    """Write the project and migrate two tenants; then write a migration that removes a column."""
    write_tenants_project(project.folder, settings)
    run_command(project, "makemigrations", "-v0", "customers", "things")
    run_command(project, "migrate_schemas", "--shared", "-v0")
    run_command(project, "shell", "--no-imports", "-c", MAKE)
    write_migration(project, "0002_removal", REMOVAL, "things")


@pytest.mark.parametrize("order", ["", FRONT], ids=["behind it", "in front of it"])
@pytest.mark.parametrize("command", ["migrate", "migrate_schemas"])
def test_both_phases_run_in_each_schema(project: Project, order: str, command: str) -> None:
    write(project, OWN_MIGRATE + order)
    assert run_command(project, *CHECK)[1] == ""
    run_command(project, command, "-v0", "--phase", "expand", "--schema", "tenant_a")
    assert project.database.rows(COLUMNS) == [("tenant_a", "0"), ("tenant_b", None)]
    run_command(project, command, "-v0", CONVERGENT_MIGRATIONS_PHASE="expand")
    assert project.database.rows(COLUMNS) == EXPANDED
    words = (command, "--phase", "contract")
    said, _ = run_command(project, *words, "--dry-run", "--after", "3600")
    assert said.count('To remove: column amount of "things_thing" (things.0002_removal)') == 2
    assert project.database.rows(COLUMNS) == EXPANDED
    said, _ = run_command(project, *words, "--after", "0.1")
    assert said.startswith("Waiting 0.1 s for processes of the release before to end\n")
    assert said.count("Waiting") == 1
    assert said.count('Removed column amount of "things_thing" (things.0002_removal)') == 2
    assert project.database.rows(COLUMNS) == []


def test_several_processes_take_the_phases_too_and_those_that_cannot_are_refused(
    project: Project,
) -> None:
    write(project, OWN_MIGRATE)
    words = ("migrate_schemas", "-v0", "--phase", "expand", "--executor")
    _, said = run_command(project, *words, "subprocess", code=2)
    assert said == (
        "CommandError: the executor subprocess does not hand on --phase "
        "(use --executor standard or multiprocessing)\n"
    )
    # A process of its own may have children.
    words = (*words, "multiprocessing")
    done = project.database.manage_by_new_interpreter(*words, env=project.env())
    assert done.returncode == 0, done.stderr
    assert project.database.rows(COLUMNS) == EXPANDED


def test_a_tenant_that_is_made_during_a_rollout_has_no_old_code(project: Project) -> None:
    write(project, OWN_MIGRATE)
    add = "from customers.models import Client; Client.objects.create(schema_name='tenant_c')"
    words = ("shell", "--no-imports", "-c", add)
    run_command(project, *words, CONVERGENT_MIGRATIONS_PHASE="expand")
    assert [schema for schema, _ in project.database.rows(COLUMNS)] == ["tenant_a", "tenant_b"]
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'tenant_c'"
    assert project.database.value(f"{columns} AND table_name = 'things_thing'") == 2


@pytest.mark.parametrize("order", ["", FRONT], ids=["behind it", "in front of it"])
def test_without_the_setting_a_check_tells_that_djangos_migrate_runs(
    project: Project, order: str
) -> None:
    write(project, order)
    _, said = run_command(project, *CHECK)
    assert (
        "django_tenants: (convergent_migrations.W007) manage.py migrate is the command of "
        "'django_tenants', so that the migrators' lock does not keep two runs apart, "
    ) in said
    assert (
        "\tHINT: Set TENANT_BASE_MIGRATE_COMMAND = 'signals.operations.management.commands.migrate."
        "Command': migrate_schemas then runs that for each schema.\n"
    ) in said
    run_command(project, "migrate", "-v0", "--skip-checks")
    assert project.database.rows(COLUMNS) == []
