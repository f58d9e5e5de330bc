"""Cases of RenameColumnIfNeeded."""

from django.db import migrations

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition

CASES = (
    Case(
        name="renamed column",
        make=lambda: operations.RenameColumnIfNeeded("part", "label", "title"),
        full=lambda: operations.RenameColumnIfNeeded("part", "label", "title"),
        done="ALTER TABLE part RENAME label TO title",
        describes="Rename column label of part to title if needed",
        fragment="rename_label_part_title",
        django=lambda: migrations.RenameField("part", "label", "title"),
        namesakes="CREATE TABLE aside.part (title text)",
        component="column",
        other_definitions=(
            OtherDefinition(
                "beside the old one",
                "ALTER TABLE part ADD title text",
                "title",
                "a column beside label",
                "the only one of the two, label having been renamed",
                "drop the one of the two that holds nothing, or move its values, and run again",
            ),
            OtherDefinition(
                "of another type",
                "ALTER TABLE part RENAME label TO title; ALTER TABLE part ALTER title TYPE varchar(9)",
                "title",
                "character varying(9)",
                "text",
                "rename or drop the column title that is not the renamed label, and run again",
            ),
        ),
    ),
)
