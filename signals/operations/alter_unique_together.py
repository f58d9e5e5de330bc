"""AlterUniqueTogetherIfNeeded."""

from collections.abc import Iterator
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import AlterUniqueTogether
from django.db.migrations.state import ProjectState

from .add_unique import AddUniqueIfMissing
from .base import Convergent
from .catalog.tables import Table
from .implied import implied_unique
from .site import Site
from .statements import Statement
from .together import AlterTogether, Fields


class AlterUniqueTogetherIfNeeded(AlterTogether, AlterUniqueTogether):
    """Make sets of fields unique together, and other sets no longer, while writers go on.

    A set that is new is built as by AddUniqueIfMissing: its index concurrently, under the name that Django
    gives it, and then the constraint of it. A unique index or constraint of any other name that does the same
    is accepted. A set that is gone loses every constraint and unique index that refuses what it refused,
    whatever its name, unless the model declares it otherwise. Needs atomic = False if a set is new.

    Duplicate rows raise DuplicateRows. A killed run leaves some of the sets done, and of one what
    AddUniqueIfMissing leaves; the next run continues there. Backwards does the opposite.

    name, unique_together: as for Django's AlterUniqueTogether.
    """

    stands_for = (migrations.AlterUniqueTogether,)
    is_unique = True

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.name, operation.unique_together)

    def describe(self) -> str:
        return f"Alter unique_together of {self.name} if needed"

    def part(self, site: Site, names: Fields, found: Table | None) -> Iterator[Convergent]:
        yield from implied_unique(self.name, site, names, found)

    def _script_of_new(self, site: Site, names: Fields) -> list[Statement]:
        part: Any = self.named(site, names)
        is_replacing = any(sorted(each) == sorted(names) for each in self._gone(site))
        # The script of the part accepts an index of these columns in any order, as the gone one is.
        steps: list[Statement] = (
            AddUniqueIfMissing.script(part, site) if is_replacing else part.script(site)
        )
        return steps
