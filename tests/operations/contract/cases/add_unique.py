"""Cases of AddUniqueIfMissing."""

from django.db import migrations, models
from django.db.models.functions import Upper

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.failed_builds import cancelled_build, violated_build

LABEL_KEY = models.UniqueConstraint(fields=["label"], name="part_label_key")

CASES = (
    Case(
        name="unique constraint",
        make=lambda: operations.AddUniqueIfMissing("part", LABEL_KEY),
        full=lambda: operations.AddUniqueIfMissing("part", LABEL_KEY, on_different="replace"),
        replacing=lambda: operations.AddUniqueIfMissing("part", LABEL_KEY, on_different="replace"),
        done="ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label)",
        describes="Make part_label_key of part unique if missing",
        fragment="part_part_label_key",
        django=lambda: migrations.AddConstraint("part", LABEL_KEY),
        unfinished={
            "build that failed on duplicates": violated_build(
                "CREATE UNIQUE INDEX CONCURRENTLY part_label_key ON part (label)"
            ),
            "cancelled build": cancelled_build(
                "CREATE UNIQUE INDEX CONCURRENTLY part_label_key ON part (label)"
            ),
            "index that is no constraint yet": "CREATE UNIQUE INDEX part_label_key ON part (label)",
        },
        namesakes="CREATE TABLE aside.part (label text CONSTRAINT part_label_key UNIQUE);"
        "CREATE TABLE other (label text CONSTRAINT part_label_key CHECK (label > ''))",
        component="unique",
        other_definitions=(
            OtherDefinition(
                "another column",
                "ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (amount)",
                "part_label_key",
                "UNIQUE (amount)",
                "UNIQUE (label)",
                'ALTER TABLE "part" DROP CONSTRAINT "part_label_key"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "deferrable",
                "ALTER TABLE part ADD CONSTRAINT part_label_key UNIQUE (label) DEFERRABLE",
                "part_label_key",
                "UNIQUE (label) DEFERRABLE",
                "UNIQUE (label)",
                'ALTER TABLE "part" DROP CONSTRAINT "part_label_key"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "an index that is not unique",
                "CREATE INDEX part_label_key ON part (label)",
                "part_label_key",
                "CREATE INDEX part_label_key ON bench.part USING btree (label)",
                "UNIQUE (label)",
                'DROP INDEX CONCURRENTLY "bench"."part_label_key"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "a check",
                "ALTER TABLE part ADD CONSTRAINT part_label_key CHECK (label > '')",
                "part_label_key",
                "CHECK ((label > ''::text))",
                "UNIQUE (label)",
                'ALTER TABLE "part" DROP CONSTRAINT "part_label_key"; and run again',
            ),
            OtherDefinition(
                "of another table",
                "CREATE TABLE other (label text CONSTRAINT part_label_key UNIQUE)",
                "part_label_key",
                "an index of table other",
                'an index of table "part"',
                'rename it: ALTER INDEX "bench"."part_label_key" RENAME TO ...',
            ),
        ),
    ),
    Case(
        name="unique index with a condition",
        make=lambda: operations.AddUniqueIfMissing(
            "part",
            models.UniqueConstraint(
                fields=["label"], condition=models.Q(amount__gt=0), name="part_label_key"
            ),
        ),
        full=lambda: operations.AddUniqueIfMissing(
            "part",
            models.UniqueConstraint(Upper("label"), name="part_label_key"),
            on_different="replace",
        ),
        replacing=lambda: operations.AddUniqueIfMissing(
            "part",
            models.UniqueConstraint(
                fields=["label"], condition=models.Q(amount__gt=0), name="part_label_key"
            ),
            on_different="replace",
        ),
        done="CREATE UNIQUE INDEX part_label_key ON part (label) WHERE amount > 0",
        describes="Make part_label_key of part unique if missing",
        fragment="part_part_label_key",
        django=lambda: migrations.AddConstraint(
            "part",
            models.UniqueConstraint(
                fields=["label"], condition=models.Q(amount__gt=0), name="part_label_key"
            ),
        ),
        unfinished={
            "build that failed on duplicates": violated_build(
                "CREATE UNIQUE INDEX CONCURRENTLY part_label_key ON part (label) WHERE amount > 0"
            )
        },
        component="unique",
        other_definitions=(
            OtherDefinition(
                "another condition",
                "CREATE UNIQUE INDEX part_label_key ON part (label) WHERE amount > 1",
                "part_label_key",
                "CREATE UNIQUE INDEX part_label_key ON bench.part USING btree (label) "
                "WHERE (amount > 1)",
                'CREATE UNIQUE INDEX part_label_key ON "part" USING btree (label) '
                "WHERE (amount > 0)",
                'DROP INDEX CONCURRENTLY "bench"."part_label_key"; and run again',
                replaceable=True,
            ),
        ),
    ),
)
