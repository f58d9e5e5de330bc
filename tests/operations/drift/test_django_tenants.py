"""A project of django-tenants, whose backend gives each cursor its path and whose router knows the tenant."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.projects.project import Project
from tests.postgres.databases import Database

FILES = {
    "stock_settings.py": """
import os
from project.environment import database_from_url

SECRET_KEY = "tenants"
USE_TZ = True
DATABASES = {"default": {
    **database_from_url(os.environ["DATABASE_URL"]), "ENGINE": "django_tenants.postgresql_backend"}}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
SHARED_APPS = ["django_tenants", "customers", "django.contrib.contenttypes", "signals.operations"]
TENANT_APPS = ["django.contrib.sessions", "things"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL, TENANT_DOMAIN_MODEL = "customers.Client", "customers.Domain"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
""",
    "customers/models.py": """
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    auto_create_schema = True


class Domain(DomainMixin):
    pass
""",
    "things/models.py": """
from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=10, db_index=True)
    amount = models.PositiveIntegerField(default=0)
""",
}
NAMES = ("public", "tenant_a", "tenant_b")
MAKE = f"""
from customers.models import Client
for name in {NAMES}:
    Client.objects.create(schema_name=name)
"""


@pytest.fixture
def tenants(tmp_path: Path, unblocked_database: None) -> Iterator[Project]:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    for app in ("customers", "things"):
        (tmp_path / app / "migrations").mkdir()
        (tmp_path / app / "migrations/__init__.py").touch()
        (tmp_path / app / "__init__.py").touch()
    made = Project(tmp_path, Database.new())
    yield made
    made.database.drop()


def test_tenants_are_judged_and_repaired_in_their_own_schemas(tenants: Project) -> None:
    for words in (
        ("makemigrations", "-v0", "customers", "things"),
        ("migrate_schemas", "--shared", "-v0"),
        ("shell", "--no-imports", "-c", MAKE),
    ):
        done = tenants.manage(*words)
        assert done.returncode == 0, done.stderr
    tenants.psql(
        "DROP TABLE tenant_b.things_thing; ALTER TABLE tenant_a.things_thing ADD extra int"
    )
    table = ("table", "things_thing", "missing")
    assert tenants.not_as_declared() == set()
    assert tenants.not_as_declared("--schema", "tenant_b") == {table}
    assert tenants.not_as_declared("--schema", "tenant_a") == {("column", "extra", "undeclared")}
    done = tenants.verify("--schemas", "tenant%")
    assert done.returncode == 1
    assert "default, 2 schemas like tenant%: 1 right, 1 not" in done.stdout
    done = tenants.verify("--schemas", "tenant%", "--repair", "--no-input", "--jobs", "2")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "tenant_b: repaired")
    assert tenants.not_as_declared("--schema", "tenant_b") == set()
