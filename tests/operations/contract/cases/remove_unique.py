"""Cases of RemoveUniqueIfPresent."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases.add_unique import LABEL_KEY
from tests.operations.scratch_schema import PART_TABLE, part_model

CASES = (
    Case(
        name="removed unique constraint",
        make=lambda: operations.RemoveUniqueIfPresent("part", "part_label_key"),
        full=lambda: operations.RemoveUniqueIfPresent("part", "part_label_key"),
        models=(part_model(constraints=[LABEL_KEY]),),
        start=f"{PART_TABLE} ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label);",
        done="ALTER TABLE part DROP CONSTRAINT part_label_key",
        describes="Remove unique part_label_key from part if present",
        fragment="remove_part_part_label_key",
        django=lambda: migrations.RemoveConstraint("part", "part_label_key"),
        unfinished={
            "index that is no constraint": "ALTER TABLE part DROP CONSTRAINT part_label_key;"
            "CREATE UNIQUE INDEX part_label_key ON part (label)",
        },
        namesakes="CREATE TABLE aside.part (label text CONSTRAINT part_label_key UNIQUE)",
        component="unique",
        other_definitions=(
            OtherDefinition(
                "a check",
                "ALTER TABLE part DROP CONSTRAINT part_label_key;"
                "ALTER TABLE part ADD CONSTRAINT part_label_key CHECK (label > '')",
                "part_label_key",
                "CHECK ((label > ''::text))",
                "no unique of that name; what was declared is UNIQUE (label)",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
)
