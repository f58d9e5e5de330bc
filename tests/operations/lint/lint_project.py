"""Write a project whose database nobody can reach, and lint its migrations."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT
from tests.postgres.manage_process import ManageProcess

SETTINGS = """
import sys
SECRET_KEY = "depot"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "signals.operations", "depot", "shop"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "HOST": "/nowhere", "NAME": "none", "PASSWORD": "unsaid"}}
"""

MANAGE = """
import sys
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

MIGRATION = """\
from django.contrib.postgres import operations as postgres
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = {dependencies}
    operations = [
{operations}
    ]
"""

TABLES = """\
        migrations.CreateModel("Item", [
            ("id", models.BigAutoField(primary_key=True)),
            ("amount", models.IntegerField()),
            ("note", models.TextField(null=True)),
        ]),"""
INDEX = '        migrations.AddIndex("item", models.Index(fields=["amount"], name="item_amount")),'
REMOVAL = '        migrations.RemoveField("item", "note"),'


@dataclass(frozen=True, slots=True)
class LintProject:
    """A project of two applications in a folder of its own."""

    folder: Path

    def settings(self, text: str) -> None:
        (self.folder / "depot_settings.py").write_text(f"{SETTINGS}\n{text}\n")

    def write(
        self, name: str, *operations: str, after: str = "", app: str = "depot", atomic: bool = True
    ) -> Path:
        """Write a migration, which follows the one of that name."""
        folder = self.folder / app / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        for each in (folder, folder.parent):
            (each / "__init__.py").touch()
        path = folder / f"{name}.py"
        text = MIGRATION.format(
            dependencies=[(app, after)] if after else [],
            operations="\n".join(operations),
            atomic=atomic,
        )
        path.write_text(text)
        return path

    def run(self, *words: str, code: int = 0) -> tuple[str, str]:
        env = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "DJANGO_SETTINGS_MODULE": "depot_settings",
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with ManageProcess("lint_migrations", *words, cwd=self.folder, env=env) as process:
            out, complaint = process.communicate(DEADLINE)
        assert process.returncode == code, out + complaint
        return out, complaint

    def found(self, *words: str, code: int = 1) -> list[tuple[str, str]]:
        """Return the migration and the rule of each finding."""
        out, _ = self.run(*words, "--format", "json", code=code)
        return [(each["migration"], each["rule"]) for each in json.loads(out)["findings"]]

    def report(self, *words: str, code: int = 1) -> dict[str, Any]:
        out, _ = self.run(*words, "--format", "json", code=code)
        return dict(json.loads(out))

    def git(self, *words: str) -> str:
        """Run git in the folder, whatever the machine has set."""
        own = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **{
                f"GIT_{who}_{what}": "x@example.org"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }
        done = subprocess.run(
            ["git", "-C", str(self.folder), *words],  # noqa: S607 - the machine's git
            env={**os.environ, **own},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout


def new_lint_project(folder: Path) -> LintProject:
    """Return a project with one migration of each app, in which nothing is to be found."""
    made = LintProject(folder)
    (folder / "manage.py").write_text(MANAGE)
    made.settings("")
    made.write("0001_initial", TABLES)
    made.write("0001_initial", TABLES, app="shop")
    return made
