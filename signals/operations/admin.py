"""The admin page that shows the findings of `verify_schema`, read on request; it repairs nothing."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from .drift.cached_reading import BeingRead, Reading, last, renew
from .drift.printing import detail_lines
from .drift.reading import command
from .findings import Status
from .models import Schema
from .shadow.reading import is_asked_for, read_survey_and_shadow

PAGE = 200  # rows

_WRONG, _EVERY = "", "all"
_NO_APP = "undeclared"  # in place of an app, for what no migration declares


@dataclass(frozen=True, slots=True)
class Line:
    """A component as the page shows it.

    component: an object of the output of `verify_schema --json`.
    """

    component: dict[str, Any]

    @property
    def problem(self) -> str:
        """Return why the component cannot be judged, and what to do; empty if it can."""
        if self.status is not Status.UNJUDGED:
            return ""
        return f"{self.component['note']}. To fix: {self.component['fix']}"

    @property
    def status(self) -> Status:
        return Status[self.component["status"].upper()]

    @property
    def is_shown_first(self) -> bool:
        """Return whether the component is a finding, or cannot be judged."""
        return self.component["finding"] or self.status is Status.UNJUDGED

    @property
    def is_harmless(self) -> bool:
        """Return whether no migration declares the component, and it refuses no row."""
        return self.status is Status.UNDECLARED and not (
            self.component["finding"] or self.component["accepted"]
        )

    @property
    def label(self) -> str:
        return f"{self.status.value} {self.component['progress']}".rstrip()

    @property
    def name(self) -> list[str]:
        return _breakable(self.component["name"])

    @property
    def table(self) -> list[str]:
        return _breakable(self.component["table"].replace('"', ""))

    @property
    def migration(self) -> list[str]:
        return _breakable(self.component["migration"])

    @property
    def app(self) -> str:
        return str(self.component["migration"]).partition(".")[0] or _NO_APP

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the (label, text) lines that the page shows when the row is opened."""
        return detail_lines(self.status, self.component)


def _breakable(text: str) -> list[str]:
    """Return the parts of a name between which a browser may begin a new line."""
    return re.findall(r"[^_.]*[_.]|[^_.]+", text)


@dataclass(frozen=True, slots=True)
class Choice:
    """A link of a filter."""

    text: str
    query: str
    is_selected: bool


@admin.register(Schema)
class SchemaAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """One page for those who may view the schema; it changes nothing in any database."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        """Return the page's URL alone; its view runs in no transaction.

        With ATOMIC_REQUESTS a database that cannot be reached would fail the page of another one.
        """
        view: Any = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.page))
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return [path("", view, name=name)]

    def page(self, request: HttpRequest) -> HttpResponse:
        """Show the last reading; for a POST, make a new one first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        aliases = [each for each in connections if connections[each].vendor == "postgresql"]
        first = DEFAULT_DB_ALIAS if DEFAULT_DB_ALIAS in aliases else next(iter(aliases), "")
        alias = request.GET.get("database", first)
        if alias not in aliases and alias:
            raise Http404(f"{alias!r} is no PostgreSQL database of this project")
        if request.method == "POST" and alias:
            self._renew(request, alias)
            return HttpResponseRedirect(request.get_full_path())
        context = self.admin_site.each_context(request)
        context |= {"opts": self.opts, "app_label": self.opts.app_label, "alias": alias}
        context["title"] = f"Schema of the database {alias}" if alias else "Database schema"
        if alias:
            context |= _context(request, alias, aliases)
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/convergent_migrations/schema.html", context)

    def _renew(self, request: HttpRequest, alias: str) -> None:
        """Make a new reading; a failure needs no message, because the page shows it to everybody."""
        try:
            done = renew(connections[alias], read_survey_and_shadow)
        except BeingRead as busy:
            since = f"{busy.at:%H:%M:%S %Z}"
            text = f"Somebody has been reading the database {alias} since {since}; look again soon."
            messages.warning(request, text)
        else:
            if isinstance(done, Reading):
                messages.success(request, f"The database {alias} was read.")


