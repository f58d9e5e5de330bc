"""Indexes for the filters and the orders of the admin's lists, and the views that a person saves."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Greatest, Left

from signals import operations
from signals.fields import now


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("signals", "0016_verification_margin"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            "verificationrules", {"verbose_name_plural": "verification rules"}
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(
                Left("type", 200),
                Greatest("last_ts", "last_ts"),
                condition=models.Q(type__isnull=False),
                name="ix_events_type_last_ts",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "event",
            models.Index(
                models.F("refine_ok"),
                Greatest("last_ts", "last_ts"),
                condition=models.Q(refine_ok__isnull=False),
                name="ix_events_refined_last_ts",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(
                condition=models.Q(goplus_risk__isnull=False),
                fields=["goplus_risk", "created_at"],
                name="ix_signals_risk_arrival",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(
                Left("market_type", 200),
                models.F("created_at"),
                condition=models.Q(market_type__isnull=False),
                name="ix_signals_market_arrival",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(
                Left("source_level", 200),
                models.F("created_at"),
                condition=models.Q(source_level__isnull=False),
                name="ix_signals_source_arrival",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signal",
            models.Index(
                condition=models.Q(onchain_confidence__isnull=False),
                fields=["onchain_confidence", "id"],
                name="ix_signals_confidence",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalevent",
            models.Index(
                models.F("decision"),
                models.F("note"),
                Greatest("created_at", "created_at"),
                name="ix_signal_events_decision",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalevent",
            models.Index(
                models.F("new_state"),
                Greatest("created_at", "created_at"),
                condition=models.Q(new_state__in=("verified", "downgraded")),
                name="ix_signal_events_moved",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalevent",
            models.Index(
                models.F("type"),
                Greatest("created_at", "created_at"),
                condition=~models.Q(type="onchain_verify"),
                name="ix_signal_events_by_people",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            models.Index(
                condition=models.Q(decision__gt=""),
                fields=["decision", "note", "updated_at"],
                name="ix_signal_verif_decision",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            models.Index(
                condition=models.Q(status__in=("settled", "dead")),
                fields=["rules", "updated_at"],
                name="ix_signal_verif_rules_ended",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            models.Index(
                condition=models.Q(margin__isnull=False),
                fields=["margin", "signal"],
                name="ix_signal_verif_margin",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            models.Index(
                condition=models.Q(as_of__isnull=False),
                fields=["as_of", "signal"],
                name="ix_signal_verif_as_of",
            ),
        ),
        operations.CreateTableIfMissing(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("list", models.TextField()),
                ("name", models.TextField()),
                ("query", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(db_default=now())),
            ],
            options={
                "db_table": "signals_saved_views",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("person", "list", "name"), name="signals_saved_views_name_key"
                    )
                ],
            },
            keep_on_reverse=True,
        ),
    ]
