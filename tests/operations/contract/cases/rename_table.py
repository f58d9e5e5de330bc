"""Cases of RenameTableIfNeeded."""

from django.db import migrations
from django.db.migrations.state import ModelState

from signals import operations
from tests.operations.contract.case import Case, OtherDefinition
from tests.operations.scratch_schema import APP, PART_TABLE, part_model

PIECE = f"{APP}_piece"

CASES = (
    Case(
        name="renamed table",
        make=lambda: operations.RenameTableIfNeeded("Piece", "Part"),
        full=lambda: operations.RenameTableIfNeeded("Piece", "Part"),
        models=(ModelState(APP, "Piece", list(part_model().fields.items()), {}),),
        start=PART_TABLE.replace("CREATE TABLE part", f"CREATE TABLE {PIECE}").replace(
            "INTO part", f"INTO {PIECE}"
        ),
        done=f"ALTER TABLE {PIECE} RENAME TO {APP}_part",
        describes="Rename table of Piece to that of Part if needed",
        fragment="rename_piece_part",
        django=lambda: migrations.RenameModel("Piece", "Part"),
        namesakes=f"CREATE TABLE aside.{APP}_part (id int)",
        component="table",
        table=f"{APP}_part",
        other_definitions=(
            OtherDefinition(
                "beside the old one",
                f"CREATE TABLE {APP}_part (id int)",
                f"{APP}_part",
                f'a table beside "{PIECE}"',
                f'the only one of the two, "{PIECE}" having been renamed',
                "drop the one of the two that holds nothing, or move its rows, and run again",
                table=f'"{APP}_part"',
            ),
        ),
    ),
)
