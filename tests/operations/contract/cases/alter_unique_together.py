"""Cases of AlterUniqueTogetherIfNeeded."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import PART_TABLE, part_model

PAIR = {("label", "amount")}
NAME = "part_label_amount_61b6985a_uniq"
ADD = f"ALTER TABLE part ADD CONSTRAINT {NAME} UNIQUE"
INDEX = f"CREATE UNIQUE INDEX CONCURRENTLY {NAME} ON part (label, amount)"
DROP = f'ALTER TABLE "part" DROP CONSTRAINT "{NAME}"; and run again'

CASES = (
    Case(
        name="unique together",
        make=lambda: operations.AlterUniqueTogetherIfNeeded("part", PAIR),
        full=lambda: operations.AlterUniqueTogetherIfNeeded("part", PAIR),
        done=f"{ADD} (label, amount)",
        describes="Alter unique_together of part if needed",
        fragment="alter_part_unique_together",
        django=lambda: migrations.AlterUniqueTogether("part", PAIR),
        unfinished={
            "cancelled build": cancelled_build(INDEX),
            "index that is no constraint yet": INDEX.replace("CONCURRENTLY ", ""),
        },
        namesakes=f"CREATE TABLE aside.part (label text CONSTRAINT {NAME} UNIQUE);"
        f"CREATE TABLE other (label text CONSTRAINT {NAME} CHECK (label > ''))",
        component="unique",
        other_definitions=(
            OtherDefinition(
                "another column",
                f"{ADD} (amount)",
                NAME,
                "UNIQUE (amount)",
                "UNIQUE (label, amount)",
                DROP,
            ),
            OtherDefinition(
                "deferrable",
                f"{ADD} (label, amount) DEFERRABLE",
                NAME,
                "UNIQUE (label, amount) DEFERRABLE",
                "UNIQUE (label, amount)",
                DROP,
            ),
            OtherDefinition(
                "of another table",
                f"CREATE TABLE other (label text CONSTRAINT {NAME} UNIQUE)",
                NAME,
                "an index of table other",
                'an index of table "part"',
                f'rename it: ALTER INDEX "bench"."{NAME}" RENAME TO ...',
            ),
        ),
    ),
    Case(
        name="unique together no longer",
        make=lambda: operations.AlterUniqueTogetherIfNeeded("part", set()),
        full=lambda: operations.AlterUniqueTogetherIfNeeded("part", set()),
        models=(part_model(unique_together=PAIR),),
        start=f"{PART_TABLE} {ADD} (label, amount);",
        done=f"ALTER TABLE part DROP CONSTRAINT {NAME}",
        describes="Alter unique_together of part if needed",
        fragment="alter_part_unique_together",
        django=lambda: migrations.AlterUniqueTogether("part", set()),
        unfinished={
            "index that is no constraint": f"ALTER TABLE part DROP CONSTRAINT {NAME};"
            f"{INDEX.replace('CONCURRENTLY ', '')}",
        },
        namesakes=f"CREATE TABLE aside.part (label text CONSTRAINT {NAME} UNIQUE)",
        component="unique",
        is_removal=True,
    ),
    Case(
        name="unique together of another name no longer",
        make=lambda: operations.AlterUniqueTogetherIfNeeded("part", None),
        full=lambda: operations.AlterUniqueTogetherIfNeeded("part", None),
        models=(part_model(unique_together=PAIR),),
        start=f"{PART_TABLE} ALTER TABLE part ADD CONSTRAINT older UNIQUE (amount, label);"
        "CREATE UNIQUE INDEX oldest ON part (label DESC, amount)",
        done="ALTER TABLE part DROP CONSTRAINT older; DROP INDEX oldest",
        after_back="ALTER TABLE part DROP CONSTRAINT older; DROP INDEX oldest;"
        f"{ADD} (label, amount)",
        describes="Alter unique_together of part if needed",
        fragment="alter_part_unique_together",
        django=lambda: migrations.AlterUniqueTogether("part", None),
        component="unique",
        is_removal=True,
    ),
    Case(
        name="unique together in another order",
        make=lambda: operations.AlterUniqueTogetherIfNeeded("part", {("amount", "label")}),
        full=lambda: operations.AlterUniqueTogetherIfNeeded("part", {("amount", "label")}),
        models=(part_model(unique_together=PAIR),),
        start=f"{PART_TABLE} {ADD} (label, amount);",
        done=f"ALTER TABLE part DROP CONSTRAINT {NAME}; ALTER TABLE part "
        "ADD CONSTRAINT part_amount_label_fc6ca59a_uniq UNIQUE (amount, label)",
        describes="Alter unique_together of part if needed",
        fragment="alter_part_unique_together",
        django=lambda: migrations.AlterUniqueTogether("part", {("amount", "label")}),
        component="unique",
        settled=frozenset({operations.Status.EXISTS, operations.Status.ABSENT}),
    ),
)
