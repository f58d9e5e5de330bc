"""Cases of RenameIndexIfNeeded."""

from typing import Any

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.scratch_schema import PART_TABLE, part_model

FORMER = models.Index(fields=["label"], name="part_former")
TOGETHER = "part_label_amount_61b6985a_idx"
SETTLED = frozenset({operations.Status.EXISTS, operations.Status.ABSENT})


def rename() -> Any:
    return operations.RenameIndexIfNeeded("part", new_name="part_label", old_name="part_former")


def of_fields() -> Any:
    return operations.RenameIndexIfNeeded(
        "part", new_name="part_both", old_fields=("label", "amount")
    )


CASES = (
    Case(
        name="renamed index",
        make=rename,
        full=rename,
        models=(part_model(indexes=[FORMER]),),
        start=f"{PART_TABLE} CREATE INDEX part_former ON part (label);",
        done="ALTER INDEX part_former RENAME TO part_label",
        describes="Rename index part_former on part to part_label if needed",
        fragment="rename_part_former_part_label",
        django=lambda: migrations.RenameIndex(
            "part", new_name="part_label", old_name="part_former"
        ),
        namesakes="CREATE TABLE aside.part (label text); CREATE INDEX part_label ON aside.part (label);"
        "CREATE INDEX part_former ON aside.part (label)",
        component="index",
        settled=SETTLED,
        other_definitions=(
            OtherDefinition(
                "another column under the old name",
                "DROP INDEX part_former; CREATE INDEX part_former ON part (amount)",
                "part_former",
                "CREATE INDEX part_former ON bench.part USING btree (amount)",
                'CREATE INDEX part_label ON "part" USING btree (label)',
                'DROP INDEX CONCURRENTLY "bench"."part_former"; and run again',
            ),
            OtherDefinition(
                "another column under the new name",
                "CREATE INDEX part_label ON part (amount)",
                "part_label",
                "CREATE INDEX part_label ON bench.part USING btree (amount)",
                'CREATE INDEX part_label ON "part" USING btree (label)',
                'DROP INDEX CONCURRENTLY "bench"."part_label"; and run again',
            ),
            OtherDefinition(
                "of another table",
                "CREATE TABLE other (label text); CREATE INDEX part_label ON other (label)",
                "part_label",
                "an index of table other",
                'an index of table "part"',
                'rename it: ALTER INDEX "bench"."part_label" RENAME TO ...',
            ),
        ),
    ),
    Case(
        name="renamed index of index_together",
        make=of_fields,
        full=of_fields,
        models=(part_model(index_together={("label", "amount")}),),
        start=f"{PART_TABLE} CREATE INDEX {TOGETHER} ON part (label, amount);",
        done=f"ALTER INDEX {TOGETHER} RENAME TO part_both",
        after_back=f"ALTER INDEX {TOGETHER} RENAME TO part_both",
        describes="Rename index of label, amount on part to part_both if needed",
        fragment="rename_part_label_amount_part_both",
        django=lambda: migrations.RenameIndex(
            "part", new_name="part_both", old_fields=("label", "amount")
        ),
        component="index",
        settled=SETTLED,
    ),
)
