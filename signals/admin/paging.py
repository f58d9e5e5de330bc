"""Paging whose cost does not grow with the table."""

from typing import TYPE_CHECKING, Any, Final, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_COUNTED_ROWS: Final = 10_000
"""Rows that a list counts and pages; rows beyond are reached by a filter or a search."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # not subscriptable at run time
    """Count and page only the first MAX_COUNTED_ROWS rows."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list).order_by()
        return int(rows[:MAX_COUNTED_ROWS].count())

    @property
    def bounded(self) -> bool:
        """Whether there may be more rows than are counted; pagination.html then says so."""
        return self.count >= MAX_COUNTED_ROWS
