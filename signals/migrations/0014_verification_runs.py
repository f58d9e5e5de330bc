"""What lets many workers share the job verify_signal: leases, runs, cursors, and the rules they used."""

import django.db.models.deletion
from django.contrib.postgres.indexes import HashIndex
from django.db import migrations, models
from django.db.models.functions import Lower

from signals import operations
from signals.fields import now

RUN_OUTCOMES = [
    ("running", "Running"),
    ("finished", "Finished"),
    ("interrupted", "Interrupted"),
    ("stopped", "Stopped"),
    ("failed", "Failed"),
]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0013_signal_events")]

    operations = [
        operations.CreateTableIfMissing(
            name="VerificationRules",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("sha256", models.CharField(max_length=64)),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField(db_default=now())),
            ],
            options={
                "db_table": "verification_rules",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("sha256",), name="verification_rules_sha256_key"
                    )
                ],
            },
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="VerificationRun",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("heartbeat_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.TextField(choices=RUN_OUTCOMES, db_default="running")),
                ("host", models.TextField()),
                ("pid", models.IntegerField()),
                ("mode", models.TextField()),
                ("rules_sha256", models.CharField(max_length=64)),
                ("counts", models.JSONField(db_default={})),
                ("error", models.TextField(blank=True, db_default="")),
            ],
            options={
                "db_table": "verification_runs",
                "indexes": [
                    models.Index(fields=["-heartbeat_at"], name="ix_verification_runs_heartbeat")
                ],
            },
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="VerificationCursor",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField()),
            ],
            options={"db_table": "verification_cursors"},
            keep_on_reverse=True,
        ),
        operations.AddColumnIfMissing(
            "signalverification", "run", models.UUIDField(blank=True, null=True)
        ),
        operations.AddColumnIfMissing(
            "signalverification", "leased_until", models.DateTimeField(blank=True, null=True)
        ),
        operations.AddColumnIfMissing(
            "signalverification", "chain", models.TextField(blank=True, db_default="")
        ),
        operations.AddColumnIfMissing(
            "signalverification", "address", models.TextField(blank=True, db_default="")
        ),
        operations.AddColumnIfMissing(
            "signalverification", "as_of", models.DateTimeField(blank=True, null=True)
        ),
        operations.AddColumnIfMissing(
            "signalverification",
            "rules",
            models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="signals.verificationrules",
            ),
        ),
        operations.AddColumnIfMissing(
            "signalverification", "withheld", models.BooleanField(db_default=False)
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            models.Index(
                condition=models.Q(status="waiting", checks__gt=0),
                fields=["rules", "updated_at"],
                name="ix_signal_verif_rules",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            models.Index(
                condition=models.Q(status="waiting", withheld=True),
                fields=["updated_at"],
                name="ix_signal_verif_withheld",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "signalverification",
            HashIndex(
                condition=models.Q(status="waiting", address__gt=""),
                fields=["address"],
                name="ix_signal_verif_address",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "onchainfeature",
            models.Index(
                models.F("chain"),
                models.Case(
                    models.When(address__regex="^0[xX][0-9a-fA-F]{40}$", then=Lower("address")),
                    default=models.F("address"),
                ),
                models.F("window_minutes"),
                models.F("as_of_ts").desc(),
                models.F("id").desc(),
                name="ix_onf_token",
            ),
        ),
        operations.CreateIndexConcurrentlyIfMissing(
            "onchainfeature",
            models.Index(
                fields=["chain", "window_minutes", "as_of_ts"],
                include=("addr_active",),
                name="ix_onf_population",
            ),
        ),
    ]
