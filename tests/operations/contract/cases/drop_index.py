"""Cases of DropIndexConcurrentlyIfPresent."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases.create_index import LABEL_INDEX
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import PART_TABLE, part_model

CASES = (
    Case(
        name="dropped index",
        make=lambda: operations.DropIndexConcurrentlyIfPresent("part", "part_label"),
        full=lambda: operations.DropIndexConcurrentlyIfPresent(
            "part", "part_label", fallbacks=[models.Index(fields=["amount"], name="part_amount")]
        ),
        models=(part_model(indexes=[LABEL_INDEX]),),
        start=f"{PART_TABLE} CREATE INDEX part_label ON part (label);",
        done="DROP INDEX part_label",
        describes="Drop index part_label from part concurrently if present",
        fragment="remove_part_part_label",
        django=lambda: migrations.RemoveIndex("part", "part_label"),
        unfinished={
            "cancelled build": cancelled_build(
                "CREATE INDEX CONCURRENTLY part_label ON part (label)", "DROP INDEX part_label"
            )
        },
        namesakes="CREATE TABLE aside.part (label text); CREATE INDEX part_label ON aside.part (label)",
        component="index",
        other_definitions=(
            OtherDefinition(
                "of a constraint",
                "DROP INDEX part_label; ALTER TABLE part ADD CONSTRAINT part_label UNIQUE (label)",
                "part_label",
                "CREATE UNIQUE INDEX part_label ON bench.part USING btree (label)",
                "no index of that name; what was declared is "
                'CREATE INDEX part_label ON "part" USING btree (label)',
                "rename it, or drop it by hand, and run again",
            ),
        ),
    ),
)
