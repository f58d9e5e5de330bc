"""Cases of RemoveColumnIfPresent."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.scratch_schema import PART_TABLE

CASES = (
    Case(
        name="removed column",
        make=lambda: operations.RemoveColumnIfPresent("part", "amount"),
        full=lambda: operations.RemoveColumnIfPresent("part", "amount"),
        start=f"{PART_TABLE} ALTER TABLE part DROP COLUMN amount; "
        "ALTER TABLE part ADD COLUMN amount integer;",
        done="ALTER TABLE part DROP COLUMN amount",
        describes="Remove column amount from part if present",
        fragment="remove_part_amount",
        django=lambda: migrations.RemoveField("part", "amount"),
        namesakes="CREATE TABLE other (amount integer); CREATE TABLE aside.part (amount integer)",
        component="column",
        other_definitions=(
            OtherDefinition(
                "of another type",
                "ALTER TABLE part ALTER COLUMN amount TYPE text",
                "amount",
                "text",
                "no column of that name; what was declared is integer",
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
)
