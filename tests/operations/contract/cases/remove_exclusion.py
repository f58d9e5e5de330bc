"""Cases of RemoveExclusionIfPresent."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases.add_exclusion import APART, EXCLUDE, WANTED
from tests.operations.scratch_schema import PART_TABLE, part_model

CASES = (
    Case(
        name="removed exclusion",
        make=lambda: operations.RemoveExclusionIfPresent(
            "part", "part_apart", allow_blocking_build=True
        ),
        full=lambda: operations.RemoveExclusionIfPresent(
            "part", "part_apart", allow_blocking_build=True
        ),
        models=(part_model(constraints=[APART]),),
        start=f"{PART_TABLE} {EXCLUDE} gist (int4range(amount, amount, '[]') WITH &&);",
        done="ALTER TABLE part DROP CONSTRAINT part_apart",
        describes="Remove exclusion part_apart from part if present",
        fragment="remove_part_part_apart",
        django=lambda: migrations.RemoveConstraint("part", "part_apart"),
        namesakes="CREATE TABLE aside.part (span int4range, "
        "CONSTRAINT part_apart EXCLUDE USING gist (span WITH &&))",
        component="exclusion",
        other_definitions=(
            OtherDefinition(
                "a check",
                "ALTER TABLE part DROP CONSTRAINT part_apart;"
                "ALTER TABLE part ADD CONSTRAINT part_apart CHECK (amount > 0)",
                "part_apart",
                "CHECK ((amount > 0))",
                f"no exclusion of that name; what was declared is {WANTED}",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
)
