# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""The base of the pages with a list: what a person may see of it, and which rows a request is about."""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse

from signals.admin.lists.changelist import ORDER, PagedList
from signals.admin.lists.moments import HELP, SUGGESTED
from signals.admin.lists.numbers import first_number_after
from signals.admin.lists.orders import Order
from signals.admin.lists.saved import saved_views, urls
from signals.admin.lists.views import View


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """A page with a list in one of its `orders`, of which the first one is the list's own.

    `views` are links to filtered lists. `number_time` is the column of the time that grows with the number.
    """

    orders: ClassVar[tuple[Order, ...]] = ()
    views: ClassVar[tuple[View, ...]] = ()
    number_time: ClassVar[str] = "created_at"

    actions_on_top = False
    actions_on_bottom = True
    show_facets = admin.ShowFacets.NEVER  # each count would read the table
    list_max_show_all = 0
    show_full_result_count = False
    sortable_by = ()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, with links to its views."""
        shown = {name: value for name, value in request.GET.items() if value}
        context = {
            "views": [
                {"name": each.name, "url": each.url, "is_current": each.parameters == shown}
                for each in self.get_views(request)
            ],
            "saved_views": saved_views(request, self),
            "moments": SUGGESTED,
            "moment_help": HELP,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def get_urls(self) -> list[Any]:
        """Return the addresses of the pages, and those that save and delete views."""
        return [*urls(self), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PagedList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns, without those of models that the person may not view."""
        return [each for each in super().get_list_display(request) if _may_see(request, each)]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return the filters, without those of models that the person may not view."""
        return [each for each in super().get_list_filter(request) if _may_see(request, each)]

    def get_orders(self, request: HttpRequest) -> list[Order]:
        """Return the orders, without those of models that the person may not view."""
        return [each for each in self.orders if _may_see(request, each)]

    def get_views(self, request: HttpRequest) -> list[View]:
        """Return the given views whose filters the person may use."""
        allowed = self.allowed_parameters(request)
        return [each for each in self.views if set(each.parameters) <= allowed]

    def allowed_parameters(self, request: HttpRequest) -> set[str]:
        """Return the parameters that the address of a list may have, besides those of its pages."""
        filters: Any = self.get_list_filter(request)
        return {"q", ORDER, *(name for each in filters for name in each.parameters)}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow the parameters of the page's filters; send any other address back to the list."""
        if lookup not in self.allowed_parameters(request) or "\0" in str(value):
            raise IncorrectLookupParameters
        return True

    def number_at(self, moment: datetime, *, descending: bool) -> int:
        """Return the number behind which the rows of a time come, in an order by number."""
        number = first_number_after(self.model, self.number_time, moment)
        return number if descending else number - 1


def _may_see(request: HttpRequest, part: Any) -> bool:
    needs = getattr(part, "needs", "")
    return not needs or request.user.has_perm(f"signals.{needs}")
