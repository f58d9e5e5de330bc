"""Cases of RemoveCheckIfPresent."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases.add_check import check
from tests.operations.scratch_schema import PART_TABLE, part_model

CASES = (
    Case(
        name="removed check",
        make=lambda: operations.RemoveCheckIfPresent("part", "part_amount_check"),
        full=lambda: operations.RemoveCheckIfPresent("part", "part_amount_check"),
        models=(part_model(constraints=[check(amount__gte=0)]),),
        start=f"{PART_TABLE} ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0);",
        done="ALTER TABLE part DROP CONSTRAINT part_amount_check",
        describes="Remove check part_amount_check from part if present",
        fragment="remove_part_part_amount_check",
        django=lambda: migrations.RemoveConstraint("part", "part_amount_check"),
        unfinished={},
        namesakes="CREATE TABLE other (amount int CONSTRAINT part_amount_check CHECK (amount > 5))",
        component="check",
        other_definitions=(
            OtherDefinition(
                "a unique constraint",
                "ALTER TABLE part DROP CONSTRAINT part_amount_check;"
                "ALTER TABLE part ADD CONSTRAINT part_amount_check UNIQUE (amount)",
                "part_amount_check",
                "UNIQUE (amount)",
                "no check of that name; what was declared is CHECK ((amount >= 0))",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
)
