"""The app's commands beside those of other apps, in either order, and beside psycopg2."""

from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.db import connection, connections

from signals.operations.management.checks import check_driver
from signals.operations.refusals import require_driver
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    GROWN,
    INITIAL,
    SETTINGS,
    migration_text,
    run_command,
    write_migration,
)

# The kinds of three real projects: one adds an argument, one refuses in production, one wraps handle.
COMMANDS = {
    "migrate": """
from django.core.management.commands.migrate import Command as Parent

class Command(Parent):
    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--greeting", default="")

    def handle(self, *args, **options):
        self.stdout.write(f"before {options['greeting']}")
        super().handle(*args, **options)
        self.stdout.write("after")
""",
    "makemigrations": """
import os
from django.core.management.base import CommandError
from django.core.management.commands.makemigrations import Command as Parent

class Command(Parent):
    def handle(self, *args, **kwargs):
        if "PRODUCTION" in os.environ:
            raise CommandError("not in production")
        super().handle(*args, **kwargs)
""",
}
ANOTHER = """
from django.core.management.base import BaseCommand
from django.db.migrations.autodetector import MigrationAutodetector

class Command(BaseCommand):
    autodetector = MigrationAutodetector

    def handle(self, *args, **options):
        self.stdout.write("another")
"""
FRONT = 'INSTALLED_APPS.insert(0, "barn")\n'
BEHIND = 'INSTALLED_APPS.append("barn")\n'
CHECK = ("check", "--tag", "convergent_migrations")


def add_commands(project: Project, place: str, commands: dict[str, str] = COMMANDS) -> None:
    folder = project.folder / "barn/management/commands"
    folder.mkdir(parents=True)
    for each in (folder, folder.parent, folder.parent.parent):
        (each / "__init__.py").touch()
    for name, text in commands.items():
        (folder / f"{name}.py").write_text(text)
    (project.folder / "stock_settings.py").write_text(SETTINGS + place)
    write_migration(project, "0001_initial", INITIAL)


def test_the_commands_of_an_app_behind_this_one_work_together_with_its_own(
    unmigrated_project: Project,
) -> None:
    add_commands(unmigrated_project, BEHIND)
    assert run_command(unmigrated_project, *CHECK)[1] == ""
    out, _ = run_command(unmigrated_project, "migrate", "mill", "-v0", "--greeting", "hello")
    assert out == "before hello\nafter\n"
    _, err = run_command(
        unmigrated_project, "makemigrations", "--convergent", PRODUCTION="1", code=1
    )
    assert err == "CommandError: not in production\n"
    words = ("makemigrations", "mill", "--no-input", "--convergent", "-v0", "-n", "more")
    (unmigrated_project.folder / "mill/models.py").write_text(GROWN)
    run_command(unmigrated_project, *words)
    assert "operations.AddColumnIfMissing(" in migration_text(unmigrated_project, "0002_more")


def test_the_lock_is_held_around_the_command_of_an_app_behind_this_one(
    unmigrated_project: Project,
) -> None:
    add_commands(unmigrated_project, BEHIND)
    path = unmigrated_project.folder / "barn/management/commands/migrate.py"
    asked = (
        "        from django.db import connection\n"
        "        with connection.cursor() as cursor:\n"
        '            cursor.execute("SELECT count(*) FROM pg_locks l JOIN pg_database d "\n'
        '                "ON d.oid = l.database AND d.datname = current_database() "\n'
        "                \"WHERE l.locktype = 'advisory'\")\n"
        '            self.stdout.write(f"locks {cursor.fetchone()[0]}")\n'
        "        super().handle"
    )
    path.write_text(path.read_text().replace("        super().handle", asked))
    out, _ = run_command(unmigrated_project, "migrate", "mill", "-v0")
    assert "locks 1\n" in out


REMOVAL = """
from django.db import migrations
from signals import operations

class Migration(migrations.Migration):
    dependencies = [("mill", "0001_initial")]
    operations = [operations.RemoveColumnIfPresent("item", "kind")]
"""


def has_kind(project: Project) -> bool:
    columns = "SELECT FROM pg_attribute WHERE attrelid = 'mill_item'::regclass AND attname = 'kind'"
    return bool(project.database.rows(columns))


def test_migrate_of_an_app_behind_this_one_takes_part_in_expand(
    unmigrated_project: Project,
) -> None:
    add_commands(unmigrated_project, BEHIND)
    run_command(unmigrated_project, "migrate", "mill", "-v0")
    write_migration(unmigrated_project, "0002_removal", REMOVAL)
    words = ("migrate", "mill", "--greeting", "hello", "--phase")
    out, _ = run_command(unmigrated_project, *words, "expand", "-v0")
    assert (out, has_kind(unmigrated_project)) == ("before hello\nafter\n", True)
    out, _ = run_command(unmigrated_project, *words, "contract")
    assert (out, has_kind(unmigrated_project)) == (
        '  Removed column kind of "mill_item" (mill.0002_removal)\n',
        False,
    )


