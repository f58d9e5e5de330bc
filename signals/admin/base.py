# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""The base class of all pages."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django_extensions.db.fields import ModificationDateTimeField

from signals.admin.paging import BoundedPaginator
from signals.admin.searches import search


class PipelineAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """A page of rows that a pipeline writes: rows are not added or deleted, and few fields change.

    `editable` names the fields that can be changed; a field that is new in the model is read-only until
    it is named there. Saving writes only the changed fields, so that a page never overwrites what a
    pipeline writes at the same time.
    """

    editable: tuple[str, ...] = ()

    actions_on_top = False
    actions_on_bottom = True
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # each count would read the table
    show_full_result_count = False
    sortable_by: ClassVar[tuple[str, ...]] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        stored = [field.name for field in self.opts.fields if field.name not in self.editable]
        shown = [
            name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]
        ]
        return [*stored, *(name for name in shown if callable(name))]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that the text finds; search_summary.html says how they were found."""
        if not search_term.strip():
            return queryset, False
        found = search(self.model, search_term)
        request.search = found  # type: ignore[attr-defined] # for the template of the list
        return found.rows(queryset, keep_order=ORDER_VAR in request.GET), False

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        paginator: Any = super().get_paginator(request, *args, **kwargs)
        paginator.is_search = hasattr(request, "search")
        return paginator

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return a one-line input for a nullable text; left empty, it saves NULL as the pipelines do."""
        if isinstance(db_field, models.TextField) and db_field.null:
            kwargs |= {"empty_value": None, "widget": AdminTextInputWidget}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stamps = [f.name for f in self.opts.fields if isinstance(f, ModificationDateTimeField)]
        if form.changed_data:
            obj.save(update_fields=[*form.changed_data, *stamps])
