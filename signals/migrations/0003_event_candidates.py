from django.db import migrations, models

from signals import operations


class Migration(migrations.Migration):
    """Revision 003: the token and its bucket."""

    atomic = False
    dependencies = (("signals", "0002_event_score"),)
    operations = (
        operations.AddColumnIfMissing(
            "event",
            "symbol",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "token_ca",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "topic_hash",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "time_bucket_start",
            models.DateTimeField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "evidence_count",
            models.IntegerField(db_default=0),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "candidate_score",
            models.FloatField(db_default=0.0),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "keywords_norm",
            models.JSONField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "version",
            models.TextField(db_default="v1"),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "last_sentiment",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "last_sentiment_score",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(fields=["-last_ts"], name="idx_events_last_ts"),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(fields=["symbol", "time_bucket_start"], name="idx_events_symbol_bucket"),
            keep_on_reverse=True,
        ),
    )
