from django.db import migrations, models

from signals import operations
from signals.fields import NumericField, now


class Migration(migrations.Migration):
    """Revision 010: what was measured of a token on its chain."""

    atomic = False
    dependencies = (("signals", "0009_heat_slope"),)
    operations = (
        operations.CreateTableIfMissing(
            "OnchainFeature",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("chain", models.TextField()),
                ("address", models.TextField()),
                ("as_of_ts", models.DateTimeField()),
                ("window_minutes", models.IntegerField()),
                ("addr_active", models.IntegerField(null=True, blank=True)),
                ("tx_count", models.IntegerField(null=True, blank=True)),
                ("growth_ratio", NumericField(null=True, blank=True)),
                ("top10_share", NumericField(null=True, blank=True)),
                ("self_loop_ratio", NumericField(null=True, blank=True)),
                ("calc_version", models.IntegerField(db_default=1)),
                (
                    "created_at",
                    models.DateTimeField(db_default=now()),
                ),
            ],
            options={
                "db_table": "onchain_features",
                "indexes": [
                    models.Index(
                        fields=["chain", "address", "window_minutes", "as_of_ts"],
                        name="idx_onf_lookup",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["chain", "address", "as_of_ts", "window_minutes"],
                        name="onchain_features_chain_address_as_of_ts_window_minutes_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(window_minutes__in=(30, 60, 180)),
                        name="check_window_minutes",
                    ),
                ],
            },
        ),
        operations.AddColumnIfMissing(
            "signal",
            "onchain_asof_ts",
            models.DateTimeField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "onchain_confidence",
            models.IntegerField(null=True, blank=True),
            keep_on_reverse=True,
            altered_later=True,
        ),
    )
