"""What people do to signals: actions on many of them, and their rows among the verdicts."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from signals import operations
from signals.fields import now

STATES = [("candidate", "Candidate"), ("verified", "Verified"), ("downgraded", "Downgraded")]
DECISIONS = [
    ("upgrade", "Upgrade"),
    ("downgrade", "Downgrade"),
    ("hold", "Hold"),
    ("insufficient", "Insufficient"),
]
TYPES = [
    ("onchain_verify", "Onchain Verify"),
    ("override", "Override"),
    ("recheck", "Recheck"),
    ("revive", "Revive"),
]
STATUSES = [
    ("chosen", "Chosen"),
    ("confirmed", "Confirmed"),
    ("finished", "Finished"),
    ("dropped", "Dropped"),
]


def refuse_rows_of_people(apps: Any, schema_editor: Any) -> None:
    """Raise Refused if people have rows, which the former check of decisions does not allow."""
    rows = apps.get_model("signals", "SignalEvent").objects.using(schema_editor.connection.alias)
    if rows.exclude(person="").exists():
        raise operations.Refused(
            "Remove check signal_events_decision_check from signalevent if present, backwards",
            '"signal_events"',
            'table "signal_events" has rows of people, which the check does not allow',
            "remove them first, or leave it and record the step with migrate --fake",
        )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0017_admin_lists")]

    operations = [
        migrations.AlterModelOptions(
            name="signal",
            options={
                "permissions": (
                    ("reverify_signal", "Can have signals verified again"),
                    ("override_state", "Can override the state of signals"),
                    ("export_signals", "Can export signals"),
                )
            },
        ),
        operations.AddColumnIfMissing(
            "signalevent", "person", models.TextField(blank=True, db_default="")
        ),
        operations.AddColumnIfMissing(
            "signalevent", "reason", models.TextField(blank=True, db_default="")
        ),
        # Choices and forms alone, of which the database has nothing.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "signalevent",
                    "type",
                    models.TextField(choices=TYPES, db_default="onchain_verify"),
                ),
                migrations.AlterField(
                    "signalevent", "decision", models.TextField(blank=True, choices=DECISIONS)
                ),
                migrations.AlterField(
                    "signalevent", "rules_sha256", models.CharField(blank=True, max_length=64)
                ),
            ]
        ),
        operations.AlterColumnTypeIfDifferent(
            "signalevent",
            "confidence",
            models.DecimalField(blank=True, decimal_places=3, max_digits=4, null=True),
        ),
        operations.AddCheckIfMissing(
            "signalevent",
            models.CheckConstraint(
                condition=models.Q(
                    decision__in=("upgrade", "downgrade", "hold", "insufficient"),
                    confidence__isnull=False,
                )
                | models.Q(
                    models.Q(type__in=("override", "recheck", "revive")),
                    ~models.Q(person=""),
                    decision="",
                    confidence__isnull=True,
                ),
                name="signal_events_maker_check",
            ),
        ),
        operations.CreateTableIfMissing(
            name="SignalAction",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("kind", models.TextField(choices=TYPES)),
                ("status", models.TextField(choices=STATUSES, db_default="chosen")),
                ("person_key", models.TextField()),
                ("person", models.TextField()),
                ("selection", models.TextField(blank=True, db_default="")),
                ("state", models.TextField(blank=True, choices=STATES, db_default="")),
                ("reason", models.TextField(blank=True, db_default="")),
                ("states", models.JSONField(db_default={})),
                ("number", models.IntegerField(db_default=0)),
                ("done", models.IntegerField(db_default=0)),
                ("missed", models.IntegerField(db_default=0)),
                ("position", models.BigIntegerField(blank=True, null=True)),
                ("checked", models.JSONField(db_default={})),
                ("created_at", models.DateTimeField(db_default=now())),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "signal_actions",
                "indexes": [
                    models.Index(
                        fields=["person_key", "-created_at"], name="ix_signal_actions_person"
                    ),
                    models.Index(fields=["created_at"], name="ix_signal_actions_created_at"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(kind__in=("override", "recheck", "revive")),
                        name="signal_actions_kind_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            status__in=("chosen", "confirmed", "finished", "dropped")
                        ),
                        name="signal_actions_status_check",
                    ),
                ],
            },
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="SignalActionRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "action",
                        "signal",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "action",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rows",
                        to="signals.signalaction",
                    ),
                ),
                (
                    "signal",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="signals.signal",
                    ),
                ),
                ("state", models.TextField(choices=STATES)),
            ],
            options={"db_table": "signal_action_rows"},
            keep_on_reverse=True,
        ),
        operations.RemoveCheckIfPresent("signalevent", "signal_events_decision_check"),
        migrations.RunPython(
            migrations.RunPython.noop, refuse_rows_of_people
        ),  # backwards, the first
    ]
