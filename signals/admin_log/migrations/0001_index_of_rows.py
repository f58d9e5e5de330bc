"""An index of Django's log of the admin, for the history of one row."""

from typing import Any

from django.db import migrations, models

from signals import operations


class CreateIndexOfAdminLog(operations.CreateIndexConcurrentlyIfMissing):
    """Build an index on django_admin_log, whose model is Django's and does not declare it."""

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the state of the admin's model as it is."""

    def locate(self, app_label: str, connection: Any, with_operation: Any, without: Any) -> Any:
        return super().locate("admin", connection, with_operation, without)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("admin", "0003_logentry_add_action_flag_choices")]

    operations = [
        CreateIndexOfAdminLog(
            "logentry",
            models.Index(fields=("content_type", "object_id", "-id"), name="ix_admin_log_row"),
        ),
    ]
