from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    """Revision 008: the risk gray, where a signal comes from."""

    atomic = False
    dependencies = (("signals", "0007_topics"),)
    operations = (
        operations.CreateEnumIfMissing(
            "goplus_risk_enum", ["red", "yellow", "green", "unknown", "gray"], keep_on_reverse=True
        ),
        operations.AddColumnIfMissing(
            "signal",
            "source_level",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "features_snapshot",
            models.JSONField(null=True, blank=True),
            keep_on_reverse=True,
        ),
    )
