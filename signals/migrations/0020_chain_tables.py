"""What pull_features reads from chains, and the blocks that a measurement rests on."""

import django.db.models.deletion
from django.db import migrations, models

from signals import operations
from signals.fields import NumericField, now


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("signals", "0019_verification_ranges")]

    operations = [
        operations.AddColumnIfMissing(
            "onchainfeature", "from_block", models.BigIntegerField(blank=True, null=True)
        ),
        operations.AddColumnIfMissing(
            "onchainfeature", "to_block", models.BigIntegerField(blank=True, null=True)
        ),
        operations.AddColumnIfMissing(
            "onchainfeature", "block_hash", models.TextField(blank=True, null=True)
        ),
        operations.CreateTableIfMissing(
            name="ChainState",
            fields=[
                ("chain", models.TextField(primary_key=True, serialize=False)),
                ("chain_id", models.BigIntegerField(blank=True, null=True)),
                ("head", models.BigIntegerField(blank=True, null=True)),
                ("head_at", models.DateTimeField(blank=True, null=True)),
                ("confirmed", models.BigIntegerField(blank=True, null=True)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("heartbeat_at", models.DateTimeField(db_default=now())),
                ("passed_at", models.DateTimeField(blank=True, null=True)),
                ("logs", models.BigIntegerField(db_default=0)),
                ("requests", models.BigIntegerField(db_default=0)),
                ("retries", models.BigIntegerField(db_default=0)),
                ("reorgs", models.BigIntegerField(db_default=0)),
                ("error", models.TextField(blank=True, db_default="")),
            ],
            options={"db_table": "chain_states"},
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="ChainCursor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("chain", models.TextField()),
                ("address", models.TextField()),
                ("first_block", models.BigIntegerField()),
                ("block", models.BigIntegerField()),
                ("hash", models.TextField(blank=True, db_default="")),
                ("block_at", models.DateTimeField(blank=True, null=True)),
                ("kept_from", models.BigIntegerField(db_default=0)),
                ("transfers", models.BigIntegerField(db_default=0)),
                ("reorgs", models.IntegerField(db_default=0)),
                ("run", models.UUIDField(blank=True, null=True)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("wanted_at", models.DateTimeField(db_default=now())),
                ("pulled_at", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.IntegerField(db_default=0)),
                ("retry_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True, db_default="")),
                ("created_at", models.DateTimeField(db_default=now())),
            ],
            options={
                "db_table": "chain_cursors",
                "indexes": [
                    models.Index(fields=["chain", "pulled_at"], name="ix_chain_cursors_pulled")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["chain", "address"], name="chain_cursors_token_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(first_block__gte=0, block__gte=-1, kept_from__gte=0),
                        name="chain_cursors_blocks_check",
                    ),
                ],
            },
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="ChainTransfer",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "token",
                        "block",
                        "log_index",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="signals.chaincursor",
                    ),
                ),
                ("block", models.BigIntegerField()),
                ("log_index", models.IntegerField()),
                ("tx_index", models.IntegerField()),
                ("sender", models.BinaryField(max_length=20)),
                ("receiver", models.BinaryField(max_length=20)),
                ("value", models.DecimalField(decimal_places=0, max_digits=78)),
            ],
            options={
                "db_table": "chain_transfers",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(value__gte=0), name="chain_transfers_value_check"
                    )
                ],
            },
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="ChainBalance",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "token",
                        "holder",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="signals.chaincursor",
                    ),
                ),
                ("holder", models.BinaryField(max_length=20)),
                ("net", NumericField()),
            ],
            options={"db_table": "chain_balances"},
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="ChainBlock",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "token",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="signals.chaincursor",
                    ),
                ),
                ("number", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
            options={"db_table": "chain_blocks"},
            keep_on_reverse=True,
        ),
        operations.CreateTableIfMissing(
            name="ChainAccount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "chain",
                        "address",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("chain", models.TextField()),
                ("address", models.BinaryField(max_length=20)),
                ("is_contract", models.BooleanField()),
                ("checked_at", models.DateTimeField(db_default=now())),
            ],
            options={"db_table": "chain_accounts"},
            keep_on_reverse=True,
        ),
    ]
