"""The numbered pages of a search, whose cost does not grow with the table."""

from typing import TYPE_CHECKING, Any, Final, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_COUNTED_MATCHES: Final = 1_000
"""Rows that a search counts and pages: each is found by way of its event."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # not subscriptable at run time
    """Count and page only the first MAX_COUNTED_MATCHES rows."""

    @cached_property
    def count(self) -> int:
        # In their order, for which there is an index; else the planner may read the table from its start.
        rows = cast("QuerySet[Any]", self.object_list)
        return int(rows[:MAX_COUNTED_MATCHES].count())

    @property
    def bounded(self) -> bool:
        """Whether there may be more rows than are counted; pagination.html then says so."""
        return self.count >= MAX_COUNTED_MATCHES
