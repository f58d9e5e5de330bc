from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from signals import operations
from signals.fields import now


class Migration(migrations.Migration):
    """Revision 001: what happened, and what looks tradable."""

    atomic = False
    dependencies = ()
    operations = (
        operations.CreateTableIfMissing(
            "Event",
            [
                ("event_key", models.TextField(primary_key=True, serialize=False)),
                ("type", models.TextField(null=True, blank=True)),
                ("summary", models.TextField(null=True, blank=True)),
                ("evidence", models.JSONField(null=True, blank=True, db_default=[])),
                ("impacted_assets", ArrayField(models.TextField(), null=True, blank=True)),
                ("start_ts", models.DateTimeField()),
                ("last_ts", models.DateTimeField()),
                ("heat_10m", models.IntegerField(null=True, blank=True, db_default=0)),
                ("heat_30m", models.IntegerField(null=True, blank=True, db_default=0)),
            ],
            options={"db_table": "events"},
        ),
        operations.CreateTableIfMissing(
            "Signal",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        "signals.event",
                        models.CASCADE,
                        null=True,
                        blank=True,
                        db_column="event_key",
                        db_index=False,
                        related_name="signals",
                    ),
                ),
                ("market_type", models.TextField(null=True, blank=True)),
                ("advice_tag", models.TextField(null=True, blank=True)),
                ("confidence", models.IntegerField(null=True, blank=True)),
                ("goplus_risk", models.TextField(null=True, blank=True)),
                ("goplus_tax", models.FloatField(null=True, blank=True)),
                ("lp_lock_days", models.IntegerField(null=True, blank=True)),
                ("dex_liquidity", models.FloatField(null=True, blank=True)),
                ("dex_volume_1h", models.FloatField(null=True, blank=True)),
                (
                    "ts",
                    models.DateTimeField(
                        null=True,
                        blank=True,
                        db_default=now(),
                    ),
                ),
            ],
            options={"db_table": "signals"},
            altered_later=["goplus_risk"],
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(fields=["event", "-ts"], name="ix_signals_event_key_ts"),
            keep_on_reverse=True,
        ),
    )
