"""Cases of CreateEnumIfMissing."""

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition

CASES = (
    Case(
        name="enum",
        make=lambda: operations.CreateEnumIfMissing("grade", ["low", "mid", "high"]),
        full=lambda: operations.CreateEnumIfMissing(
            "grade", ["low", "mid"], later_values=["high"], keep_on_reverse=True
        ),
        done="CREATE TYPE grade AS ENUM ('low', 'mid', 'high')",
        describes="Create enum grade if missing",
        fragment="enum_grade",
        django=None,
        unfinished={
            "last value missing": "CREATE TYPE grade AS ENUM ('low', 'mid')",
            "value between missing": "CREATE TYPE grade AS ENUM ('low', 'high')",
            "first value missing": "CREATE TYPE grade AS ENUM ('mid', 'high')",
            "only the last value": "CREATE TYPE grade AS ENUM ('high')",
            "no value": "CREATE TYPE grade AS ENUM ()",
        },
        namesakes="CREATE TYPE aside.grade AS ENUM ('a')",
        component="enum",
        other_definitions=(
            OtherDefinition(
                "a value that is not declared",
                "CREATE TYPE grade AS ENUM ('low', 'mid', 'high', 'top')",
                "grade",
                "low, mid, high, top",
                "low, mid, high",
                "rename the values (ALTER TYPE ... RENAME VALUE), or declare them in the operation",
                table="",
            ),
            OtherDefinition(
                "another order",
                "CREATE TYPE grade AS ENUM ('high', 'low', 'mid')",
                "grade",
                "high, low, mid",
                "low, mid, high",
                "rename the values (ALTER TYPE ... RENAME VALUE), or declare them in the operation",
                table="",
            ),
        ),
    ),
)
