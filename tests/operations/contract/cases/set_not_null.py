"""Cases of SetNotNullIfNullable."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition

NOT_NULL_PROOF = "part_label_2fec4f12_notnull"

CASES = (
    Case(
        name="not null",
        make=lambda: operations.SetNotNullIfNullable("part", "label", models.TextField()),
        full=lambda: operations.SetNotNullIfNullable(
            "part",
            "label",
            models.TextField(),
            preserve_default=False,
            keep_on_reverse=True,
            altered_later=True,
        ),
        done="ALTER TABLE part ALTER COLUMN label SET NOT NULL",
        describes="Make label of part not null if nullable",
        fragment="alter_part_label",
        django=lambda: migrations.AlterField("part", "label", models.TextField()),
        unfinished={
            "proof not valid": f"ALTER TABLE part ADD CONSTRAINT {NOT_NULL_PROOF} "
            "CHECK (label IS NOT NULL) NOT VALID",
            "proof valid": f"ALTER TABLE part ADD CONSTRAINT {NOT_NULL_PROOF} "
            "CHECK (label IS NOT NULL)",
            "proof not dropped": f"ALTER TABLE part ADD CONSTRAINT {NOT_NULL_PROOF} "
            "CHECK (label IS NOT NULL), ALTER COLUMN label SET NOT NULL",
        },
        namesakes="CREATE TABLE aside.part (label text NOT NULL)",
        component="not null",
        other_definitions=(
            OtherDefinition(
                "another type",
                "ALTER TABLE part ALTER COLUMN label TYPE varchar(9)",
                "label",
                "character varying(9) NOT NULL",
                "text NOT NULL",
                'ALTER TABLE "part" ALTER COLUMN "label" TYPE text USING "label"::text;',
            ),
        ),
    ),
)
