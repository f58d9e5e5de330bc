"""DropIndexConcurrentlyIfPresent."""

from collections.abc import Sequence
from typing import Any, Self

from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations
from django.db.migrations.operations.models import RemoveIndex
from django.db.migrations.state import ProjectState
from django.db.models import Index

from .catalog.tables import Table
from .create_index import CreateIndexConcurrentlyIfMissing
from .execution.run import run_of
from .findings import Snapshot
from .refusals import declared_part
from .removal import Removal
from .site import Site
from .statements import Statement


class DropIndexConcurrentlyIfPresent(Removal, RemoveIndex):
    """Drop an index while readers and writers go on, if the table has it.

    Needs atomic = False on the migration. A killed run leaves an invalid index, which the next run drops.
    An index of that name on another table is left alone; one that belongs to a constraint stops the run.
    Backwards builds the index again as CreateIndexConcurrentlyIfMissing does.

    In the phase expand the index stays for the queries of old code, unless the same run builds another one of
    that name.

    model_name, name: as for Django's RemoveIndex.
    fallbacks: as declared when the index was created; they are dropped too, and backwards chooses among
        them.
    """

    stands_for = (migrations.RemoveIndex, RemoveIndexConcurrently)

    def __init__(self, model_name: str, name: str, fallbacks: Sequence[Index] = ()) -> None:
        super().__init__(model_name, name)
        self.fallbacks = tuple(fallbacks)

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.model_name, operation.name)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.fallbacks:
            kwargs = {**kwargs, "fallbacks": self.fallbacks}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Drop index {self.name} from {self.model_name} concurrently if present"

    def addition(self, site: Site) -> CreateIndexConcurrentlyIfMissing:
        index = declared_part(site, self.name, site.model._meta.indexes, Index)
        return CreateIndexConcurrentlyIfMissing(self.model_name, index, self.fallbacks)

    def is_present(self, site: Site, found: Table) -> bool:
        return any(found.index(each.name) for each in self.addition(site).variants)

    def harmless(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return no statement, as new code can live with the index, unless its name is needed for another."""
        is_in_the_way = run_of(site.connection).declares_again(self)
        return super().harmless(site, snapshot) if is_in_the_way else []

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        return True
