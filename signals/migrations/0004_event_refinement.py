from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from signals import operations
from signals.fields import now


class Migration(migrations.Migration):
    """Revision 004: what the refiner made of an event."""

    atomic = False
    dependencies = (("signals", "0003_event_candidates"),)
    operations = (
        operations.AddColumnIfMissing(
            "event",
            "refined_type",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refined_summary",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refined_impacted_assets",
            ArrayField(models.TextField(), null=True, blank=True, db_default=[]),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refined_reasons",
            ArrayField(models.TextField(), null=True, blank=True, db_default=[]),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refined_confidence",
            models.FloatField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refine_backend",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refine_latency_ms",
            models.IntegerField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refine_ok",
            models.BooleanField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refine_error",
            models.TextField(null=True, blank=True),
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "event",
            "refine_ts",
            models.DateTimeField(
                null=True,
                blank=True,
                db_default=now(),
            ),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(fields=["refine_ok"], name="idx_events_refine_ok"),
            keep_on_reverse=True,
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(fields=["refine_ts"], name="idx_events_refine_ts"),
            keep_on_reverse=True,
        ),
    )