def _context(request: HttpRequest, alias: str, aliases: Sequence[str]) -> dict[str, Any]:
    """Return the template's context for the last reading, filtered as the query string says."""
    reading, failure = last(connections[alias])
    query = _Query(request)
    databases = [
        Choice(each, f"?{query.without('database', 'page', 'app', database=each)}", each == alias)
        for each in aliases
    ]
    context: dict[str, Any] = {"failure": failure, "reading": reading}
    context["filters"] = [("database", databases)] if len(aliases) > 1 else []
    if reading is None:
        return context
    lines = [Line(component) for component in reading.survey["components"]]
    of_status = [line for line in lines if _matches(query.status)(line)]
    of_app = [line for line in lines if query.app in ("", line.app)]
    shown = [line for line in of_status if query.app in ("", line.app)]
    context["filters"] += [
        ("status", list(_statuses(query, of_app))),
        ("app", list(_apps(query, of_status))),
    ]
    pages = Paginator(shown, PAGE)
    others = (Status.UNDECLARED, Status.HEALTH)  # no components of the migrations
    counted = [line for line in lines if line.status not in others]
    harmless = sum(line.is_harmless for line in lines)
    return context | {
        "age": naturaltime(reading.at),
        "columns": ("Component", "Name", "Table", "Migration", "Status"),
        "command": command(alias),
        "is_shadow_asked_for": is_asked_for(),
        "page": pages.get_page(request.GET.get("page")),
        "query": query.without("page"),
        "components": len(counted),
        "findings": sum(line.component["finding"] for line in lines),
        "accepted": sum(bool(line.component["accepted"]) for line in lines),
        "problems": sorted({line.problem for line in lines} - {""}),
        "notes": sum(bool(line.component["note"]) for line in lines),
        "harmless": harmless,
        "awaiting": sum(line.status is Status.AWAITING for line in lines),
        "awaiting_query": query.without("page", "app", status=Status.AWAITING.name.lower()),
        "harmless_query": query.without("page", "app", status=Status.UNDECLARED.name.lower()),
        "health": sum(line.status is Status.HEALTH for line in lines),
        "health_query": query.without("page", "app", status=Status.HEALTH.name.lower()),
    }


def _matches(status: str) -> Callable[[Line], bool]:
    if status == _WRONG:
        return lambda line: line.is_shown_first
    return lambda line: status in (_EVERY, line.status.name.lower())


def _statuses(query: "_Query", lines: Sequence[Line]) -> Iterator[Choice]:
    counts = Counter(line.status for line in lines)
    wrong = sum(line.is_shown_first for line in lines)
    what = "Not as declared, or not judged" if counts[Status.UNJUDGED] else "Not as declared"
    texts = {_WRONG: f"{what} ({wrong})", _EVERY: f"Every row ({len(lines)})"}
    known = {each.name.lower(): f"{each.value} ({counts[each]})" for each in Status}
    asked = (query.status, *(each.name.lower() for each in counts))
    texts |= {value: text for value, text in known.items() if value in asked}
    for value, text in texts.items():
        link = query.without("status", "page", **({"status": value} if value else {}))
        yield Choice(text, f"?{link}", query.status == value)


def _apps(query: "_Query", lines: Sequence[Line]) -> Iterator[Choice]:
    counts = Counter(line.app for line in lines)
    yield Choice(f"All ({len(lines)})", f"?{query.without('app', 'page')}", not query.app)
    for app in sorted({*counts, query.app} - {""}):
        link = query.without("app", "page", app=app)
        yield Choice(f"{app} ({counts[app]})", f"?{link}", query.app == app)


class _Query:
    """The filters in the page's query string."""

    def __init__(self, request: HttpRequest) -> None:
        self._parameters = request.GET
        self.status = self._parameters.get("status", _WRONG)
        self.app = self._parameters.get("app", "")

    def without(self, *names: str, **instead: str) -> str:
        """Return the query string without these names, or with the other values given for them."""
        others = {name: str(each) for name, each in self._parameters.items() if name not in names}
        return urlencode(others | instead)
