"""What the job verify_signal writes: its verdicts, and its memory of the signals it looked at."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.lookups import Exact

from signals import operations
from signals.fields import now

STATES = [("candidate", "Candidate"), ("verified", "Verified"), ("downgraded", "Downgraded")]
DECISIONS = [
    ("upgrade", "Upgrade"),
    ("downgrade", "Downgrade"),
    ("hold", "Hold"),
    ("insufficient", "Insufficient"),
]
NOTES = [
    ("window_unsupported", "Window Unsupported"),
    ("feature_missing", "Feature Missing"),
    ("feature_out_of_range", "Feature Out Of Range"),
    ("feature_stale", "Feature Stale"),
    ("insufficient_evidence", "Insufficient Evidence"),
    ("evidence_delayed", "Evidence Delayed"),
    ("unresolvable_token", "Unresolvable Token"),
]
STATUSES = [("waiting", "Waiting"), ("settled", "Settled"), ("dead", "Dead")]
OUTCOMES = [("evaluated", "Evaluated"), ("skipped", "Skipped"), ("failed", "Failed")]


def json_type(field: str) -> models.Func:
    return models.Func(models.F(field), function="jsonb_typeof", output_field=models.TextField())


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0012_signal_state")]

    operations = [
        operations.CreateTableIfMissing(
            name="SignalEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "signal",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="verdicts",
                        to="signals.signal",
                    ),
                ),
                ("event_key", models.TextField(blank=True, db_default="")),
                (
                    "type",
                    models.TextField(
                        choices=[("onchain_verify", "Onchain Verify")], db_default="onchain_verify"
                    ),
                ),
                ("previous_state", models.TextField(choices=STATES)),
                ("new_state", models.TextField(choices=STATES)),
                ("decision", models.TextField(choices=DECISIONS)),
                ("confidence", models.DecimalField(decimal_places=3, max_digits=4)),
                ("note", models.TextField(blank=True, choices=NOTES, db_default="")),
                ("features", models.JSONField(db_default={})),
                ("rules_sha256", models.CharField(max_length=64)),
                ("run", models.UUIDField()),
                ("created_at", models.DateTimeField(db_default=now())),
                ("metadata", models.JSONField(db_default={})),
            ],
            altered_later=["confidence", "signal_events_decision_check"],
            keep_on_reverse=True,
            options={
                "db_table": "signal_events",
                "indexes": [
                    models.Index(fields=["signal", "type", "-id"], name="ix_signal_events_signal"),
                    models.Index(fields=["-created_at"], name="ix_signal_events_created_at"),
                    models.Index(fields=["run"], name="ix_signal_events_run"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            previous_state__in=("candidate", "verified", "downgraded")
                        )
                        & models.Q(new_state__in=("candidate", "verified", "downgraded")),
                        name="signal_events_state_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            decision__in=("upgrade", "downgrade", "hold", "insufficient")
                        ),
                        name="signal_events_decision_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(confidence__gte=0, confidence__lte=1),
                        name="signal_events_confidence_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            Exact(json_type("features"), "object"),
                            Exact(json_type("metadata"), "object"),
                        ),
                        name="signal_events_json_check",
                    ),
                ],
            },
        ),
        operations.CreateTableIfMissing(
            name="SignalVerification",
            fields=[
                (
                    "signal",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="verification",
                        serialize=False,
                        to="signals.signal",
                    ),
                ),
                ("status", models.TextField(choices=STATUSES)),
                ("next_check_at", models.DateTimeField(blank=True, null=True)),
                ("checks", models.IntegerField(db_default=0)),
                ("attempts", models.IntegerField(db_default=0)),
                ("outcome", models.TextField(choices=OUTCOMES)),
                ("decision", models.TextField(blank=True, choices=DECISIONS, db_default="")),
                ("note", models.TextField(blank=True, choices=NOTES, db_default="")),
                ("error", models.TextField(blank=True, db_default="")),
                ("updated_at", models.DateTimeField(db_default=now())),
            ],
            keep_on_reverse=True,
            options={
                "db_table": "signal_verifications",
                "indexes": [
                    models.Index(
                        condition=models.Q(status="waiting"),
                        fields=["next_check_at"],
                        name="ix_signal_verif_waiting",
                    ),
                    models.Index(fields=["status", "-updated_at"], name="ix_signal_verif_status"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(status="waiting", next_check_at__isnull=False)
                        | models.Q(status__in=("settled", "dead"), next_check_at__isnull=True),
                        name="signal_verif_status_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(outcome__in=("evaluated", "skipped", "failed")),
                        name="signal_verif_outcome_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(checks__gte=0, attempts__gte=0),
                        name="signal_verif_counts_check",
                    ),
                ],
            },
        ),
    ]
