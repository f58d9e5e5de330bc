"""Cases of AlterColumnTypeIfDifferent."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition

CASES = (
    Case(
        name="column type",
        make=lambda: operations.AlterColumnTypeIfDifferent(
            "part", "amount", models.BigIntegerField(null=True), allow_rewrite=True
        ),
        full=lambda: operations.AlterColumnTypeIfDifferent(
            "part",
            "amount",
            models.BigIntegerField(null=True),
            preserve_default=False,
            using="amount + 1",
            allow_rewrite=True,
            keep_on_reverse=True,
            altered_later=True,
        ),
        done="ALTER TABLE part ALTER COLUMN amount TYPE bigint",
        describes="Alter type of amount on part if different",
        fragment="alter_part_amount",
        django=lambda: migrations.AlterField("part", "amount", models.BigIntegerField(null=True)),
        namesakes="CREATE TABLE other (amount text); CREATE TABLE aside.part (amount text)",
        component="type",
        other_definitions=(
            OtherDefinition(
                "neither the former type nor the declared one",
                "ALTER TABLE part ALTER COLUMN amount TYPE text",
                "amount",
                "text",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "amount" TYPE bigint USING "amount"::bigint;',
            ),
            OtherDefinition(
                "the declared type, but not null",
                "ALTER TABLE part ALTER COLUMN amount TYPE bigint, ALTER COLUMN amount SET NOT NULL",
                "amount",
                "bigint NOT NULL",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "amount" DROP NOT NULL;',
            ),
        ),
    ),
)
