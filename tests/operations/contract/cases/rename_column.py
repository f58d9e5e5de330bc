"""Cases of RenameColumnIfNeeded."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.scratch_schema import PART_TABLE, part_model

CASES = (
    Case(
        name="renamed column",
        make=lambda: operations.RenameColumnIfNeeded("part", "tint", "shade"),
        full=lambda: operations.RenameColumnIfNeeded("part", "tint", "shade"),
        models=(part_model(("tint", models.TextField(null=True))),),
        start=PART_TABLE + "ALTER TABLE part ADD COLUMN tint text",
        done="ALTER TABLE part RENAME tint TO shade",
        describes="Rename column tint of part to shade if needed",
        fragment="rename_tint_part_shade",
        django=lambda: migrations.RenameField("part", "tint", "shade"),
        namesakes="CREATE TABLE aside.part (shade text)",
        component="column",
        other_definitions=(
            OtherDefinition(
                "beside the old one",
                "ALTER TABLE part ADD shade text",
                "shade",
                "a column beside tint",
                "the only one of the two, tint having been renamed",
                "drop the one of the two that holds nothing, or move its values, and run again",
            ),
            OtherDefinition(
                "of another type",
                "ALTER TABLE part RENAME tint TO shade; ALTER TABLE part ALTER shade TYPE varchar(9)",
                "shade",
                "character varying(9)",
                "text",
                "rename or drop the column shade that is not the renamed tint, and run again",
            ),
        ),
    ),
)
