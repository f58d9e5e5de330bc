"""Cases of AddForeignKeyIfMissing."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.contract.cases.add_column import PARENT_KEY
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import PART_TABLE, part_model

PARENT_INDEX = "part_parent_id_16877b79"
LOOSE_PARENT = models.ForeignKey(
    "bench.part", models.CASCADE, null=True, db_constraint=False, db_index=False
)

CASES = (
    Case(
        name="foreign key",
        make=lambda: operations.AddForeignKeyIfMissing(
            "part", "parent", models.ForeignKey("bench.part", models.CASCADE, null=True)
        ),
        full=lambda: operations.AddForeignKeyIfMissing(
            "part",
            "parent",
            models.ForeignKey("bench.part", models.CASCADE, null=True),
            preserve_default=False,
            altered_later=True,
        ),
        models=(part_model(("parent", LOOSE_PARENT)),),
        start=f"{PART_TABLE} ALTER TABLE part ADD COLUMN parent_id bigint;",
        done=f"CREATE INDEX {PARENT_INDEX} ON part (parent_id); {PARENT_KEY}",
        describes="Add foreign key parent to part if missing",
        fragment="alter_part_parent",
        django=lambda: migrations.AlterField(
            "part", "parent", models.ForeignKey("bench.part", models.CASCADE, null=True)
        ),
        unfinished={
            "cancelled build": cancelled_build(
                f"CREATE INDEX CONCURRENTLY {PARENT_INDEX} ON part (parent_id)"
            ),
            "index alone": f"CREATE INDEX {PARENT_INDEX} ON part (parent_id)",
            "not valid": f"CREATE INDEX {PARENT_INDEX} ON part (parent_id); {PARENT_KEY} NOT VALID",
            "without its index": PARENT_KEY,
        },
        namesakes="CREATE TABLE aside.part (parent_id bigint)",
        component="foreign key",
        other_definitions=(
            OtherDefinition(
                "to another table",
                "CREATE TABLE other (id bigint PRIMARY KEY);"
                "ALTER TABLE part ADD CONSTRAINT theirs FOREIGN KEY (parent_id) REFERENCES other",
                "theirs",
                "FOREIGN KEY (parent_id) REFERENCES other(id)",
                'FOREIGN KEY ("parent_id") REFERENCES "part" (id)',
                'ALTER TABLE "part" DROP CONSTRAINT "theirs"; and run again',
            ),
            OtherDefinition(
                "a column of another type",
                "ALTER TABLE part ALTER COLUMN parent_id TYPE integer",
                "parent_id",
                "integer",
                "bigint",
                'ALTER TABLE "part" ALTER COLUMN "parent_id" TYPE bigint USING "parent_id"::bigint;',
                component="column",
            ),
        ),
    ),
)
