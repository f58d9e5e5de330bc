"""The views that a person saves: a name for a list with its filters, its search and its order."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from signals.models import SavedView
from signals.texts import shortened

MAX_NAME: Final = 60
MAX_QUERY: Final = 2_000
MAX_VIEWS: Final = 30
"""Views of a list that a person can save."""


def saved_views(request: HttpRequest, admin: Any) -> list[SavedView]:
    """Return the person's views of the list, by name."""
    views = SavedView.objects.filter(person_id=request.user.pk, list=admin.opts.model_name)
    return list(views.order_by("name")[:MAX_VIEWS])


def urls(admin: Any) -> list[URLPattern]:
    """Return the addresses to which the forms of the list send."""
    name = f"{admin.opts.app_label}_{admin.opts.model_name}"
    wrap = admin.admin_site.admin_view

    def save(request: HttpRequest) -> HttpResponse:
        return _save(request, admin)

    def delete(request: HttpRequest, number: int) -> HttpResponse:
        return _delete(request, admin, number)

    return [
        path("views/save/", wrap(save), name=f"{name}_save_view"),
        path("views/<int:number>/delete/", wrap(delete), name=f"{name}_delete_view"),
    ]


def _save(request: HttpRequest, admin: Any) -> HttpResponse:
    """Save the list that a form names; under a name that the person has used, in the place of that one."""
    if refused := _refused(request, admin):
        return refused
    query = _allowed(request, admin)
    name = " ".join(request.POST.get("name", "").replace("\0", "").split())[:MAX_NAME]
    key = {"person_id": request.user.pk, "list": admin.opts.model_name, "name": name}
    if not name or not query:
        messages.error(request, "Give the view a name, and filter or search the list before.")
    elif len(query) > MAX_QUERY:
        messages.error(request, "The filters are too long to be saved.")
    elif len(saved_views(request, admin)) >= MAX_VIEWS and not _exists(key):
        messages.error(request, f"You have {MAX_VIEWS} views of this list: delete one before.")
    else:
        SavedView.objects.update_or_create(**key, defaults={"query": query})
        messages.success(request, f"The view “{shortened(name, MAX_NAME)}” was saved.")
    return redirect(f"{_list_url(admin)}?{query}")


def _delete(request: HttpRequest, admin: Any, number: int) -> HttpResponse:
    """Delete a view of the person; one of somebody else is left as it is."""
    if refused := _refused(request, admin):
        return refused
    if number < 2**63:
        own = SavedView.objects.filter(person_id=request.user.pk, list=admin.opts.model_name)
        own.filter(pk=number).delete()
    return redirect(f"{_list_url(admin)}?{_allowed(request, admin)}")


def _refused(request: HttpRequest, admin: Any) -> HttpResponse | None:
    if not admin.has_view_or_change_permission(request):
        raise PermissionDenied
    return None if request.method == "POST" else HttpResponseNotAllowed(["POST"])


def _exists(key: dict[str, Any]) -> bool:
    return SavedView.objects.filter(**key).exists()


def _allowed(request: HttpRequest, admin: Any) -> str:
    """Return the part of the sent address that the list has parameters for."""
    allowed = admin.allowed_parameters(request)
    sent = QueryDict(request.POST.get("query", "")[: MAX_QUERY * 2])
    return urlencode(
        {
            name: sent[name]
            for name in sent
            if name in allowed and sent[name] and "\0" not in sent[name]
        }
    )


def _list_url(admin: Any) -> str:
    return reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist")
