"""The choice of an action on the list of signals, and the pages that confirm it and carry it out."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from signals.action_models import SignalAction
from signals.admin.actions.batches import CHECKED_AT_ONCE, Busy, carry_on, is_checked_at_once
from signals.admin.actions.choosing import MAX_CHOSEN, TooMany, choose, remove_rows
from signals.admin.actions.dry_run import dry_run
from signals.admin.actions.export import FORMATS, export
from signals.admin.actions.forms import confirm_form
from signals.admin.actions.kinds import KINDS, OVERRIDE, RECHECK, REVIVE, Kind
from signals.admin.base import PipelineAdmin
from signals.choices import ActionStatus, VerificationStatus
from signals.models import Signal, SignalVerification
from signals.texts import shortened

ONE_BY_ONE: Final = ("recheck", "dry_run", "override", "revive")
"""The actions that a signal's own page offers."""
MAX_NUMBER: Final = 2**63
"""Above the number of every signal."""


def _changing(kind: Kind) -> Callable[..., Any]:
    """Return the admin's action that lets a person confirm an action of the kind."""

    @admin.action(description=kind.title, permissions=[kind.permission])
    def start(page: "ActionsAdmin", request: HttpRequest, rows: QuerySet[Signal]) -> Any:
        return page.confirm(request, kind, rows)

    start.__name__ = kind.type.value
    return start


@admin.action(description="Dry run", permissions=["reverify_signal"])
def try_rules_on(page: "ActionsAdmin", request: HttpRequest, rows: QuerySet[Signal]) -> Any:
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": "Dry run",
        **dry_run(request, rows),
    }
    return TemplateResponse(request, "admin/signals/actions/dry_run.html", context)


try_rules_on.__name__ = "dry_run"


def _exporting(ending: str) -> Callable[..., Any]:
    """Return the admin's action that exports signals into a file with that ending."""

    @admin.action(description=f"Export as {FORMATS[ending][0]}", permissions=["export_signals"])
    def start(_: "ActionsAdmin", request: HttpRequest, rows: QuerySet[Signal]) -> Any:
        return export(request, rows, selection_of(request), ending)

    start.__name__ = f"export_{ending}"
    return start


