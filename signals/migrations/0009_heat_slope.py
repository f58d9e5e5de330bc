from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    """Revision 009."""

    atomic = False
    dependencies = (("signals", "0008_signal_sources"),)
    operations = (
        operations.AddColumnIfMissing(
            "signal",
            "heat_slope",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
    )
