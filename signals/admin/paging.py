"""Paging whose cost does not grow with the table."""

from typing import TYPE_CHECKING, Any, Final, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_COUNTED_ROWS: Final = 10_000
"""Rows that a list counts and pages; rows beyond are reached by a filter or a search."""
MAX_COUNTED_MATCHES: Final = 1_000
"""Rows that a search counts and pages: each is found by way of its event."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # not subscriptable at run time
    """Count and page only the first MAX_COUNTED_ROWS rows, or MAX_COUNTED_MATCHES of a search."""

    is_search = False

    @property
    def limit(self) -> int:
        return MAX_COUNTED_MATCHES if self.is_search else MAX_COUNTED_ROWS

    @cached_property
    def count(self) -> int:
        # In their order, for which there is an index; else the planner may read the table from its start.
        rows = cast("QuerySet[Any]", self.object_list)
        return int(rows[: self.limit].count())

    @property
    def bounded(self) -> bool:
        """Whether there may be more rows than are counted; pagination.html then says so."""
        return self.count >= self.limit
