"""How near the last verdict of the job verify_signal was to another one."""

from django.db import migrations

from signals import operations
from signals.fields import NumericField


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0015_admin_search")]

    operations = [
        operations.AddColumnIfMissing(
            "signalverification", "margin", NumericField(blank=True, null=True)
        ),
    ]