def test_migrate_of_an_app_in_front_of_this_one_knows_no_phases(
    unmigrated_project: Project,
) -> None:
    add_commands(unmigrated_project, FRONT)
    run_command(unmigrated_project, "migrate", "mill", "-v0")
    write_migration(unmigrated_project, "0002_removal", REMOVAL)
    _, err = run_command(unmigrated_project, "migrate", "--phase", "expand", code=2)
    assert "unrecognized arguments: --phase" in err
    run_command(unmigrated_project, "migrate", "-v0", CONVERGENT_MIGRATIONS_PHASE="expand")
    assert not has_kind(unmigrated_project)


def test_a_command_in_front_of_this_ones_is_told(unmigrated_project: Project) -> None:
    add_commands(unmigrated_project, FRONT)
    _, err = run_command(unmigrated_project, *CHECK)
    assert (
        "barn: (convergent_migrations.W007) manage.py migrate is the command of 'barn', so that the "
        "migrators' lock does not keep two runs apart, waits are limited only in convergent operations, "
        "--phase is unknown, and PHASE does nothing\n"
        "\tHINT: Put 'signals.operations' before 'barn' in INSTALLED_APPS: its command derives from "
        "that one, and both work."
    ) in err
    assert err.count("W007") == 1
    out, _ = run_command(unmigrated_project, "migrate", "mill", "-v0")
    assert out == "before \nafter\n"


def test_makemigrations_of_an_app_in_front_works_together_with_this_one(
    unmigrated_project: Project,
) -> None:
    commands = {"makemigrations": COMMANDS["makemigrations"]}
    add_commands(unmigrated_project, FRONT, commands)
    assert run_command(unmigrated_project, *CHECK)[1] == ""
    words = ("makemigrations", "mill", "--no-input", "--convergent", "-v0", "-n", "more")
    (unmigrated_project.folder / "mill/models.py").write_text(GROWN)
    _, err = run_command(unmigrated_project, *words, PRODUCTION="1", code=1)
    assert err == "CommandError: not in production\n"
    run_command(unmigrated_project, *words)
    assert "operations.AddColumnIfMissing(" in migration_text(unmigrated_project, "0002_more")


def test_commands_of_other_kinds_in_front_hide_this_ones_and_are_told(
    unmigrated_project: Project,
) -> None:
    add_commands(
        unmigrated_project, FRONT, dict.fromkeys(("makemigrations", "sqlmigrate"), ANOTHER)
    )
    _, err = run_command(unmigrated_project, *CHECK)
    told = "(convergent_migrations.W007) manage.py {} is the command of 'barn', so that {}\n"
    assert told.format("sqlmigrate", "--plain is unknown") in err
    lack = "--convergent and CONVERT_NEW_MIGRATIONS do nothing"
    assert told.format("makemigrations", lack) in err
    assert run_command(unmigrated_project, "makemigrations")[0] == "another\n"


def test_a_command_in_front_that_derives_from_this_ones_is_no_matter(
    unmigrated_project: Project,
) -> None:
    commands = {
        name: text.replace("django.core.management", "signals.operations.management")
        for name, text in COMMANDS.items()
    }
    commands["makemigrations"] = commands["makemigrations"].replace(
        "signals.operations.management.base", "django.core.management.base"
    )
    add_commands(unmigrated_project, FRONT, commands)
    assert run_command(unmigrated_project, *CHECK)[1] == ""
    assert run_command(unmigrated_project, "migrate", "mill", "-v0")[0] == "before \nafter\n"


def test_psycopg2_beside_psycopg_3_is_told_where_there_is_a_postgresql(
    unmigrated_project: Project,
) -> None:
    (unmigrated_project.folder / "psycopg2").mkdir()
    (unmigrated_project.folder / "psycopg2/__init__.py").touch()
    _, err = run_command(unmigrated_project, *CHECK)
    assert (
        "(convergent_migrations.W005) psycopg2 and psycopg 3 are installed, and Django uses psycopg 3 "
        "for the whole project"
    ) in err
    assert run_command(unmigrated_project, *CHECK, LITE="1")[1] == ""


def test_psycopg2_alone_is_refused_with_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, unblocked_database: None
) -> None:
    monkeypatch.setattr(connection, "Database", ModuleType("psycopg2"))
    told = (
        "Django talks to the database 'default' by psycopg2, and signals.operations needs psycopg 3 "
        r'\(pip install "psycopg\[binary\]"; Django then uses it for the whole project\)'
    )
    with pytest.raises(ImproperlyConfigured, match=told):
        require_driver(connection)
    (message,) = check_driver()
    assert (message.id, message.obj) == ("convergent_migrations.E006", "default")
    for words in (["verify_schema"], ["migrate_preview"], ["migrate", "--skip-checks"]):
        with pytest.raises(CommandError, match=told) as caught:
            call_command(*words)
        assert caught.value.returncode == 3
    with pytest.raises(SystemCheckError, match="needs psycopg 3"):
        call_command("check", tags=["convergent_migrations"])


def test_a_connection_of_another_driver_is_let_be(sqlite_database: Any) -> None:
    require_driver(sqlite_database)
    assert connections["other"].vendor == "sqlite"
