"""Cases of AlterTableCommentIfDifferent."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case
from tests.operations.scratch_schema import PART_TABLE, part_model

TEXT = "what it's made of: 100 % \\ steel"
QUOTED = "E'what it''s made of: 100 % \\\\ steel'"

CASES = (
    Case(
        name="table comment",
        make=lambda: operations.AlterTableCommentIfDifferent("part", TEXT),
        full=lambda: operations.AlterTableCommentIfDifferent("part", TEXT),
        done=f"COMMENT ON TABLE part IS {QUOTED}",
        describes="Alter table comment of part if different",
        fragment="alter_part_table_comment",
        django=lambda: migrations.AlterModelTableComment("part", TEXT),
        namesakes="CREATE TABLE aside.part (label text); COMMENT ON TABLE aside.part IS 'theirs'",
        component="comment",
    ),
    Case(
        name="another table comment",
        make=lambda: operations.AlterTableCommentIfDifferent("part", TEXT),
        full=lambda: operations.AlterTableCommentIfDifferent("part", TEXT),
        models=(part_model(db_table_comment="old"),),
        start=f"{PART_TABLE} COMMENT ON TABLE part IS 'old';",
        done=f"COMMENT ON TABLE part IS {QUOTED}",
        describes="Alter table comment of part if different",
        fragment="alter_part_table_comment",
        django=lambda: migrations.AlterModelTableComment("part", TEXT),
        component="comment",
        absent=operations.Status.DIFFERENT,
    ),
    Case(
        name="table comment no longer",
        make=lambda: operations.AlterTableCommentIfDifferent("part", None),
        full=lambda: operations.AlterTableCommentIfDifferent("part", None),
        models=(part_model(db_table_comment="old"),),
        start=f"{PART_TABLE} COMMENT ON TABLE part IS 'old';",
        done="COMMENT ON TABLE part IS NULL",
        describes="Alter table comment of part if different",
        fragment="alter_part_table_comment",
        django=lambda: migrations.AlterModelTableComment("part", None),
        component="comment",
        absent=operations.Status.DIFFERENT,
    ),
)