class ActionsAdmin(PipelineAdmin):
    """A list of signals with actions on those that are selected, or on all that match its filters."""

    actions = (
        *(_changing(RECHECK), try_rules_on, _changing(OVERRIDE), _changing(REVIVE)),
        *map(_exporting, FORMATS),
    )

    def has_reverify_signal_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("signals.reverify_signal")

    def has_override_state_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("signals.override_state")

    def has_export_signals_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("signals.export_signals")

    def get_urls(self) -> list[Any]:
        """Return the addresses of the pages, and that of an action."""
        view = self.admin_site.admin_view(self.action_view)
        return [
            path("actions/<uuid:action_id>/", view, name="signals_signal_action"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse an action that the person may not take, and name those that were left half done."""
        if request.method == "POST":
            self._refuse(request)
        elif KINDS.keys() & self.get_actions(request).keys():
            self._name_unfinished(request)
        return super().changelist_view(request, extra_context)

    def _refuse(self, request: HttpRequest) -> None:
        if not all(map(_is_number, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest
        known = {*ONE_BY_ONE, *(f"export_{ending}" for ending in FORMATS)}
        wanted = known.intersection(request.POST.getlist("action"))
        if not wanted <= self.get_actions(request).keys():
            raise PermissionDenied

    def actions_of_signal(self, request: HttpRequest, number: int) -> list[tuple[str, str]]:
        """Return name and title of the actions that the person may take on the signal of that number."""
        offered = [each for each in self.get_action_choices(request, []) if each[0] in ONE_BY_ONE]
        dead = SignalVerification.objects.filter(status=VerificationStatus.DEAD)
        if offered and not dead.filter(pk=number).exists():
            offered = [each for each in offered if each[0] != REVIVE.type]
        return [(str(name), str(title)) for name, title in offered]

    def _name_unfinished(self, request: HttpRequest) -> None:
        confirmed = SignalAction.objects.filter(
            person_key=str(request.user.pk), status=ActionStatus.CONFIRMED
        )
        for action in confirmed.order_by("-created_at")[:3]:
            title, left = KINDS[action.kind].title, action.number - action.done - action.missed
            text = "“{}” is not finished, {} signals are left. <a href='{}'>Continue or drop it</a>"
            messages.warning(request, format_html(text, title, f"{left:,}", _url(action)))

    def confirm(
        self, request: HttpRequest, kind: Kind, rows: QuerySet[Signal]
    ) -> HttpResponse | None:
        """Freeze the rows, and send the person to the page that says what will happen to how many."""
        try:
            action = choose(kind, request.user, rows, selection_of(request), asked_for(request))
        except TooMany:
            text = (
                f"More than {MAX_CHOSEN:,} signals match, which is too many. Filter the list first."
            )
            messages.error(request, text)
            return None
        if action is None:
            which = "dead signal" if kind is REVIVE else "signal"
            messages.warning(request, f"There is no {which} among those. Nothing was changed.")
            return None
        return redirect(_url(action))

    def action_view(self, request: HttpRequest, action_id: UUID) -> HttpResponseBase:
        """Show an action; confirm it, continue it or drop it, if that was posted."""
        action = SignalAction.objects.filter(pk=action_id).first()
        if action is None:
            raise Http404
        kind = KINDS[action.kind]
        is_allowed = self.has_view_or_change_permission(request) and request.user.has_perm(
            f"signals.{kind.permission}"
        )
        if not is_allowed or action.person_key != str(request.user.pk):
            raise PermissionDenied
        form = None
        if request.method == "POST":
            if "drop" in request.POST:
                _drop(action)
            elif "confirm" in request.POST and action.status == ActionStatus.CHOSEN:
                form = confirm_form(action, request.POST)
                if form.is_valid():
                    _confirm(action, form)
                    form = None
            elif "continue" in request.POST:
                return self._continue(request, action)
            if form is None:
                return redirect(_url(action))
        return self._show(request, action, form or confirm_form(action))

    def _continue(self, request: HttpRequest, action: SignalAction) -> HttpResponseBase:
        try:
            carry_on(action.pk, request.user)
        except Busy:
            text = "Others are writing these signals. Press Continue to try again."
            if not request.accepts("text/html"):
                return JsonResponse({"error": text}, status=503)
            messages.warning(request, text)
        if request.accepts("text/html"):
            return redirect(_url(action))
        action.refresh_from_db()
        return JsonResponse(
            {"done": action.done + action.missed, "finished": action.finished_at is not None}
        )

    def _show(self, request: HttpRequest, action: SignalAction, form: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": KINDS[action.kind].title,
            "action": action,
            "kind": KINDS[action.kind],
            "form": form,
            "over": action.done + action.missed,
            "left": action.number - action.done - action.missed,
            "is_checked_at_once": is_checked_at_once(action),
            "checked_at_once": CHECKED_AT_ONCE,
            "settled": action.states["verified"] + action.states["downgraded"],
        }
        return TemplateResponse(request, "admin/signals/actions/action.html", context)


def _is_number(text: str) -> bool:
    """Return whether the text can be the number of a signal."""
    return text.isascii() and text.isdecimal() and int(text[:20]) < MAX_NUMBER


def selection_of(request: HttpRequest) -> str:
    """Return which signals were chosen, in words: those that are selected, or all that match the filters."""
    if request.POST.get("select_across") == "1":
        filters = shortened(request.GET.urlencode(), 1000)
        return f"all that match {filters}" if filters else "all signals"
    return "selected one by one"


def asked_for(request: HttpRequest) -> int | None:
    """Return how many signals were selected one by one; None if all that match were."""
    if request.POST.get("select_across") == "1":
        return None
    return len(set(request.POST.getlist(ACTION_CHECKBOX_NAME)))


def _url(action: SignalAction) -> str:
    return reverse("admin:signals_signal_action", args=[action.pk])


def _confirm(action: SignalAction, form: Any) -> None:
    """Let the action begin, once."""
    chosen = SignalAction.objects.filter(pk=action.pk, status=ActionStatus.CHOSEN)
    chosen.update(
        status=ActionStatus.CONFIRMED,
        state=form.cleaned_data.get("state", ""),
        reason=form.cleaned_data.get("reason", ""),
        number=form.to_change(),
    )


def _drop(action: SignalAction) -> None:
    """Give up what is not done yet, whoever is at it in another tab."""
    open_ones = SignalAction.objects.filter(
        pk=action.pk, status__in=(ActionStatus.CHOSEN, ActionStatus.CONFIRMED)
    )
    if open_ones.update(status=ActionStatus.DROPPED, finished_at=Now()):
        remove_rows(action)
