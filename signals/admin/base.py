# ruff: noqa: ARG002 - Django calls its hooks with all arguments, whether they are used or not
"""The base class of all pages."""

from typing import Any

from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.text import capfirst
from django_extensions.db.fields import ModificationDateTimeField

from signals.admin.change_messages import with_values
from signals.admin.columns import EMPTY_VALUE, text_of
from signals.admin.lists.page import ListAdmin
from signals.admin.pages.fields import has_whole_text, page_fields
from signals.admin.pages.headings import headings
from signals.admin.pages.timeline import IN_A_HISTORY, Place, read_timeline
from signals.admin.pages.viewer import Viewer
from signals.admin.paging import BoundedPaginator
from signals.admin.searches import search


class SeenForm(ModelForm):  # type: ignore[type-arg] # not subscriptable at run time
    """A form that knows the values that its reader saw, and counts as changed what differs from those.

    A field that this person changed, and a pipeline or another person meanwhile, is refused with both
    values. Sent once more, the form overwrites the value that it then shows.
    """

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in self.changed_data:
            field, bound = self.fields[name], self[name]
            stored = field.prepare_value(self.initial.get(name))
            seen = self._widget_data_value(field.hidden_widget(), bound.html_initial_name)  # type: ignore[attr-defined]
            if _as_sent(seen) == _as_sent(stored):
                continue
            error = "Meanwhile this was changed from “%(seen)s” to “%(stored)s”. Save again to overwrite it."
            values = {"seen": seen or EMPTY_VALUE, "stored": _as_sent(stored) or EMPTY_VALUE}
            self.add_error(name, ValidationError(error, "stale", values))
            self.data: QueryDict = self.data.copy()
            self.data[bound.html_initial_name] = _as_sent(stored)
        return cleaned


def _as_sent(value: Any) -> str:
    return "" if value is None else str(value)


class PipelineAdmin(ListAdmin):
    """A page of rows that a pipeline writes: rows are not added or deleted, and few fields change.

    `editable` names the fields that can be changed; a field that is new in the model is read-only until
    it is named there. Saving writes only the fields that the person changed, so that a page never
    overwrites what a pipeline writes at the same time.
    """

    form = SeenForm

    editable: tuple[str, ...] = ()

    paginator = BoundedPaginator

    def get_urls(self) -> list[Any]:
        """Return the addresses of the pages, and that of one text of a row as plain text."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_text"
        view = self.admin_site.admin_view(self.text_view)
        return [path("<path:object_id>/text/<str:field>/", view, name=name), *super().get_urls()]

    def text_view(self, request: HttpRequest, object_id: str, field: str) -> HttpResponse:
        """Return all of a text that the row's page shows the beginning of."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        texts = {each.name for each in self.opts.fields if has_whole_text(each)}
        if row is None or field not in texts - set(self.hidden_fields(request)):
            raise Http404
        return HttpResponse(text_of(row, field), content_type="text/plain; charset=utf-8")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeable(self, request: HttpRequest, obj: Any) -> tuple[str, ...]:
        """Return the names of the fields that the person may change on the row's page."""
        return self.editable if self.has_change_permission(request, obj) else ()

    def hidden_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the names of the fields that tell of rows which the person may not view."""
        return ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets with columns for all fields that the person does not change.

        They are kept for the request, because Django asks several times, and compares the columns.
        """
        kept = request.__dict__.setdefault("page_fieldsets", {})
        key = (self.model, obj and obj.pk)
        if key not in kept:
            known = {
                "changeable": self.changeable(request, obj),
                "hidden": self.hidden_fields(request),
            }
            kept[key] = [
                (
                    title,
                    {
                        **options,
                        "fields": page_fields(
                            self.model, options["fields"], Viewer(request.user), **known
                        ),
                    },
                )
                for title, options in self.fieldsets or ()
            ]
        return kept[key]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        changeable = self.changeable(request, obj)
        stored = [field.name for field in self.opts.fields if field.name not in changeable]
        return [*stored, *filter(callable, flatten_fieldsets(self.get_fieldsets(request, obj)))]

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().get_form(request, *args, labels=headings(self.model), **kwargs)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the page of the stored row shows besides its fields; `title` is its heading."""
        return {"title": capfirst(str(row))}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Render the page with its own heading, also if a form is refused that has changed the row."""
        row = kwargs.get("obj")
        if row is not None and request.method != "GET":
            row = self.model._default_manager.get(pk=row.pk)
        if row is not None:
            context |= {"subtitle": "", **self.page_context(request, row)}
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return what happened to the row, one page after the other."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        place = Place.read(request.GET)
        hidden = self.hidden_fields(request)
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "timeline": read_timeline(row, Viewer(request.user), IN_A_HISTORY, place, hidden),
            "is_further": place != Place(),
            "module_name": str(capfirst(self.opts.verbose_name_plural)),
            "object": row,
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/signals/pages/history.html", context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that the text finds; search_summary.html says how they were found."""
        if not search_term.strip():
            return queryset, False
        found = search(self.model, search_term, Viewer(request.user).may_view)
        request.search = found  # type: ignore[attr-defined] # for the template of the list
        return found.rows(queryset), False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return a field that sends along the value that was shown.

        A nullable text has a one-line input; left empty, it saves NULL as the pipelines do.
        """
        kwargs["show_hidden_initial"] = True
        if isinstance(db_field, models.TextField) and db_field.null:
            kwargs |= {"empty_value": None, "widget": AdminTextInputWidget}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[dict[str, Any]]:
        """Return what the log keeps of a save, with the old and new values."""
        return with_values(super().construct_change_message(request, form, formsets, add), form)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stamps = [f.name for f in self.opts.fields if isinstance(f, ModificationDateTimeField)]
        if form.changed_data:
            obj.save(update_fields=[*form.changed_data, *stamps])
