"""manage.py migrate_schemas in a project of django-tenants: that of django-tenants, with the phases."""

from ....tenants import schemas_command

Command = schemas_command("migrate_schemas")
