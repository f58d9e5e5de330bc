"""The wheel in a project that has a package `signals` of its own and nothing of the platform."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres.databases import new_database

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
import os, sys
from psycopg.conninfo import conninfo_to_dict

for name in ("django_extensions", "pydantic", "yaml", "project",
             "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes"):
    sys.modules[name] = None  # not installed here; an import of it fails
place = conninfo_to_dict(os.environ["DATABASE_URL"])
SECRET_KEY = "stranger"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["convergent_migrations", "signals", "shop"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": place["dbname"], "USER": place.get("user", ""),
    "PASSWORD": place.get("password", ""), "HOST": place.get("host", ""), "PORT": place.get("port", ""),
}}
"""

BEACON = """
from django.db import models

class Beacon(models.Model):
    colour = models.CharField(max_length=10)
"""

SHOP = """
from django.db import models

class Shelf(models.Model):
    code = models.CharField(max_length=10, unique=True)

class Item(models.Model):
    Name = models.CharField(max_length=100, default="it's 100%")
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)
    price = models.DecimalField(max_digits=6, decimal_places=2, null=True)

    class Meta:
        db_table = "Mixed Case"
        indexes = [models.Index(fields=["Name"], name="Item Name")]
        constraints = [models.CheckConstraint(condition=~models.Q(Name__contains="%"), name="no percent")]
"""

STOCK = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddIndex("item", models.Index(fields=["price"], name="item_price")),
    ]
"""

DRIFT = """
DROP INDEX "Item Name";
ALTER TABLE "Mixed Case" DROP CONSTRAINT "no percent", DROP COLUMN price;
"""

TYPED = """
from django.db import models
from typing import assert_type

import convergent_migrations as operations

state = operations.AddColumnIfMissing("item", "state", models.TextField(null=True))
assert_type(state.keep_on_reverse, bool)
assert_type(operations.Finding("check", "c", "t", operations.Status.EXISTS).status.is_right, bool)
error: operations.ConvergenceError = operations.TableMissing("Add it", "item")
operations.CreateIndexConcurrentlyIfMissing("item", "price")
"""


class Stranger:
    """The project in a folder, and how its commands run."""

    def __init__(self, folder: Path, installed: Path, url: str) -> None:
        self.folder, self.installed, self.url = folder, installed, url

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """What a Python of the project with these arguments comes to."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": os.pathsep.join(map(str, [self.folder, self.installed])),
            "PYTHONIOENCODING": "utf-8",
        }
        program = [sys.executable, "-W", "error", "-m", *command]
        return subprocess.run(
            program, cwd=self.folder, env=environment, check=False, capture_output=True, text=True
        )

    def manage(self, *command: str, code: int = 0) -> str:
        """What the command prints; it ends with the code."""
        done = self.run("django", *command)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([sys.executable, *build, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    subprocess.run([sys.executable, *install, "--target", str(folder), str(wheel)], check=True)
    return folder


@pytest.fixture
def stranger(installed: Path, tmp_path: Path, transactional_db: None) -> Iterator[Stranger]:
    files = {
        "settings.py": SETTINGS,
        "signals/__init__.py": "",
        "signals/models.py": BEACON,
        "shop/__init__.py": "",
        "shop/models.py": SHOP,
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    with new_database() as url:
        yield Stranger(tmp_path, installed, url)


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"convergent_migrations"}
    assert {
        "convergent_migrations/py.typed",
        "convergent_migrations/templates/admin/convergent_migrations/schema.html",
        "convergent_migrations/static/convergent_migrations/schema.css",
    } <= set(names)


def test_it_makes_migrates_verifies_repairs_and_goes_back(stranger: Stranger) -> None:
    stranger.manage("makemigrations", "--convergent", "signals", "shop")
    text = (stranger.folder / "shop/migrations/0001_initial.py").read_text()
    assert "\nimport convergent_migrations as operations\n" in text
    assert "operations.CreateTableIfMissing(" in text
    stranger.manage("check")
    stranger.manage("makemigrations", "--check", "--dry-run")
    stranger.manage("migrate")
    table = stranger.manage("verify_schema", "shop", "0001")
    assert table.count("✓ Exists") == len(table.splitlines()) - 2
    assert "Item Name" in table
    stranger.manage("verify_schema")
    with psycopg.connect(stranger.url, autocommit=True) as session:
        session.execute(DRIFT)
    assert stranger.manage("verify_schema", code=1).count("✗ Missing") == 3
    tag = ("check", "--database", "default", "--tag", "convergent_migrations")
    assert "convergent_migrations.E010" in stranger.run("django", *tag).stderr
    stranger.manage("verify_schema", "--repair", "--no-input")
    stranger.manage(*tag)
    stranger.manage("migrate", "shop", "zero")
    stranger.manage("migrate")
    stranger.manage("verify_schema")


def test_it_rewrites_a_migration_of_stock_operations(stranger: Stranger) -> None:
    stranger.manage("makemigrations", "--convergent", "signals", "shop")
    path = stranger.folder / "shop/migrations/0002_price.py"
    path.write_text(STOCK)
    assert "L101 index-blocks-writers" in stranger.manage("lint_migrations", code=1)
    stranger.manage("convergent_migration", "shop", "0002")
    assert stranger.manage("lint_migrations").startswith("0 errors, 0 warnings in 3 migrations")
    text = path.read_text()
    assert "import convergent_migrations as operations\n" in text
    assert "operations.CreateIndexConcurrentlyIfMissing(" in text
    assert "atomic = False" in text
    stranger.manage("migrate")
    stranger.manage("verify_schema")


def test_it_is_typed(stranger: Stranger) -> None:
    """Of the lines that use it, the one with a wrong argument alone is an error."""
    (stranger.folder / "typed.py").write_text(TYPED)
    done = stranger.run("mypy", "--strict", "--no-incremental", "typed.py")
    (first, *rest) = done.stdout.splitlines()
    wrong = TYPED.splitlines().index('operations.CreateIndexConcurrentlyIfMissing("item", "price")')
    assert first.startswith(f"typed.py:{wrong + 1}: error: Argument 2 to"), done.stdout
    assert rest == ["Found 1 error in 1 file (checked 1 source file)"]
