"""Write a project of two applications without migrations, and run commands over it."""

from pathlib import Path

from tests.operations.projects.project import Project

SETTINGS = """
import os
from project.environment import database_from_url

SECRET_KEY = "mill"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "signals.operations", "mill", "inn"]
DATABASES = {"default": database_from_url(os.environ["DATABASE_URL"])}
if "LITE" in os.environ:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.05, "LOCK_WAIT": 2.0}
"""

FIRST = """
from django.db import models

class Shelf(models.Model):
    code = models.CharField(max_length=10, unique=True)

class Item(models.Model):
    name = models.CharField(max_length=20, null=True)
    shelf = models.ForeignKey(Shelf, models.CASCADE)
    kind = models.IntegerField(default=0)
"""

ROOM = """
from django.db import models

class Room(models.Model):
    item = models.ForeignKey("mill.Item", models.CASCADE)
"""

INITIAL = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Shelf", [
            ("id", models.BigAutoField(primary_key=True)),
            ("code", models.CharField(max_length=10)),
        ]),
        migrations.CreateModel("Item", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=10, null=True)),
            ("kind", models.IntegerField(null=True)),
        ]),
    ]
"""

# The models of INITIAL and a column more.
GROWN = """
from django.db import models

class Shelf(models.Model):
    code = models.CharField(max_length=10)

class Item(models.Model):
    name = models.CharField(max_length=10, null=True)
    kind = models.IntegerField(null=True)
    more = models.IntegerField(null=True)
"""


def write_models(folder: Path) -> None:
    """Write the settings and the models, and no migrations."""
    (folder / "stock_settings.py").write_text(SETTINGS)
    for app, models in {"mill": FIRST, "inn": ROOM}.items():
        (folder / app).mkdir()
        (folder / app / "__init__.py").touch()
        (folder / app / "models.py").write_text(models)


def run_command(project: Project, *words: str, code: int = 0, **env: str) -> tuple[str, str]:
    done = project.manage(*words, **env)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout, done.stderr


def migration_names(project: Project, app: str = "mill") -> list[str]:
    folder = project.folder / app / "migrations"
    return sorted(path.stem for path in folder.glob("0*.py"))


def migration_text(project: Project, name: str, app: str = "mill") -> str:
    return (project.folder / app / "migrations" / f"{name}.py").read_text()


def write_migration(project: Project, name: str, source: str, app: str = "mill") -> None:
    folder = project.folder / app / "migrations"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / f"{name}.py").write_text(source)


HISTORY = """\
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    initial = {initial}
    dependencies = {dependencies}
    operations = [{operations}]
"""

KEY = '("id", models.BigAutoField(primary_key=True))'


def write_history(project: Project, *migrations: str) -> None:
    """Write a migration of mill for each list of operations, which follow those written before."""
    before = migration_names(project)
    for number, operations in enumerate(migrations, len(before) + 1):
        name = f"{number:04}_step"
        dependencies = [("mill", before[-1])] if before else []
        source = HISTORY.format(
            initial=not before, dependencies=dependencies, operations=operations
        )
        write_migration(project, name, source)
        before.append(name)


def migrate_history(project: Project, *migrations: str) -> None:
    """Write the migrations of mill and apply them."""
    write_history(project, *migrations)
    run_command(project, "migrate", "mill", "-v0")
