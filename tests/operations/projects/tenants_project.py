"""A project of django-tenants, whose backend gives each cursor its path and whose router knows the tenant."""

from pathlib import Path

from tests.operations.projects.stock_project import write_files

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
# The folders of migrations become packages by them.
FILES |= {f"{app}/migrations/__init__.py": "" for app in ("customers", "things")}
NAMES = ("public", "tenant_a", "tenant_b")
MAKE = f"""
from customers.models import Client
for name in {NAMES}:
    Client.objects.create(schema_name=name)
"""


def write_tenants_project(folder: Path, settings: str = "") -> None:
    """Write the files of the project; settings: further lines of the settings."""
    write_files(folder, FILES | {"stock_settings.py": FILES["stock_settings.py"] + settings})
