"""Cases of CreateIndexConcurrentlyIfMissing."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.failed_builds import cancelled_build

LABEL_INDEX = models.Index(fields=["label"], name="part_label")

CASES = (
    Case(
        name="index",
        make=lambda: operations.CreateIndexConcurrentlyIfMissing("part", LABEL_INDEX),
        full=lambda: operations.CreateIndexConcurrentlyIfMissing(
            "part",
            LABEL_INDEX,
            fallbacks=[models.Index(fields=["amount"], name="part_amount")],
            on_different="replace",
            keep_on_reverse=True,
        ),
        replacing=lambda: operations.CreateIndexConcurrentlyIfMissing(
            "part", LABEL_INDEX, on_different="replace"
        ),
        done="CREATE INDEX part_label ON part (label)",
        describes="Create index part_label on part concurrently if missing",
        fragment="part_part_label",
        django=lambda: migrations.AddIndex("part", LABEL_INDEX),
        unfinished={
            "cancelled build": cancelled_build(
                "CREATE INDEX CONCURRENTLY part_label ON part (label)"
            )
        },
        namesakes="CREATE TABLE aside.part (label text); CREATE INDEX part_label ON aside.part (label);"
        "CREATE TABLE other (label text CONSTRAINT part_label CHECK (label > ''))",
        component="index",
        other_definitions=(
            OtherDefinition(
                "another column",
                "CREATE INDEX part_label ON part (amount)",
                "part_label",
                "CREATE INDEX part_label ON bench.part USING btree (amount)",
                'CREATE INDEX part_label ON "part" USING btree (label)',
                'DROP INDEX CONCURRENTLY "bench"."part_label"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "unique",
                "CREATE UNIQUE INDEX part_label ON part (label)",
                "part_label",
                "CREATE UNIQUE INDEX part_label ON bench.part USING btree (label)",
                'CREATE INDEX part_label ON "part" USING btree (label)',
                'DROP INDEX CONCURRENTLY "bench"."part_label"; and run again',
                replaceable=True,
            ),
            OtherDefinition(
                "of another table",
                "CREATE TABLE other (label text); CREATE INDEX part_label ON other (label)",
                "part_label",
                "an index of table other",
                'an index of table "part"',
                'rename it: ALTER INDEX "bench"."part_label" RENAME TO ...',
            ),
            OtherDefinition(
                "a view",
                "CREATE VIEW part_label AS SELECT 1",
                "part_label",
                "a relation that is no index",
                'an index of table "part"',
                'rename it: ALTER VIEW "bench"."part_label" RENAME TO ...',
            ),
            OtherDefinition(
                "a table",
                "CREATE TABLE part_label ()",
                "part_label",
                "a relation that is no index",
                'an index of table "part"',
                'rename it: ALTER TABLE "bench"."part_label" RENAME TO ...',
            ),
        ),
    ),
)
