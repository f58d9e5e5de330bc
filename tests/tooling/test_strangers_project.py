"""The wheel in a project that has nothing of the signals platform."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.postgres.databases import new_database

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
import os, sys
from psycopg.conninfo import conninfo_to_dict

for name in ("django_extensions", "pydantic", "yaml", "project", "signals.models",
             "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes"):
    sys.modules[name] = None  # not installed here; an import of it fails
place = conninfo_to_dict(os.environ["DATABASE_URL"])
SECRET_KEY = "stranger"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["signals.operations", "shop"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": place["dbname"], "USER": place.get("user", ""),
    "PASSWORD": place.get("password", ""), "HOST": place.get("host", ""), "PORT": place.get("port", ""),
}}
"""

MODELS = """
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

MIGRATION = """
from django.db import migrations, models
from signals import operations

class Migration(migrations.Migration):
    atomic = False
    operations = [
        operations.CreateTableIfMissing("Shelf", [
            ("id", models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("code", models.CharField(max_length=10, unique=True)),
        ]),
        operations.CreateTableIfMissing("Item", [
            ("id", models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("Name", models.CharField(max_length=100, default="it's 100%")),
        ], options={"db_table": "Mixed Case"}),
        operations.AddColumnIfMissing(
            "item", "shelf", models.ForeignKey("shop.shelf", models.CASCADE, null=True)),
        operations.AddColumnIfMissing(
            "item", "price", models.DecimalField(max_digits=6, decimal_places=2, null=True)),
        operations.AddCheckIfMissing("item", models.CheckConstraint(
            condition=~models.Q(Name__contains="%"), name="no percent")),
        operations.CreateIndexConcurrentlyIfMissing(
            "item", models.Index(fields=["Name"], name="Item Name")),
    ]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    wheels = folder / "wheels"
    subprocess.run([sys.executable, *build, "--wheel-dir", str(wheels), str(ROOT)], check=True)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    shop = folder / "shop"
    (shop / "migrations").mkdir(parents=True)
    for path, text in {
        "settings.py": SETTINGS,
        "shop/__init__.py": "",
        "shop/models.py": MODELS,
        "shop/migrations/__init__.py": "",
        "shop/migrations/0001_initial.py": MIGRATION,
    }.items():
        (folder / path).write_text(text)
    return folder


def manage(folder: Path, url: str, *command: str) -> str:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": str(folder),
        "PYTHONIOENCODING": "utf-8",
    }
    program = [sys.executable, "-W", "error", "-m", "django", *command]
    done = subprocess.run(
        program, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_it_migrates_verifies_and_goes_back_with_the_operations_alone(project: Path) -> None:
    with new_database() as url:
        manage(project, url, "check")
        manage(project, url, "makemigrations", "--check", "--dry-run")
        manage(project, url, "migrate")
        table = manage(project, url, "verify_schema", "shop", "0001")
        assert table.count("✓ Exists") == len(table.splitlines()) - 2
        assert "Item Name" in table
        manage(project, url, "migrate", "shop", "zero")
        manage(project, url, "migrate")


def test_the_wheel_holds_what_the_application_reads(project: Path) -> None:
    assert (project / "signals/verification/rules/onchain.yml").is_file()
    assert list((project / "signals/templates/admin/signals").glob("*.html"))
    page = project / "signals/operations"
    assert (page / "templates/admin/signals_operations/schema.html").is_file()
    assert (page / "static/signals_operations/schema.css").is_file()
    assert not (project / "project").exists()
    assert not (project / "tests").exists()
