"""Cases of AddExclusionIfMissing."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import IntegerRangeField, RangeOperators
from django.db import migrations
from django.db.models import Deferrable, Func, Q, Value

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition

SPAN = Func("amount", "amount", Value("[]"), function="int4range", output_field=IntegerRangeField())
APART = ExclusionConstraint(name="part_apart", expressions=[(SPAN, RangeOperators.OVERLAPS)])
APART_IF = ExclusionConstraint(
    name="part_apart",
    expressions=[(SPAN, RangeOperators.OVERLAPS)],
    index_type="SPGIST",
    condition=Q(amount__gt=0),
    deferrable=Deferrable.DEFERRED,
    include=["label"],
)
EXCLUDE = "ALTER TABLE part ADD CONSTRAINT part_apart EXCLUDE USING"
WANTED = "EXCLUDE USING gist (int4range(amount, amount, '[]'::text) WITH &&)"
DROP = 'ALTER TABLE "part" DROP CONSTRAINT "part_apart"; and run again'

CASES = (
    Case(
        name="exclusion",
        make=lambda: operations.AddExclusionIfMissing("part", APART, allow_blocking_build=True),
        full=lambda: operations.AddExclusionIfMissing("part", APART, allow_blocking_build=True),
        done=f"{EXCLUDE} gist (int4range(amount, amount, '[]') WITH &&)",
        describes="Add exclusion part_apart to part if missing",
        fragment="part_part_apart",
        django=lambda: migrations.AddConstraint("part", APART),
        namesakes="CREATE TABLE aside.part (span int4range, "
        "CONSTRAINT part_apart EXCLUDE USING gist (span WITH &&));"
        "CREATE TABLE other (label text CONSTRAINT part_apart CHECK (label > ''))",
        component="exclusion",
        other_definitions=(
            OtherDefinition(
                "another operator",
                f"{EXCLUDE} gist (int4range(amount, amount, '[]') WITH =)",
                "part_apart",
                "EXCLUDE USING gist (int4range(amount, amount, '[]'::text) WITH =)",
                WANTED,
                DROP,
            ),
            OtherDefinition(
                "a condition",
                f"{EXCLUDE} gist (int4range(amount, amount, '[]') WITH &&) WHERE (amount > 1)",
                "part_apart",
                f"{WANTED} WHERE ((amount > 1))",
                WANTED,
                DROP,
            ),
            OtherDefinition(
                "deferrable",
                f"{EXCLUDE} gist (int4range(amount, amount, '[]') WITH &&) DEFERRABLE",
                "part_apart",
                f"{WANTED} DEFERRABLE",
                WANTED,
                DROP,
            ),
            OtherDefinition(
                "a check",
                "ALTER TABLE part ADD CONSTRAINT part_apart CHECK (amount > 0)",
                "part_apart",
                "CHECK ((amount > 0))",
                WANTED,
                DROP,
            ),
            OtherDefinition(
                "an index without a constraint",
                "CREATE INDEX part_apart ON part (amount)",
                "part_apart",
                "CREATE INDEX part_apart ON bench.part USING btree (amount)",
                "an exclusion constraint",
                'DROP INDEX CONCURRENTLY "bench"."part_apart"; and run again',
            ),
            OtherDefinition(
                "of another table",
                "CREATE TABLE other (span int4range, "
                "CONSTRAINT part_apart EXCLUDE USING gist (span WITH &&))",
                "part_apart",
                "an index of table other",
                'an index of table "part"',
                'rename it: ALTER INDEX "bench"."part_apart" RENAME TO ...',
            ),
        ),
    ),
    Case(
        name="exclusion with all that it may have",
        make=lambda: operations.AddExclusionIfMissing("part", APART_IF, allow_blocking_build=True),
        full=lambda: operations.AddExclusionIfMissing("part", APART_IF, allow_blocking_build=True),
        done=f"{EXCLUDE} spgist (int4range(amount, amount, '[]') WITH &&) INCLUDE (label) "
        "WHERE (amount > 0) DEFERRABLE INITIALLY DEFERRED",
        describes="Add exclusion part_apart to part if missing",
        fragment="part_part_apart",
        django=lambda: migrations.AddConstraint("part", APART_IF),
        component="exclusion",
    ),
)
