"""Cases of AlterColumnCommentIfDifferent."""

from django.db import migrations, models

from signals import operations
from tests.operations.contract.case import Case

COMMENTED = models.TextField(null=True, db_comment="what it's called")

CASES = (
    Case(
        name="column comment",
        make=lambda: operations.AlterColumnCommentIfDifferent("part", "label", COMMENTED),
        full=lambda: operations.AlterColumnCommentIfDifferent(
            "part", "label", COMMENTED, preserve_default=False
        ),
        done="COMMENT ON COLUMN part.label IS 'what it''s called'",
        describes="Alter comment of label on part if different",
        fragment="alter_part_label",
        django=lambda: migrations.AlterField("part", "label", COMMENTED),
        namesakes="CREATE TABLE aside.part (label text);"
        "COMMENT ON COLUMN aside.part.label IS 'theirs'",
        component="comment",
    ),
)
