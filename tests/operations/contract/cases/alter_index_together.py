"""Cases of AlterIndexTogetherIfNeeded."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import PART_TABLE, part_model

PAIR = {("label", "amount")}
NAME = "part_label_amount_61b6985a_idx"
CREATE = f"CREATE INDEX {NAME} ON part"

CASES = (
    Case(
        name="index together",
        make=lambda: operations.AlterIndexTogetherIfNeeded("part", PAIR),
        full=lambda: operations.AlterIndexTogetherIfNeeded("part", PAIR),
        done=f"{CREATE} (label, amount)",
        describes="Alter index_together of part if needed",
        fragment="alter_part_index_together",
        django=lambda: migrations.AlterIndexTogether("part", PAIR),
        unfinished={
            "cancelled build": cancelled_build(
                f"CREATE INDEX CONCURRENTLY {NAME} ON part (label, amount)"
            ),
        },
        namesakes=f"CREATE TABLE aside.part (label text); CREATE INDEX {NAME} ON aside.part (label)",
        component="index",
        other_definitions=(
            OtherDefinition(
                "another column",
                f"{CREATE} (amount)",
                NAME,
                f"CREATE INDEX {NAME} ON bench.part USING btree (amount)",
                f'CREATE INDEX {NAME} ON "part" USING btree (label, amount)',
                f'DROP INDEX CONCURRENTLY "bench"."{NAME}"; and run again',
            ),
        ),
    ),
    Case(
        name="index together no longer",
        make=lambda: operations.AlterIndexTogetherIfNeeded("part", set()),
        full=lambda: operations.AlterIndexTogetherIfNeeded("part", set()),
        models=(part_model(index_together=PAIR),),
        start=f"{PART_TABLE} {CREATE} (label, amount);",
        done=f"DROP INDEX {NAME}",
        describes="Alter index_together of part if needed",
        fragment="alter_part_index_together",
        django=lambda: migrations.AlterIndexTogether("part", set()),
        component="index",
        is_removal=True,
    ),
)
