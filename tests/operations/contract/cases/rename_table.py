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
        make=lambda: operations.RenameTableIfNeeded("Piece", "Slab"),
        full=lambda: operations.RenameTableIfNeeded("Piece", "Slab"),
        models=(ModelState(APP, "Piece", list(part_model().fields.items()), {}),),
        start=PART_TABLE.replace("CREATE TABLE part", f"CREATE TABLE {PIECE}").replace(
            "INTO part", f"INTO {PIECE}"
        ),
        done=f"ALTER TABLE {PIECE} RENAME TO {APP}_slab",
        describes="Rename table of Piece to that of Slab if needed",
        fragment="rename_piece_slab",
        django=lambda: migrations.RenameModel("Piece", "Slab"),
        namesakes=f"CREATE TABLE aside.{APP}_slab (id int)",
        component="table",
        table=f"{APP}_slab",
        other_definitions=(
            OtherDefinition(
                "beside the old one",
                f"CREATE TABLE {APP}_slab (id int)",
                f"{APP}_slab",
                f'a table beside "{PIECE}"',
                f'the only one of the two, "{PIECE}" having been renamed',
                "drop the one of the two that holds nothing, or move its rows, and run again",
                table=f'"{APP}_slab"',
            ),
        ),
    ),
)
