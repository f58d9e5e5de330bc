from django.db import migrations, models

from signals import operations
from signals.fields import EnumField, GoplusRisk


class Migration(migrations.Migration):
    """Revision 006: the risk as an enum, the taxes, the honeypot."""

    atomic = False
    dependencies = (("signals", "0005_goplus_cache"),)
    operations = (
        operations.CreateEnumIfMissing(
            "goplus_risk_enum", ["red", "yellow", "green", "unknown"], later_values=["gray"]
        ),
        # lint: accept L108,L207 it rewrites only a database that is older than this revision
        operations.AlterColumnTypeIfDifferent(
            "signal",
            "goplus_risk",
            EnumField(
                enum_name="goplus_risk_enum", choices=GoplusRisk.choices, null=True, blank=True
            ),
            allow_rewrite=True,
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "buy_tax",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "sell_tax",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "honeypot",
            models.BooleanField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(fields=["goplus_risk"], name="idx_signals_goplus_risk"),
            keep_on_reverse=True,
        ),
    )
