"""AlterIndexTogetherIfNeeded."""

from collections.abc import Iterator
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import AlterIndexTogether
from django.db.migrations.state import ProjectState

from .base import Convergent
from .catalog.tables import Table
from .implied import implied_index
from .site import Site
from .together import AlterTogether, Fields


class AlterIndexTogetherIfNeeded(AlterTogether, AlterIndexTogether):
    """Index sets of fields together, and other sets no longer, while writers go on.

    Models have no index_together since Django 5.1, but older migrations still alter it. A set that is new is
    built as by CreateIndexConcurrentlyIfMissing, under the name that Django gives it; an index of any other
    name that does the same is accepted. A set that is gone loses every index that does what it asked for,
    whatever its name, unless the model declares it otherwise. Needs atomic = False.

    A killed run leaves some of the sets done, and of one an invalid index, which the next run heals.
    Backwards does the opposite.

    name, index_together: as for Django's AlterIndexTogether.
    """

    stands_for = (migrations.AlterIndexTogether,)
    is_unique = False

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.name, operation.index_together)

    def describe(self) -> str:
        return f"Alter index_together of {self.name} if needed"

    def part(self, site: Site, names: Fields, found: Table | None) -> Iterator[Convergent]:
        yield from implied_index(self.name, site, names, found, "_idx")

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        return True
