"""manage.py migrate in a project of django-tenants: the same as migrate_schemas."""

from ....tenants import schemas_command

Command = schemas_command("migrate")
