"""Cases of AddCheckIfMissing."""

from typing import Any

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition


def check(**lookup: Any) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(**lookup), name="part_amount_check")


CASES = (
    Case(
        name="check",
        make=lambda: operations.AddCheckIfMissing("part", check(amount__gte=0)),
        full=lambda: operations.AddCheckIfMissing(
            "part", check(amount__gte=0), on_different="replace"
        ),
        replacing=lambda: operations.AddCheckIfMissing(
            "part", check(amount__gte=0), on_different="replace"
        ),
        done="ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0)",
        describes="Add check part_amount_check to part if missing",
        fragment="part_part_amount_check",
        django=lambda: migrations.AddConstraint("part", check(amount__gte=0)),
        unfinished={
            "not valid": "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0) NOT VALID"
        },
        namesakes="CREATE TABLE other (amount text CONSTRAINT part_amount_check CHECK (amount > 'x'));"
        "CREATE TABLE aside.part (amount int CONSTRAINT part_amount_check CHECK (amount > 5))",
        component="check",
        other_definitions=(
            OtherDefinition(
                "another expression",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount > 0)",
                "part_amount_check",
                "CHECK ((amount > 0))",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "another expression, not valid",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount > 0) NOT VALID",
                "part_amount_check",
                "CHECK ((amount > 0)) NOT VALID",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "a unique constraint",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check UNIQUE (amount)",
                "part_amount_check",
                "UNIQUE (amount)",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
            ),
            OtherDefinition(
                "not inherited",
                "ALTER TABLE part ADD CONSTRAINT part_amount_check CHECK (amount >= 0) NO INHERIT",
                "part_amount_check",
                "CHECK ((amount >= 0)) NO INHERIT",
                "CHECK ((amount >= 0))",
                'ALTER TABLE "part" DROP CONSTRAINT "part_amount_check"; and run again',
                replaceable=True,
            ),
        ),
    ),
)
