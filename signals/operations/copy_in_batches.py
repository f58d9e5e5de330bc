"""The fill of the copy of a renamed column."""

from django.db.models.expressions import RawSQL

from .backfill import BackfillInBatches
from .catalog.query import quoted
from .site import Site


class CopyInBatches(BackfillInBatches):
    """Fill the copy of a renamed column with its values.

    source: the column.
    """

    def __init__(self, model_name: str, name: str, source: str) -> None:
        super().__init__(model_name, name, RawSQL(quoted(source), []))  # noqa: S611 - a quoted name
        self.source = source

    def describe(self) -> str:
        return f"Copy {self.source} of {self.model_name} to {self.name} in batches"

    def is_left(self, site: Site) -> str:
        return f"{super().is_left(site)} AND {quoted(self.source)} IS NOT NULL"
