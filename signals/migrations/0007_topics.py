from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    """Revision 007: topics of events and signals."""

    atomic = False
    dependencies = (("signals", "0006_goplus_risk"),)
    operations = (
        operations.AddColumnIfMissing(
            "event",
            "topic_entities",
            ArrayField(models.CharField(), null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(fields=["topic_hash"], name="idx_events_topic_hash"),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(fields=["topic_hash", "last_ts"], name="idx_events_topic_last_ts"),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_id",
            models.CharField(max_length=20, null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_entities",
            ArrayField(models.CharField(), null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_keywords",
            ArrayField(models.CharField(), null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_slope_10m",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_slope_30m",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_mention_count",
            models.IntegerField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_confidence",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_merge_mode",
            models.CharField(max_length=20, null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_sources",
            ArrayField(models.CharField(), null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signal",
            "topic_evidence_links",
            ArrayField(models.CharField(), null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(fields=["topic_id"], name="idx_signals_topic_id"),
            keep_on_reverse=True,
        ),
    )
