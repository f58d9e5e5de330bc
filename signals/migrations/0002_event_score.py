from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    """Revision 002."""

    atomic = False
    dependencies = (("signals", "0001_events_and_signals"),)
    operations = (
        operations.AddColumnIfMissing(
            "event",
            "score",
            models.FloatField(db_default=0.0),
            keep_on_reverse=True,
        ),
    )
