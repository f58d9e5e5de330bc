"""Cases of BackfillInBatches."""

from django.db import models
from django.db.models.functions import Coalesce

from signals import operations
from tests.operations.contract.case import Case
from tests.operations.scratch_schema import PART_TABLE

CASES = (
    Case(
        name="backfill",
        make=lambda: operations.BackfillInBatches(
            "part", "label", Coalesce(models.F("label"), models.Value("none")), batch_size=2
        ),
        full=lambda: operations.BackfillInBatches(
            "part",
            "label",
            Coalesce(models.F("label"), models.Value("none")),
            batch_size=2,
            target_time=0.75,
            pause=0.25,
        ),
        start=f"{PART_TABLE} UPDATE part SET label = NULL WHERE id > 1;"
        "INSERT INTO part (amount) SELECT n FROM generate_series(10, 14) n",
        done="UPDATE part SET label = 'none' WHERE label IS NULL",
        describes="Fill label of part in batches where it is null",
        fragment="fill_part_label",
        django=None,
        unfinished={"some batches": "UPDATE part SET label = 'none' WHERE id IN (2, 3)"},
        component="rows",
        after_back="UPDATE part SET label = 'none' WHERE label IS NULL",
    ),
)
