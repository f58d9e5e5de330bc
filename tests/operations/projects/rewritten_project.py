"""Write a project of real applications that has their histories as they are, and rewritten by the command."""

from tests.operations.projects.project import Project

STOCK, REWRITTEN = "stock_settings", "rewritten_settings"

SETTINGS = """
import os
from pathlib import Path
from benchmarks.drifts.settings import *
from project.environment import database_from_url

INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_db"]
DATABASES = {"default": database_from_url(os.environ["DATABASE_URL"])}
HISTORIES = Path(__file__).with_name("histories")
"""

REWRITTEN_SETTINGS = """
from stock_settings import *

INSTALLED_APPS = ["signals.operations", *INSTALLED_APPS]
MIGRATION_MODULES = {each.name: f"histories.{each.name}" for each in HISTORIES.iterdir()}
"""

COPY = """
import shutil
from pathlib import Path
from django.apps import apps
from django.conf import settings
for app in apps.get_app_configs():
    if Path(app.path, "migrations").is_dir():
        shutil.copytree(Path(app.path, "migrations"), settings.HISTORIES / app.label)
"""

# What was loaded before a file was written is loaded anew for the next one.
REWRITE = """
import sys
from django.core.management import CommandError, call_command
from django.db.migrations.loader import MigrationLoader
for key in sorted(MigrationLoader(None, replace_migrations=False).disk_migrations):
    try:
        call_command("convergent_migration", *key)
    except CommandError as error:
        print(error, file=sys.stderr)
    for name in [each for each in sys.modules if each.startswith("histories.")]:
        del sys.modules[name]
"""


def run(project: Project, settings: str, *words: str, **env: str) -> str:
    """Run the command with one of the two histories, and return what it printed."""
    given = {
        "DRIFTS_PROJECT": "rare",
        "DRIFTS_DATABASE": "dbname=none",
        "DJANGO_SETTINGS_MODULE": settings,
    }
    done = project.manage(*words, **given, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_rewritten_project(project: Project) -> None:
    (project.folder / f"{STOCK}.py").write_text(SETTINGS)
    (project.folder / f"{REWRITTEN}.py").write_text(REWRITTEN_SETTINGS)
    run(project, STOCK, "shell", "-v0", "-c", COPY)
    run(project, REWRITTEN, "shell", "-v0", "-c", REWRITE)
